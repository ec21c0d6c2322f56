package gitlabtest

import (
	"slices"
	"strings"
	"time"
)

// Event is one call of an API, whatever became of it.
type Event struct {
	At        time.Time
	Op        Operation
	Target    string // path of the project or group, as the request had it, or its id; empty: neither
	Number    int64  // of the vulnerability, job, event or hook; 0: none
	Query     string // of the URL
	By        string // name of the token; empty when it was not known
	Status    int    // of the answer; 0: the connection was cut
	Changed   bool   // whether a vulnerability is another than before
	Secrets   int    // how many secrets the answer would have shown
	EventUUID string // the X-Gitlab-Event-UUID that the request carried
}

// Journal returns every call, oldest first.
func (f *Fake) Journal() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.journal)
}

// Count returns how many calls asked for an operation on a target and a number; the zero values match every call.
func (f *Fake) Count(op Operation, target string, number int64) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, e := range f.journal {
		if e.is(op, target, number) {
			n++
		}
	}
	return n
}

// is reports whether a call asked for an operation on a target and a number; the zero values match every call.
func (e Event) is(op Operation, target string, number int64) bool {
	return (op == "" || e.Op == op) && (target == "" || strings.EqualFold(e.Target, target)) &&
		(number == 0 || e.Number == number)
}

// ClearJournal forgets the calls so far.
func (f *Fake) ClearJournal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.journal = nil
}

func (f *Fake) record(c *call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.event.At, c.event.Status = f.options.Now(), c.answer.status
	f.journal = append(f.journal, c.event)
}
