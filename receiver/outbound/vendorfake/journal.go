package vendorfake

import (
	"slices"
	"strings"
	"sync"
	"time"
)

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
