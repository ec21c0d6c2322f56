package ibmfake

import (
	"net/http"
	"strings"

	"golang.org/x/time/rate"

	"stanch/receiver/outbound/vendorfake"
)

// Forever makes a fault meet every call that it matches.
const Forever = vendorfake.Forever

// The views of a key that [Fault.Half] names.
const (
	ByID    = "id"    // what GET /v1/apikeys/{id} and the list see
	ByValue = "value" // what details and the token endpoint see
)

// Fault is something that goes wrong with a call. Its Op is the effect that a call asks for, as in [Event].
type Fault = vendorfake.Fault

// SetLimit answers calls beyond this many a second with 429 at once, after a first second's worth; 0: there is no limit. A
// call that is refused has no effect, meets no fault and is not among the requests. IAM's true limits are not documented.
func (f *Fake) SetLimit(perSecond int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = nil
	if perSecond > 0 {
		f.limit = rate.NewLimiter(rate.Limit(perSecond), perSecond)
	}
}

// Refused counts the calls so far that were answered with 429 because of the limit.
func (f *Fake) Refused() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

// tooMany asks the caller to come again in a second. Its body is not established.
var tooMany = Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "1"}}

// admit counts a call, unless the limit refuses it.
func (f *Fake) admit(c *call) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limit != nil && !f.limit.Allow() {
		f.refused++
		return false
	}
	f.requests[c.op.route]++
	return true
}

// Event is one call that asked for an effect on a key, whatever became of it. Its Op is create, update, delete, lock, unlock,
// disable, enable or delete credential; its Target the id of the key; its By the iam_id of the caller.
type Event = vendorfake.Event

// Count returns how often this effect was asked for on a key.
func (f *Fake) Count(op vendorfake.Operation, id string) int { return f.Calls.Count(op, id, 0) }

// event is a call as faults and the journal see it.
func (c *call) event() Event {
	return Event{
		Op: vendorfake.Operation(c.op.effect), Method: c.request.Method, Path: c.request.URL.Path, Target: c.op.id,
	}
}

// record adds a call to the journal if it asked for an effect.
func (c *call) record(status int) {
	if c.op.effect == "" {
		return
	}
	f := c.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	e := c.event()
	e.At, e.By, e.Status, e.Changed = f.now(), f.caller(c.request).iamID, status, c.changed
	f.Record(e)
}

// op is what a request asks for.
type op struct {
	route  string // method and path with {id} for the id
	effect string // empty: it only reads
	id     string
}

// effects names what a request does to a key, by method and what follows the id.
var effects = map[string]string{
	"PUT ": "update", "DELETE ": "delete",
	"POST lock": "lock", "DELETE lock": "unlock",
	"POST disable": "disable", "DELETE disable": "enable",
}

// operation reads from its path what a request asks for.
func operation(r *http.Request) op {
	path := strings.TrimSuffix(r.URL.Path, "/")
	o := op{route: r.Method + " " + path}
	prefix, rest := "/v1/apikeys", ""
	if after, ok := strings.CutPrefix(path, "/v1/serviceids/"); ok {
		o.id, rest, _ = strings.Cut(after, "/")
		o.route = strings.TrimSuffix(r.Method+" /v1/serviceids/{id}/"+rest, "/")
		return o
	}
	if after, ok := strings.CutPrefix(path, "/v2/resource_keys/"); ok {
		o.id, o.route = after, r.Method+" /v2/resource_keys/{id}"
		if r.Method == http.MethodDelete {
			o.effect = "delete credential"
		}
		return o
	}
	if path == prefix && r.Method == http.MethodPost {
		o.effect = "create"
		return o
	}
	after, ok := strings.CutPrefix(path, prefix+"/")
	if !ok || after == "details" {
		return o
	}
	o.id, rest, _ = strings.Cut(after, "/")
	o.effect = effects[r.Method+" "+rest]
	o.route = strings.TrimSuffix(r.Method+" "+prefix+"/{id}/"+rest, "/")
	return o
}
