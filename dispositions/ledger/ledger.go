// Package ledger is the log of incidents: ledger, audit trail and outbox in one. Each entry carries the steps of one
// reconcile and the incident as it stands after them, so the last entry of an incident is its state; it is written only if
// the state that it follows is still the last one, and it names the hash of the entry before it. A chain alone misses a cut
// end and a missing incident, so [Checkpoints] commit to the whole log, in a stream and outside the store; [Verify] finds
// the first entry that does not fit. A ledger over memory.Store is the twin for simulations.
package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Errors that callers decide on.
var (
	// ErrConflict means that somebody else wrote to the incident since it was read: read it and reconcile again.
	ErrConflict = errors.New("the incident has changed since it was read")
	// ErrBroken means that an entry does not name the one before it: the log was changed.
	ErrBroken = errors.New("the chain of the log is broken")
	// ErrNoIncident means that the log holds no such incident.
	ErrNoIncident = errors.New("no such incident")
)

// Ledger appends to the log and reads it. It is safe for concurrent use, also by several processes.
type Ledger struct {
	store queue.Store
}

// New returns the ledger in a store.
func New(store queue.Store) *Ledger { return &Ledger{store} }

// Head is the newest entry of an incident: its state, and what the next entry must follow. The zero Head is that of an
// incident that the log does not know.
type Head struct {
	leak.Incident
	Steps []leak.Step // of the newest entry only

	seq  uint64
	hash string
}

// Exists reports whether the log knows the incident.
func (h Head) Exists() bool { return h.seq > 0 }

// Read returns the head of an incident, never a stale one; a zero Head if there is none.
func (l *Ledger) Read(ctx context.Context, f leak.Fingerprint) (Head, error) {
	message, err := l.store.Last(ctx, queue.IncidentSubject(f))
	if errors.Is(err, queue.ErrNoMessage) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, fmt.Errorf("reading incident %s: %w", f.Short(), err)
	}
	entry, err := decode(message)
	if err != nil {
		return Head{}, err
	}
	return head(entry, message.Seq, message.Data), nil
}

// Append writes one entry after h and returns the new head. Nothing may be done in the world on the strength of an
// entry before Append has returned it. It returns ErrConflict when h is no longer the head.
func (l *Ledger) Append(ctx context.Context, h Head, incident leak.Incident, steps ...leak.Step) (Head, error) {
	entry := leak.Entry{V: leak.Version, ID: rand.Text(), Prev: h.hash, Steps: steps, Incident: incident}
	data, err := json.Marshal(entry)
	if err != nil {
		return Head{}, fmt.Errorf("encoding a step of incident %s: %w", incident.ID.Short(), err)
	}
	message := queue.Message{Subject: queue.IncidentSubject(incident.ID), Data: data}
	seq, err := l.store.AppendAfter(ctx, message, h.seq)
	if errors.Is(err, queue.ErrConflict) {
		return l.settle(ctx, entry)
	}
	if err != nil {
		return Head{}, fmt.Errorf("appending to incident %s: %w", incident.ID.Short(), err)
	}
	return head(entry, seq, data), nil
}

// settle finds out whose the last entry is after an append that was refused or never answered: a lost acknowledgement
// and a retry look like a refusal.
func (l *Ledger) settle(ctx context.Context, ours leak.Entry) (Head, error) {
	f := ours.Incident.ID
	message, err := l.store.Last(ctx, queue.IncidentSubject(f))
	if err != nil && !errors.Is(err, queue.ErrNoMessage) {
		return Head{}, fmt.Errorf("reading incident %s after a conflict: %w", f.Short(), err)
	}
	if err == nil {
		entry, err := decode(message)
		if err == nil && entry.ID == ours.ID {
			return head(entry, message.Seq, message.Data), nil
		}
	}
	return Head{}, fmt.Errorf("appending to incident %s: %w", f.Short(), ErrConflict)
}

// Entries yields the entries of an incident, oldest first, and checks their chain on the way: it ends with ErrBroken at
// the first entry that does not name the one before it.
func (l *Ledger) Entries(ctx context.Context, f leak.Fingerprint) iter.Seq2[leak.Entry, error] {
	return func(yield func(leak.Entry, error) bool) {
		prev := ""
		for message, err := range l.store.Scan(ctx, queue.IncidentSubject(f)) {
			if err != nil {
				yield(leak.Entry{}, fmt.Errorf("reading the steps of incident %s: %w", f.Short(), err))
				return
			}
			entry, err := decode(message)
			if err == nil && entry.Prev != prev {
				err = fmt.Errorf("reading the steps of incident %s, entry %d: %w", f.Short(), message.Seq, ErrBroken)
			}
			if !yield(entry, err) || err != nil {
				return
			}
			prev = hash(message.Data)
		}
	}
}

// Steps returns every step of an incident, oldest first, or ErrNoIncident.
func (l *Ledger) Steps(ctx context.Context, f leak.Fingerprint) ([]leak.Step, error) {
	var steps []leak.Step
	for entry, err := range l.Entries(ctx, f) {
		if err != nil {
			return nil, err
		}
		steps = append(steps, entry.Steps...)
	}
	if len(steps) == 0 {
		return nil, ErrNoIncident
	}
	return steps, nil
}

// Knows reports whether an incident's log has a sighting. Most repeats are of its first or its newest one; only the
// others cost a walk through the log.
func (l *Ledger) Knows(ctx context.Context, h Head, sighting string) (bool, error) {
	if !h.Exists() {
		return false, nil
	}
	if sighting == h.First || sighting == h.Last {
		return true, nil
	}
	if h.SightingCount <= 2 {
		return false, nil
	}
	for entry, err := range l.Entries(ctx, h.ID) {
		if err != nil {
			return false, err
		}
		for _, step := range entry.Steps {
			if step.Sighting == sighting {
				return true, nil
			}
		}
	}
	return false, nil
}

// Follow hands over every entry appended since a time (zero: ever), then those that come, until ctx ends. It calls
// caughtUp once, after what was there at the call. What cannot be read is passed over: audits name it, and nobody who gets
// something into the log may stop an engine by it.
func (l *Ledger) Follow(ctx context.Context, since time.Time, caughtUp func(), handle func(leak.Entry)) error {
	return l.store.Follow(ctx, queue.AllIncidents, since, caughtUp, func(m queue.Message) error {
		if entry, err := decode(m); err == nil {
			handle(entry)
		}
		return nil
	})
}

func decode(m queue.Message) (leak.Entry, error) {
	entry, err := leak.Read[leak.Entry](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return leak.Entry{}, fmt.Errorf("reading entry %d of the log: %w", m.Seq, err)
	case err != nil:
		return leak.Entry{}, fmt.Errorf("reading entry %d of the log: it is damaged: %w", m.Seq, ErrBroken)
	}
	return entry, nil
}

func head(e leak.Entry, seq uint64, data []byte) Head {
	return Head{Incident: e.Incident, Steps: e.Steps, seq: seq, hash: hash(data)}
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
