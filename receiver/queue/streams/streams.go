// Package streams is the table of the streams: which subjects each takes, how large its messages may be, how long it keeps
// them, and what may be deleted from it. Every store keeps to it, on NATS and in memory.
package streams

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"stanch/receiver/queue"
)

// Shares is into how many parts the store is divided. Each stream reserves its share of them.
const Shares = 64

// DedupWindow is how long a stream remembers message ids. Each costs about 350 bytes, and time at the next start.
const DedupWindow = 2 * time.Minute

// Stream is one row of the table of streams.
type Stream struct {
	Name       string
	Prefix     string // first token of its subjects
	Size       int    // largest data of a message, in bytes
	WorkQueue  bool   // a settled message is gone
	Permanent  bool   // no message is ever deleted or purged
	PerSubject int64  // messages kept a subject; -1: all
	Age        time.Duration
	Batches    bool  // takes messages by the batch, which is flushed once
	Share      int64 // of the store, in parts of [Shares]
}

var table = []Stream{
	{Name: queue.Alerts, Prefix: "alerts", Share: 8, Size: queue.MaxAlertSize, PerSubject: -1, WorkQueue: true, Batches: true},
	{Name: queue.Pointers, Prefix: "pointers", Share: 3, Size: queue.MaxAlertSize, PerSubject: -1, WorkQueue: true, Batches: true},
	{Name: queue.Incidents, Prefix: "incidents", Share: 32, Size: queue.MaxAlertSize, PerSubject: -1, Permanent: true, Batches: true},
	{Name: queue.Retries, Prefix: "sealed", Share: 7, Size: queue.MaxAlertSize, PerSubject: 1, Age: queue.MaxRetryAge},
	{Name: queue.Sightings, Prefix: "sightings", Share: 7, Size: queue.MaxAlertSize, PerSubject: 1, Age: queue.MaxSightingAge, Batches: true},
	{Name: queue.Days, Prefix: "days", Share: 1, Size: 4 << 10, PerSubject: 1, Age: queue.MaxSightingAge + 24*time.Hour},
	{Name: queue.Dead, Prefix: "dead", Share: 3, Size: queue.MaxDeadSize, PerSubject: -1, Age: queue.MaxDeadAge, Batches: true},
	{Name: queue.Checkpoints, Prefix: "checkpoints", Share: 1, Size: 1 << 10, PerSubject: -1, Permanent: true},
	{Name: queue.Told, Prefix: "told", Share: 1, Size: queue.MaxToldSize, PerSubject: 1, Age: queue.MaxToldAge},
	{Name: queue.Probes, Prefix: "probes", Share: 1, Size: 1 << 10, PerSubject: 1},
}

// All lists all streams. Callers must not change the list.
func All() []Stream { return table }

// Of finds the stream that a subject or a filter belongs to.
func Of(subject string) (Stream, error) {
	prefix, rest, _ := strings.Cut(subject, ".")
	for _, s := range table {
		if s.Prefix == prefix && rest != "" {
			return s, nil
		}
	}
	return Stream{}, fmt.Errorf("no stream takes the subject %q", subject)
}

// Named finds a stream by its name.
func Named(name string) (Stream, error) {
	for _, s := range table {
		if s.Name == name {
			return s, nil
		}
	}
	return Stream{}, fmt.Errorf("there is no stream %q", name)
}

// Discardable finds a stream from which single messages may be deleted.
func Discardable(name string) (Stream, error) {
	s, err := Named(name)
	switch {
	case err == nil && s.Permanent:
		return Stream{}, fmt.Errorf("deleting from %s: %w", s.Name, ErrPermanent)
	case err == nil && s.WorkQueue:
		return Stream{}, fmt.Errorf("deleting from %s: %w", s.Name, errQueue)
	}
	return s, err
}

var errQueue = errors.New("a work queue deletes nothing: its consumer settles messages")

// ErrPermanent means that the stream keeps everything.
var ErrPermanent = errors.New("the stream keeps everything")

// Takes returns queue.ErrTooLarge for a message that is larger than the stream takes.
func (s Stream) Takes(m queue.Message) error {
	if len(m.Data) > s.Size {
		return fmt.Errorf("%w: %d bytes, and %s takes %d", queue.ErrTooLarge, len(m.Data), s.Name, s.Size)
	}
	return nil
}

// Readable finds the stream of a filter that is to be read. A work queue is not read: its consumer settles messages.
func Readable(filter string) (Stream, error) {
	s, err := Of(filter)
	if err == nil && s.WorkQueue {
		return Stream{}, fmt.Errorf("%s is a work queue and cannot be read", s.Name)
	}
	return s, err
}

// Consumed checks a consumer and finds its stream.
func Consumed(c queue.Consumer) (Stream, error) {
	s, err := Named(c.Stream)
	if err != nil {
		return Stream{}, err
	}
	if c.New && s.WorkQueue {
		return Stream{}, fmt.Errorf("consumer %s: a work queue such as %s is consumed from its start", c.Name, s.Name)
	}
	return s, nil
}
