package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/seal"
)

// Sightings keeps where keys were seen, apart from the log, encrypted under a key of the day, because it must be
// forgotten. It is safe for concurrent use, also by several processes.
type Sightings struct {
	store queue.Store
	days  *seal.Days
}

// NewSightings keeps sightings in a store, under keys of days that are sealed to a recipient and kept there as well.
func NewSightings(store queue.Store, recipient *seal.Recipient, identities *seal.Identities) *Sightings {
	return &Sightings{store, seal.NewDays(recipient, identities, dayKeys{store})}
}

// Add stores a sighting. To add it twice is no error.
func (s *Sightings) Add(ctx context.Context, f leak.Fingerprint, id string, seen leak.Sighting) error {
	plain, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("encoding a sighting: %w", err)
	}
	subject := queue.SightingSubject(f, id)
	data, err := s.days.Seal(ctx, seen.SeenAt, plain, subject)
	if err != nil {
		return err
	}
	if err := s.store.Append(ctx, queue.Message{Subject: subject, Data: data}); err != nil {
		return fmt.Errorf("storing a sighting: %w", err)
	}
	return nil
}

// Of returns the sightings of an incident that are not forgotten yet, oldest first.
func (s *Sightings) Of(ctx context.Context, f leak.Fingerprint) ([]leak.Sighting, error) {
	seen, err := s.OfAll(ctx, f)
	return seen[f], err
}

// OfAll returns the sightings of incidents, whether they are few or all; those of each that are not forgotten yet, oldest
// first.
func (s *Sightings) OfAll(ctx context.Context, ids ...leak.Fingerprint) (map[leak.Fingerprint][]leak.Sighting, error) {
	filter := func(f leak.Fingerprint) string { return queue.SightingSubject(f, "*") }
	seen := map[leak.Fingerprint][]leak.Sighting{}
	for message, err := range several(ctx, s.store, queue.Sightings, filter, ids) {
		if err != nil {
			return nil, fmt.Errorf("reading sightings: %w", err)
		}
		one, err := s.open(ctx, message)
		if errors.Is(err, seal.ErrForgotten) || errors.Is(err, seal.ErrIdentity) {
			continue // an identity that was thrown away forgets as well
		}
		if err != nil {
			return nil, fmt.Errorf("reading sightings: %w", err)
		}
		id := incidentOf(message)
		seen[id] = append(seen[id], one)
	}
	return seen, nil
}

func (s *Sightings) open(ctx context.Context, m queue.Message) (leak.Sighting, error) {
	plain, err := s.days.Open(ctx, m.Data, m.Subject)
	if err != nil {
		return leak.Sighting{}, err
	}
	var seen leak.Sighting
	if json.Unmarshal(plain, &seen) != nil {
		return leak.Sighting{}, seal.ErrDamaged
	}
	return seen, nil
}

// forgetEvery is how often Run looks for days to forget.
const forgetEvery = time.Hour

// Run forgets sightings when they are older than a retention, until ctx ends. What cannot be forgotten now is forgotten
// the next time.
func (s *Sightings) Run(ctx context.Context, retention time.Duration, log *slog.Logger) error {
	for {
		if _, err := s.Forget(ctx, time.Now().Add(-retention)); err != nil && ctx.Err() == nil {
			log.Warn("sightings are not forgotten yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(forgetEvery):
		}
	}
}

// Forget forgets the sightings of the days that began before a time, and returns how many days they were. A day is
// forgotten as a whole, counted from its beginning, so that nothing outlives the time.
func (s *Sightings) Forget(ctx context.Context, before time.Time) (int, error) {
	return s.days.Forget(ctx, before)
}
