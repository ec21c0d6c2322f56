package gitlabtest

import (
	"context"
	"net/http"
	"time"
)

// Forever makes a fault meet every call that it matches.
const Forever = -1

// Fault is something that goes wrong with a call. Fields combine: what is not set goes as usual.
type Fault struct {
	Op     Operation // empty: any
	Target string    // path or id of a project or group, as the request has it; empty: any
	Number int64     // of the vulnerability, job, event or hook; 0: any
	Times  int       // how many calls meet it; 0: one; Forever
	Skip   int       // how many matching calls go as usual before

	// Delay is waited before anything else happens.
	Delay time.Duration
	// Until is waited for before anything else happens; a test closes it.
	Until <-chan struct{}
	// Commit lets the call have its effect before the fault's answer, or the cut, hides it.
	Commit bool
	// Cut closes the connection without an answer.
	Cut bool
	// Truncate answers as usual, with half of the body.
	Truncate bool

	Status int               // of the answer instead of GitLab's; 0: GitLab answers
	Header map[string]string // Retry-After, Location, Content-Type ...
	Body   string
}

// BadGateway is a fault of whatever stands before GitLab: 502 and a page of HTML.
func BadGateway() Fault {
	return Fault{
		Status: http.StatusBadGateway, Header: map[string]string{"Content-Type": "text/html"},
		Body: "<html><head><title>502</title></head><body>GitLab is taking too much time to respond.</body></html>",
	}
}

// SignIn is a fault of a proxy that wants people to sign in: 200 and a page of HTML.
func SignIn() Fault {
	fault := BadGateway()
	fault.Status, fault.Body = http.StatusOK, "<html><body><form action=/users/sign_in></form></body></html>"
	return fault
}

// Redirect is a fault that sends the caller elsewhere, with 301, 302, 307 or 308.
func Redirect(status int, url string) Fault {
	return Fault{Status: status, Header: map[string]string{"Location": url}, Body: "{}"}
}

// AddFault puts a fault in front of the calls that it matches. A call meets the oldest one that is left.
func (f *Fake) AddFault(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault.Times == 0 {
		fault.Times = 1
	}
	f.faults = append(f.faults, &fault)
}

// ClearFaults takes every fault away.
func (f *Fake) ClearFaults() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// meet finds out whose a call is, and takes the fault that it meets, used up by one; the zero Fault when there is none.
func (f *Fake) meet(c *call) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.refused = c.identify()
	for _, fault := range f.faults {
		if fault.Times == 0 || !c.event.is(fault.Op, fault.Target, fault.Number) {
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

// replace answers a call as the fault says, letting it have its effect where the fault does.
func (fault Fault) replace(c *call) answer {
	if fault.Status == 0 && !fault.Cut {
		a := c.serve()
		if fault.Truncate {
			a = a.encode()
			a.raw = a.raw[:len(a.raw)/2]
		}
		return a
	}
	if fault.Commit {
		c.serve()
	}
	return answer{status: fault.Status, header: fault.Header, raw: []byte(fault.Body)}
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
