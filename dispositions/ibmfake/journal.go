package ibmfake

import (
	"net/http"
	"strings"

	"stanch/receiver/outbound/vendorfake"
)

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

// record puts a call into the journal if it asked for an effect.
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

// operation reads what a request asks for off its path.
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
