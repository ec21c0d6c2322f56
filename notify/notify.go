// Package notify tells people what became of a leaked key: it turns the steps of incidents into notices and delivers
// each to every notifier that wants it, with a durable consumer, retry and backoff of its own for each, so that a dead
// channel delays no other.
package notify

import (
	"context"
	"time"

	"stanch/receiver/leak"
)

// Notifier delivers notices to one channel. Notify tries once; the caller retries. It is safe for concurrent use. An
// error holds no secret, no credential of the channel and no URL; *leak.Throttled says when the channel asked to wait.
type Notifier interface {
	Notify(ctx context.Context, n Notice) error
}

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
}

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
