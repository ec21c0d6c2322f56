package vendorfake

import (
	"context"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Forever makes a fault meet every call that it matches.
const Forever = -1

// Fault is something that goes wrong with a call. Fields combine: what is not set goes as usual.
type Fault struct {
	Op     Operation // empty: any
	Target string    // as in [Event]; empty: any
	Number int64     // as in [Event]; 0: any
	Method string    // of HTTP; empty: any
	Path   string    // a pattern of [path.Match], such as /v1/apikeys/*/disable; empty: any
	Times  int       // how many calls meet it; 0: one; Forever
	Skip   int       // how many matching calls go as usual before

	// Delay is waited before anything else happens.
	Delay time.Duration
	// Until is waited for before anything else happens; a test closes it.
	Until <-chan struct{} `json:"-"`
	// Commit lets the call have its effect before the fault's answer, or the cut, hides it.
	Commit bool
	// Half lets a write reach only this view of what it changes, where a fake keeps several; empty: all.
	Half string
	// Cut closes the connection without an answer.
	Cut bool
	// Truncate answers as usual, with half of the body.
	Truncate bool

	Status      int               // of the answer instead of the vendor's; 0: the vendor answers
	Header      map[string]string // such as Retry-After or Location
	ContentType string            // goes into the header; empty: none, unless Header has one
	Body        string
}

// BadGateway is a fault of a proxy in front of a vendor: 502 and a page of HTML.
func BadGateway() Fault {
	return Fault{
		Status: http.StatusBadGateway, ContentType: "text/html",
		Body: "<html><head><title>502 Bad Gateway</title></head><body>Taking too much time to respond.</body></html>",
	}
}

// SignIn is a fault of a proxy that wants people to sign in: 200 and a page of HTML.
func SignIn() Fault {
	fault := BadGateway()
	fault.Status, fault.Body = http.StatusOK, "<html><body><form action=/sign_in></form></body></html>"
	return fault
}

// Redirect is a fault that sends the caller elsewhere, with 301, 302, 307 or 308.
func Redirect(status int, url string) Fault {
	return Fault{Status: status, Header: map[string]string{"Location": url}, Body: "{}"}
}

// Faults are the faults that calls of a fake will meet. The zero value has none. Safe for concurrent use.
type Faults struct {
	mu   sync.Mutex
	left []*Fault
}

// AddFault adds a fault, which the calls that it matches will meet. A call meets the oldest matching fault that is left.
func (f *Faults) AddFault(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault.Times == 0 {
		fault.Times = 1
	}
	f.left = append(f.left, &fault)
}

// ClearFaults removes every fault.
func (f *Faults) ClearFaults() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = nil
}

// Meet returns the fault that a call meets and counts it as met; the zero Fault: there is none.
func (f *Faults) Meet(e Event) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.left {
		if fault.Times == 0 || !fault.matches(e) {
			continue
		}
		if fault.Skip > 0 {
			fault.Skip--
			continue
		}
		if fault.Times > 0 {
			fault.Times--
		}
		return *fault
	}
	return Fault{}
}

func (fault *Fault) matches(e Event) bool {
	if fault.Method != "" && fault.Method != e.Method || !e.is(fault.Op, fault.Target, fault.Number) {
		return false
	}
	matched, err := path.Match(fault.Path, e.Path)
	return fault.Path == "" || err == nil && matched
}

// Answer answers a call as the fault says, or with what serve returns. Serve carries out the call and returns an encoded
// answer. Record is called before the answer is sent, with its status; 0: the connection is cut. A caller that goes away
// while the fault waits gets no answer and is not recorded.
func (fault Fault) Answer(w http.ResponseWriter, r *http.Request, serve func() Answer, record func(status int)) {
	if !fault.wait(r.Context()) {
		return
	}
	answer := fault.replace(serve)
	record(answer.Status)
	if fault.Cut {
		panic(http.ErrAbortHandler)
	}
	answer.write(w)
}

func (fault Fault) replace(serve func() Answer) Answer {
	if fault.Status == 0 && !fault.Cut {
		a := serve()
		if fault.Truncate {
			a.Raw = a.Raw[:len(a.Raw)/2]
		}
		return a
	}
	if fault.Commit {
		serve()
	}
	a := Answer{Status: fault.Status, Header: maps.Clone(fault.Header), Raw: []byte(fault.Body)}
	if fault.ContentType != "" {
		a = a.With("Content-Type", fault.ContentType)
	}
	return a
}

// wait reports whether what the fault waits for came before the caller went away.
func (fault Fault) wait(ctx context.Context) bool {
	if fault.Until != nil {
		select {
		case <-fault.Until:
		case <-ctx.Done():
			return false
		}
	}
	if fault.Delay <= 0 {
		return true
	}
	select {
	case <-time.After(fault.Delay):
		return true
	case <-ctx.Done():
		return false
	}
}

// Operation names what a call asks for, in the journal and in faults.
type Operation string

// Event is one call of a fake, whatever became of it.
type Event struct {
	At      time.Time
	Op      Operation
	Method  string // of HTTP
	Path    string // of the URL
	Target  string // what the path names, such as a repository, a group or a key, as the request had it; empty: nothing
	Number  int64  // the last number in the path, such as an alert's; 0: none
	Query   string // of the URL
	By      string // name of the token, or the identity behind it; empty when it was not known
	Status  int    // of the answer; 0: the connection was cut
	Changed bool   // whether the call changed the thing that it was about, such as an alert, a vulnerability or a key
	Secrets int    // how many secrets the answer would have shown
	Cause   string // what the request says it is a part of, in the vendor's own terms; empty: nothing
}

// is reports whether a call asked for this operation on this target and number; zero values match every call.
func (e Event) is(op Operation, target string, number int64) bool {
	return (op == "" || e.Op == op) && (target == "" || strings.EqualFold(e.Target, target)) &&
		(number == 0 || e.Number == number)
}

// Calls is the journal of a fake. The zero value is empty. Safe for concurrent use.
type Calls struct {
	mu     sync.Mutex
	events []Event
}

// Record appends a call to the journal.
func (c *Calls) Record(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, e)
}

// Journal returns every call, oldest first.
func (c *Calls) Journal() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// Count returns how many calls asked for this operation on this target and number; zero values match every call.
func (c *Calls) Count(op Operation, target string, number int64) int {
	n := 0
	for _, e := range c.Journal() {
		if e.is(op, target, number) {
			n++
		}
	}
	return n
}

// ClearJournal forgets the calls so far.
func (c *Calls) ClearJournal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = nil
}
