package queue

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// DefaultMaxStore is the size of the whole store, in bytes, when none is configured.
const DefaultMaxStore = 8 << 30

// MinMaxStore is the smallest store in which each stream has room for its largest message.
const MinMaxStore = 16 << 20

// The limits of streams that others rely on.
const (
	// MaxDeadSize is the largest message that DEAD takes, in bytes.
	MaxDeadSize = 512 << 10
	// MaxSightingAge is how long a sighting is kept.
	MaxSightingAge = 30 * 24 * time.Hour
	// MaxDeadAge is how long a dead letter is kept.
	MaxDeadAge = 90 * 24 * time.Hour
	// MaxToldSize is the largest message that TOLD takes, in bytes.
	MaxToldSize = 48 << 10
	// MaxToldAge is for how long after the last change a notifier remembers what it did about an incident.
	MaxToldAge = 90 * 24 * time.Hour
)

const (
	// shares is into how many parts the store is divided; every stream reserves some of them.
	shares = 64
	// headerRoom is what a message's headers (id, expected sequence, trace) may take beside the data: NATS counts
	// them in, and a limit that people configure or are told about is one of the data alone.
	headerRoom = 4 << 10
	// dedupWindow is how long a stream remembers message ids. Each costs about 350 bytes, and time at the next start.
	dedupWindow = 2 * time.Minute
	// keysEntry is the metadata of INCIDENTS that holds the id of the fingerprint key.
	keysEntry = "stanch_keys"
	// probeSubject is where the store probe writes.
	probeSubject = "probes.store"
)

// stream is one row of the table of streams.
type stream struct {
	name       string
	prefix     string // first token of its subjects
	share      int64  // of the store, in parts of [shares]
	size       int    // largest data of a message, in bytes
	workQueue  bool   // a settled message is gone
	deny       bool   // no message is ever deleted or purged
	perSubject int64  // messages kept a subject; -1: all
	age        time.Duration
	batches    bool // takes messages by the batch, which is flushed once
}

var table = []stream{
	{name: Alerts, prefix: "alerts", share: 8, size: MaxAlertSize, perSubject: -1, workQueue: true, batches: true},
	{name: Pointers, prefix: "pointers", share: 3, size: MaxAlertSize, perSubject: -1, workQueue: true, batches: true},
	{name: Incidents, prefix: "incidents", share: 32, size: MaxAlertSize, perSubject: -1, deny: true, batches: true},
	{name: Retries, prefix: "sealed", share: 7, size: MaxAlertSize, perSubject: 1, age: MaxRetryAge},
	{name: Sightings, prefix: "sightings", share: 7, size: MaxAlertSize, perSubject: 1, age: MaxSightingAge, batches: true},
	{name: Days, prefix: "days", share: 1, size: 4 << 10, perSubject: 1, age: MaxSightingAge + 24*time.Hour},
	{name: Dead, prefix: "dead", share: 3, size: MaxDeadSize, perSubject: -1, age: MaxDeadAge, batches: true},
	{name: Checkpoints, prefix: "checkpoints", share: 1, size: 1 << 10, perSubject: -1, deny: true},
	{name: Told, prefix: "told", share: 1, size: MaxToldSize, perSubject: 1, age: MaxToldAge},
	{name: Probes, prefix: "probes", share: 1, size: 1 << 10, perSubject: 1},
}

// Streams lists the names of all streams.
func Streams() []string {
	names := make([]string, 0, len(table))
	for _, s := range table {
		names = append(names, s.name)
	}
	return names
}

// streamOf finds the stream that a subject, or a filter, belongs to.
func streamOf(subject string) (stream, error) {
	prefix, rest, _ := strings.Cut(subject, ".")
	for _, s := range table {
		if s.prefix == prefix && rest != "" {
			return s, nil
		}
	}
	return stream{}, fmt.Errorf("no stream takes the subject %q", subject)
}

// streamNamed finds a stream by its name.
func streamNamed(name string) (stream, error) {
	for _, s := range table {
		if s.name == name {
			return s, nil
		}
	}
	return stream{}, fmt.Errorf("there is no stream %q", name)
}

// discardable finds a stream of which single messages may be deleted.
func discardable(name string) (stream, error) {
	s, err := streamNamed(name)
	switch {
	case err == nil && s.deny:
		return stream{}, fmt.Errorf("deleting from %s: %w", s.name, errDenied)
	case err == nil && s.workQueue:
		return stream{}, fmt.Errorf("deleting from %s: %w", s.name, errQueue)
	}
	return s, err
}

var (
	errDenied = errors.New("the stream keeps everything")
	errQueue  = errors.New("of a work queue nothing is deleted: whoever takes of it settles")
)

// takes reports whether the stream takes a message of that size.
func (s stream) takes(m Message) error {
	if len(m.Data) > s.size {
		return fmt.Errorf("%w: %d bytes, and %s takes %d", ErrTooLarge, len(m.Data), s.name, s.size)
	}
	return nil
}

// config is what JetStream is told of the stream. DiscardNew: a full stream refuses instead of forgetting; with one
// message a subject, a newer one still replaces the older. PersistMode stays the default, because the asynchronous one
// silently turns off the disk flush before each acknowledgement.
func (s stream) config(maxStore int64, replicas int, keys string) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:               s.name,
		Subjects:           []string{s.prefix + ".>"},
		Retention:          jetstream.LimitsPolicy,
		Storage:            jetstream.FileStorage,
		Discard:            jetstream.DiscardNew,
		MaxBytes:           maxStore / shares * s.share,
		MaxMsgs:            -1,
		MaxConsumers:       -1,
		MaxMsgsPerSubject:  s.perSubject,
		MaxMsgSize:         int32(s.size + headerRoom),
		MaxAge:             s.age,
		Duplicates:         dedupWindow,
		Replicas:           replicas,
		DenyDelete:         s.deny,
		DenyPurge:          s.deny,
		AllowAtomicPublish: s.batches,
	}
	if s.workQueue {
		c.Retention = jetstream.WorkQueuePolicy
	}
	if s.name == Incidents {
		c.Metadata = map[string]string{keysEntry: keys}
	}
	return c
}
