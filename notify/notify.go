// Package notify is the contract between those who tell people what became of a leaked key and the channels on which they
// do: a notifier takes notices, one at a time, and says what else it can do by the optional interfaces here. Package compose
// writes the notices, package deliver hands each to every notifier that wants it; an adapter knows this package alone.
package notify

import (
	"context"
	"time"

	"stanch/receiver/leak"
)

// Notifier delivers notices to one channel. Notify tries once; the caller retries. It is safe for concurrent use. No error
// holds a secret, a credential of the channel or a URL. *leak.Throttled says how long the channel asks to wait, *Refused that
// it will not take this notice however often it is told. Any other error is retried for ever.
type Notifier interface {
	Notify(ctx context.Context, n Notice) error
}

// Refused is the error of a channel that understood a notice and will not take it, so that a retry alone cannot help:
// an HTTP answer of 400, 401, 403, 404, 410, 413 or 422, for example. Somebody may still repair the channel, so the notice
// is tried a few times over a day; then it is dropped, and log and metric say so.
type Refused struct{ Err error }

// Error is the text of the error behind the refusal.
func (r *Refused) Error() string { return r.Err.Error() }

// Unwrap returns the error behind the refusal.
func (r *Refused) Unwrap() error { return r.Err }

// Notice is one message about one step of an incident. It holds everything that somebody who has never seen stanch must
// know, and never the key's value. Templates of operators see its fields.
type Notice struct {
	ID       string        // the same when the same notice is delivered again
	At       time.Time     // of the step
	Severity leak.Severity // how urgently somebody must look
	Title    string        // one line
	Incident leak.Incident // as it stands after the step
	Seen     []leak.Sighting
	Facts    []Fact // what happened, in the order in which to read it
	Link     string // to the incident; empty when no external URL is configured
	Phase    Phase  // what a channel that keeps state has to do
	// Count is how many incidents a group stands for; 0: the notice is about Incident alone.
	Count int
	// Members are the incidents of a group; nil when Count is 0. Incident is then no incident of the log, but holds what all
	// members have in common, under the id of the group. A channel that keeps state settles with the group what it opened
	// for each member before.
	Members []Member
}

// Fact is one line of a notice: a question that the reader has, and its answer.
type Fact struct {
	Name string // "What leaked", "What to do next" ...
	Text string
}

// Member is one incident of a group: as it stands now, and how the state of a channel changes for it.
type Member struct {
	Incident leak.Incident
	Phase    Phase
}

// Phase is how a notice changes the state of a channel that keeps one, such as an alert that is open. Every notice of an
// incident belongs to the incident's id.
type Phase string

// The phases.
const (
	Opened  Phase = "open"    // somebody has to look
	Taken   Phase = "taken"   // a person is working on it
	Settled Phase = "settled" // nothing more has to be done unless something new is seen
)

// Remembering is a Notifier that must know, even after a restart, what it did about an incident before: which message it
// sent, for example, so that it can change it.
type Remembering interface {
	// Remember hands over the memory, once, before the first notice.
	Remember(m Memory)
}

// Memory keeps one short text for each incident and notifier, durably, for as long as incidents are talked about. It is
// safe for concurrent use. The text must hold no secret, nor where a key was seen, which must be forgotten earlier.
type Memory interface {
	// Load returns what was saved last; empty: nothing was.
	Load(ctx context.Context, incident leak.Fingerprint) (string, error)
	// Save keeps a text of [MaxMemory] bytes at most; an empty one forgets.
	Save(ctx context.Context, incident leak.Fingerprint, text string) error
	// All returns every text that is kept, for a notifier that after a restart goes on with what is open.
	All(ctx context.Context) (map[leak.Fingerprint]string, error)
}

// MaxMemory is the longest text that a [Memory] keeps for an incident, in bytes.
const MaxMemory = 32 << 10

// Follower is a Notifier whose channel shows who is working on an incident. When Follows reports true, it is also told when
// a person takes an incident up: approves it, retries it or undoes it. Such a notice is Taken, and one line long. Other
// channels are not told, because the outcome follows within seconds and they should stay calm.
type Follower interface{ Follows() bool }

// Runner is a Notifier with work of its own, such as repeating what is still open.
type Runner interface {
	// Run blocks until ctx ends and then returns nil.
	Run(ctx context.Context) error
}

// Outsider is a Notifier whose channel belongs to somebody else, when Outside reports true. It is not told where a
// partner's alert saw a key: the partner agreement forbids sharing that onward.
type Outsider interface{ Outside() bool }

// Examiner is a Notifier that can say whether its channel works. Examine tells nobody anything, changes nothing, and ends
// when ctx does. Its findings hold no secret, no credential of the channel and no URL.
type Examiner interface {
	Examine(ctx context.Context) []leak.Finding
}
