package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"stanch/receiver/queue"
	"stanch/receiver/seal"
)

// dayKeys are the keys of days in a store, each sealed to the engine's identity, so that every engine has them. They
// implement [seal.DayKeys].
type dayKeys struct{ store queue.Store }

// Load implements [seal.DayKeys].
func (k dayKeys) Load(ctx context.Context, day string) ([]byte, error) {
	message, err := k.store.Last(ctx, queue.DaySubject(day))
	if errors.Is(err, queue.ErrNoMessage) {
		return nil, seal.ErrForgotten
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of %s: %w", day, err)
	}
	return message.Data, nil
}

// Make implements [seal.DayKeys]. A conflict is as good as a success: the day has a key, ours or another's.
func (k dayKeys) Make(ctx context.Context, day string, sealed []byte) error {
	_, err := k.store.AppendAfter(ctx, queue.Message{Subject: queue.DaySubject(day), Data: sealed}, 0)
	if err != nil && !errors.Is(err, queue.ErrConflict) {
		return fmt.Errorf("keeping the key of %s: %w", day, err)
	}
	return nil
}

// Days implements [seal.DayKeys].
func (k dayKeys) Days(ctx context.Context) ([]string, error) {
	var days []string
	for message, err := range k.store.Scan(ctx, queue.AllDays) {
		if err != nil {
			return nil, err
		}
		days = append(days, strings.TrimPrefix(message.Subject, queue.DaySubject("")))
	}
	return days, nil
}

// Forget implements [seal.DayKeys]. The bytes of the key are overwritten in the store.
func (k dayKeys) Forget(ctx context.Context, day string) error {
	message, err := k.store.Last(ctx, queue.DaySubject(day))
	if errors.Is(err, queue.ErrNoMessage) {
		return nil
	}
	if err != nil {
		return err
	}
	return k.store.Discard(ctx, queue.Days, message.Seq)
}
