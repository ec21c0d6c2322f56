// Package ibmfake is a fake of IBM Cloud IAM that keeps state and speaks real HTTP: tokens, API keys with their locks,
// history and activity, service IDs. It follows IBM's wire as far as that is established; every answer that is not has
// a switch, and faults can be put in front of every call. It needs no testing.T, because the demo and child processes
// of tests run it too.
package ibmfake

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Account is the account of a key or service ID that is added without one.
const Account = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

// Options configure a fake; the zero value works.
type Options struct {
	// Switches are the positions to start with; the zero value is the default of each.
	Switches Switches
	// Now tells the time; nil: time.Now.
	Now func() time.Time
}

// Fake is IAM as an [http.Handler]. It starts without any key. Below /_fake/ it answers its administration, which needs
// no credential: see [Client]. Methods are safe for concurrent use.
type Fake struct {
	now   func() time.Time
	api   *http.ServeMux
	admin *http.ServeMux

	mu       sync.Mutex
	switches Switches
	faults   []*Fault
	journal  []Event
	requests map[string]int
	limit    *rate.Limiter // nil: none
	refused  int           // calls that went past it
	byID     map[string]*key
	// byValue holds the same keys as byID, except after a write that was committed by half.
	byValue  map[string]*key
	services map[string]*service
	// credentials are service credentials by their id.
	credentials map[string]*credential
	grants      map[string]grant
}

// New makes a fake that holds nothing.
func New(o Options) *Fake {
	f := &Fake{
		now: o.Now, switches: o.Switches.withDefaults(), requests: map[string]int{},
		byID: map[string]*key{}, byValue: map[string]*key{}, services: map[string]*service{}, credentials: map[string]*credential{},
		grants: map[string]grant{},
	}
	if f.now == nil {
		f.now = time.Now
	}
	f.api, f.admin = f.apiRoutes(), f.adminRoutes()
	return f
}

// Requests counts the calls so far by method and path, such as "GET /v1/apikeys/details"; the id in a path reads {id}.
func (f *Fake) Requests() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.requests)
}

// ServeHTTP answers as IAM does, or as the first fault that matches says.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_fake/") {
		f.admin.ServeHTTP(w, r)
		return
	}
	c := &call{fake: f, request: r, op: operation(r)}
	fault, refused := f.meet(c)
	if refused {
		tooMany().write(w)
		return
	}
	if !wait(r.Context(), fault.Delay) {
		return
	}
	c.half = fault.Half
	c.answer = fault.replace(c)
	f.record(c)
	if fault.Cut {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Date", f.date())
	c.answer.write(w)
}

// meet counts a call and takes the fault that it meets, unless there were too many.
func (f *Fake) meet(c *call) (fault Fault, refused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limit != nil && !f.limit.Allow() {
		f.refused++
		return Fault{}, true
	}
	f.requests[c.op.route]++
	return f.take(c.request), false
}

// call is one request on its way to an answer.
type call struct {
	fake    *Fake
	request *http.Request
	op      op
	body    []byte // of the request
	half    string // of the views, the one that a write reaches; empty: both
	grant   grant  // whose token came with it
	changed bool   // whether the state is another than before
	answer  answer
}

// answer is what a call is answered with.
type answer struct {
	status      int
	header      map[string]string
	body        any    // sent as JSON; nil: none
	raw         string // sent as it is, when there is no body
	contentType string // of raw
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Transaction-Id", transactionID())
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	data := []byte(a.raw)
	if a.body != nil {
		// The bodies are our own structs of plain fields: they always marshal.
		data, _ = json.Marshal(a.body)
		a.contentType = "application/json"
	}
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(data)
}

// Server is a fake that listens.
type Server struct {
	*Fake
	listener net.Listener
	server   *http.Server
}

// Start serves a new fake on a free port of the loopback interface, until Close.
func Start(o Options) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{Fake: New(o), listener: listener}
	s.server = &http.Server{Handler: s.Fake, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// URL is both the service URL and the token URL.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Close stops at once; calls under way are cut.
func (s *Server) Close() { _ = s.server.Close() }
