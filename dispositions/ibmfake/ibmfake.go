// Package ibmfake is a fake of IBM Cloud IAM that keeps state and speaks real HTTP: tokens, API keys with their locks,
// history and activity, service IDs. It follows IBM's wire as far as that is established; every other answer has
// a switch, and any call can meet a [Fault].
package ibmfake

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stanch/receiver/outbound/vendorfake"
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
	vendorfake.Faults
	vendorfake.Calls
	*vendorfake.Switchboard[Switches]

	now   func() time.Time
	api   *http.ServeMux
	admin *http.ServeMux

	mu       sync.Mutex
	requests map[string]int
	limit    *rate.Limiter // nil: none
	refused  int           // calls that exceeded it
	byID     map[string]*key
	// byValue holds the same keys as byID, except after a write that reached one view only.
	byValue  map[string]*key
	services map[string]*service
	// credentials are service credentials by their id.
	credentials map[string]*credential
	grants      map[string]grant
}

// New makes a fake that holds nothing.
func New(o Options) *Fake {
	f := &Fake{
		now: o.Now, requests: map[string]int{},
		byID: map[string]*key{}, byValue: map[string]*key{}, services: map[string]*service{}, credentials: map[string]*credential{},
		grants: map[string]grant{},
	}
	f.Switchboard = vendorfake.NewSwitchboard(o.Switches, Switches.withDefaults)
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
	w.Header().Set("Transaction-Id", transactionID())
	if !f.admit(c) {
		tooMany.Answer(w, r, c.serve, func(int) {})
		return
	}
	fault := f.Meet(c.event())
	c.half = fault.Half
	fault.Answer(w, r, c.serve, func(status int) {
		c.record(status)
		w.Header().Set("Date", f.date())
	})
}

// call is one request on its way to an answer.
type call struct {
	fake    *Fake
	request *http.Request
	op      op
	body    []byte // of the request
	half    string // of the views, the one that a write reaches; empty: both
	grant   grant  // whose token came with it
	changed bool   // whether the call changed the state
}

// answer is the answer to a call.
type answer = vendorfake.Answer

// Server is a fake that listens.
type Server struct {
	*Fake
	server *vendorfake.Server
}

// Start serves a new fake on a free port of the loopback interface, until Close.
func Start(o Options) (*Server, error) {
	fake := New(o)
	server, err := vendorfake.Serve(fake)
	if err != nil {
		return nil, err
	}
	return &Server{Fake: fake, server: server}, nil
}

// URL is both the service URL and the token URL.
func (s *Server) URL() string { return s.server.Origin() }

// Close stops at once and cuts calls that are in progress.
func (s *Server) Close() { s.server.Close() }
