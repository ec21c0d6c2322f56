// Package notify is the contract between those who tell people what became of a leaked key and the channels on which they
// do: a notifier takes notices, one at a time, and says what else it can do by the optional interfaces here. Package compose
// writes the notices, package deliver hands each to every notifier that wants it; an adapter knows this package alone.
package notify

import (
	"context"
	"time"

	"stanch/receiver/leak"
)

// Notifier delivers notices to one channel. Notify tries once; the caller retries. It is safe for concurrent use. An
// error holds no secret, no credential of the channel and no URL; *leak.Throttled says when the channel asked to wait,
// *Refused that it will not take this notice however often it is told. Every other error is tried again for ever.
type Notifier interface {
	Notify(ctx context.Context, n Notice) error
}

// Refused is the error of a channel that understood a notice and will not take it, so that a retry alone cannot help:
// an answer of 400, 401, 403, 404, 410, 413 or 422, say. Somebody may yet repair the channel, so the notice is tried a
// few times over a day; then it is dropped, and log and metric say so.
type Refused struct{ Err error }

// Error is the error that the refusal came with.
func (r *Refused) Error() string { return r.Err.Error() }

// Unwrap returns the error that the refusal came with.
func (r *Refused) Unwrap() error { return r.Err }

// Notice is one message about one step of an incident: everything that somebody who has never seen stanch must know.
// It never holds the key's value.
type Notice struct {
	ID       string        // the same when the same notice is delivered again
	At       time.Time     // of the step
	Severity leak.Severity // how urgently somebody must look
	Title    string        // one line
	Incident leak.Incident // as it stands after the step
	Seen     []leak.Sighting
	Facts    []Fact // what happened, in the order in which to read it
	Link     string // to the incident; empty when no external URL is configured
	Phase    Phase  // what a channel that keeps state is to do
	// Count is how many incidents a notice stands for that gathers a flood; 0: it is about Incident alone.
	Count int
	// Members are these incidents; nil when Count is 0. Incident is then no incident of the log, but holds what all of
	// them have in common, under an id of the gathering. A channel that keeps state settles with it what it opened for
	// each member before.
	Members []Member
}

// Member is one incident that a notice stands for which gathers a flood: as it stands now, and how its state changes.
type Member struct {
	Incident leak.Incident
	Phase    Phase
}

// Phase is how a notice changes the state of a channel that keeps one, such as an alert that is open. All notices of an
// incident have the incident's id as their key.
type Phase string

// The phases.
const (
	Opened  Phase = "open"    // somebody has to look
	Taken   Phase = "taken"   // a person has taken it up
	Settled Phase = "settled" // nothing more is to be done unless something new is seen
)

// Remembering is a Notifier that must know, after a restart as well, what it did about an incident before: which message
// it sent, say, in order to change it.
type Remembering interface {
	// Remember hands over the memory, once, before the first notice.
	Remember(m Memory)
}

// Memory keeps one short text for each incident and notifier, durably, for as long as incidents are talked about. It is
// safe for concurrent use. What is kept holds no secret, nor where a key was seen, which must be forgotten earlier.
type Memory interface {
	// Load returns what was saved last; empty: nothing was.
	Load(ctx context.Context, incident leak.Fingerprint) (string, error)
	// Save keeps a text of [MaxMemory] at most; an empty one forgets.
	Save(ctx context.Context, incident leak.Fingerprint, text string) error
	// All returns every text that is kept, for a notifier that goes on after a restart with what is open.
	All(ctx context.Context) (map[leak.Fingerprint]string, error)
}

// Follower is a Notifier whose channel shows who works on an incident, and so is told as well when a person takes one up:
// approves it, has it tried again or undone. Those notices are Taken, and one line. Other channels are not told, because
// the outcome follows within seconds, and they are to stay calm.
type Follower interface{ Follows() bool }

// MaxMemory is the longest text that a [Memory] keeps for an incident, in bytes.
const MaxMemory = 32 << 10

// Runner is a Notifier with work of its own, such as repeating what is still open.
type Runner interface {
	// Run blocks until ctx ends and then returns nil.
	Run(ctx context.Context) error
}

// Outsider is a Notifier whose channel belongs to somebody else. Where a partner's alert saw a key is not told there: the
// partner agreement forbids to share it onward.
type Outsider interface{ Outside() bool }

// Fact is one line of a notice: a question that the reader has, and its answer.
type Fact struct {
	Name string // "What leaked", "What to do next" ...
	Text string
}

// Examiner is a Notifier that can say how it stands with its channel. Examine tells nobody anything, changes nothing and
// is bounded in time by ctx. Its findings hold no secret, no credential of the channel and no URL.
type Examiner interface {
	Examine(ctx context.Context) []leak.Finding
}
