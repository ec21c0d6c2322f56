package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/seal"
)

// Sightings keeps where keys were seen, apart from the log, encrypted under a key of the day, because it must be
// forgotten. It is safe for concurrent use.
type Sightings struct {
	store queue.Store
	days  *seal.Days
}

// NewSightings keeps sightings in a store, under the keys of days.
func NewSightings(store queue.Store, days *seal.Days) *Sightings { return &Sightings{store, days} }

// Add stores a sighting. To add it twice is no error.
func (s *Sightings) Add(ctx context.Context, f leak.Fingerprint, id string, seen leak.Sighting) error {
	plain, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("encoding a sighting: %w", err)
	}
	subject := queue.SightingSubject(f, id)
	data, err := s.days.Seal(seen.SeenAt, plain, subject)
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
		one, err := s.open(message)
		if errors.Is(err, seal.ErrForgotten) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading sightings: %w", err)
		}
		id := incidentOf(message)
		seen[id] = append(seen[id], one)
	}
	return seen, nil
}

func (s *Sightings) open(m queue.Message) (leak.Sighting, error) {
	plain, err := s.days.Open(m.Data, m.Subject)
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

// Run forgets sightings when they are older than a retention, until ctx ends. A day is forgotten as a whole, counted
// from its beginning, so that nothing outlives the retention.
func (s *Sightings) Run(ctx context.Context, retention time.Duration) error {
	for {
		if _, err := s.days.Forget(time.Now().Add(-retention)); err != nil {
			return fmt.Errorf("forgetting sightings: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(forgetEvery):
		}
	}
}
