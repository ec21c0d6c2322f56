package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"stanch/receiver/queue"
)

const (
	// maxRecent is how many entries a notifier knows for certain to have told, the newest; recentAge, for how long. An
	// acknowledgement that a crash undoes is younger and among them.
	maxRecent = 2000
	recentAge = 10 * time.Minute
	// saveTimeout bounds the write of how far a notifier has come.
	saveTimeout = 10 * time.Second
)

// progress is how far a notifier has come, on disk, so that a crash repeats one notice at most: acknowledgements alone
// may be lost in it. Entries are named by their sequence in the log.
type progress struct {
	Told []uint64 `json:"told"` // oldest first
	// Announced is a gathering that is about to be told, and may have been.
	Announced *announced `json:"announced,omitempty"`

	at []time.Time // when each of Told was, as far as this process knows
}

// announced is which entries a gathering holds, and the id under which it is told.
type announced struct {
	ID   string   `json:"id"`
	Seqs []uint64 `json:"seqs"`
}

// has reports whether an entry was told.
func (p *progress) has(seq uint64) bool { return slices.Contains(p.Told, seq) }

// add notes that entries were told, and forgets those that are too old to come back, or too many.
func (p *progress) add(now time.Time, seqs ...uint64) {
	for _, seq := range seqs {
		p.Told, p.at = append(p.Told, seq), append(p.at, now)
	}
	old, _ := slices.BinarySearchFunc(p.at, now.Add(-recentAge), time.Time.Compare)
	old = max(old, len(p.Told)-maxRecent)
	p.Told, p.at = slices.Delete(p.Told, 0, old), slices.Delete(p.at, 0, old)
}

// loadProgress reads how far a notifier has come. What another version wrote counts for nothing.
func loadProgress(ctx context.Context, store queue.Store, notifier string) (progress, error) {
	var p progress
	last, err := store.Last(ctx, queue.ProgressSubject(notifier))
	switch {
	case errors.Is(err, queue.ErrNoMessage):
		return p, nil
	case err != nil:
		return p, fmt.Errorf("reading how far it has come: %w", err)
	}
	if err := json.Unmarshal(last.Data, &p); err != nil {
		return progress{}, nil
	}
	p.at = slices.Repeat([]time.Time{time.Now()}, len(p.Told))
	return p, nil
}

// save writes it, even while everything ends: what was told must not be told again.
func (p *progress) save(ctx context.Context, store queue.Store, notifier string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding how far it has come: %w", err)
	}
	if err := store.Append(ctx, queue.Message{Subject: queue.ProgressSubject(notifier), Data: data}); err != nil {
		return fmt.Errorf("noting how far it has come: %w", err)
	}
	return nil
}
