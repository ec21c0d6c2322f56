package ibmfake

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Event is one call that asked for an effect on a key, whatever became of it.
type Event struct {
	At      time.Time `json:"at"`
	Op      string    `json:"op"` // create, update, delete, lock, unlock, disable, enable, delete credential
	Key     string    `json:"key"`
	By      string    `json:"by"`      // iam_id of the caller; empty when it was not known
	Status  int       `json:"status"`  // of the answer; 0: the connection was cut
	Changed bool      `json:"changed"` // whether the state is another than before
}

// Journal returns every call that asked for an effect, oldest first.
func (f *Fake) Journal() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.journal)
}

// Count returns how often an effect was asked for on a key.
func (f *Fake) Count(op, id string) int {
	n := 0
	for _, e := range f.Journal() {
		if e.Op == op && e.Key == id {
			n++
		}
	}
	return n
}

// record puts a call into the journal if it asked for an effect.
func (f *Fake) record(c *call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.op.effect == "" {
		return
	}
	f.journal = append(f.journal, Event{
		At: f.now(), Op: c.op.effect, Key: c.op.id, By: f.caller(c.request).iamID, Status: c.answer.status,
		Changed: c.changed,
	})
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
