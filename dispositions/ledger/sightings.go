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
	var seen []leak.Sighting
	for message, err := range s.store.Scan(ctx, queue.SightingSubject(f, "*")) {
		if err != nil {
			return nil, fmt.Errorf("reading sightings: %w", err)
		}
		plain, err := s.days.Open(message.Data, message.Subject)
		if errors.Is(err, seal.ErrForgotten) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading sightings: %w", err)
		}
		var one leak.Sighting
		if err := json.Unmarshal(plain, &one); err != nil {
			return nil, fmt.Errorf("reading sightings: %w", seal.ErrDamaged)
		}
		seen = append(seen, one)
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
