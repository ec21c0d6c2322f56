package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"stanch/notify"
	"stanch/receiver/leak"
)

// Book is what a notifier remembers of each incident: a T, kept as JSON in its [notify.Memory]. A notifier that embeds one
// is [notify.Remembering]; until it is handed a memory it remembers for as long as the process runs. It is safe for
// concurrent use.
type Book[T any] struct {
	memory notify.Memory
	turn   chan struct{} // held by whoever changes something
}

// saveTimeout bounds how long it takes to remember what has happened, whether or not there is time for more.
const saveTimeout = 5 * time.Second

// NewBook returns a book with nothing in it.
func NewBook[T any]() *Book[T] {
	return &Book[T]{memory: NewMemory(), turn: make(chan struct{}, 1)}
}

// Remember implements [notify.Remembering].
func (b *Book[T]) Remember(m notify.Memory) { b.memory = m }

// Change has what is remembered of an incident changed, one change at a time, so that what happens on the channel
// meanwhile happens in one order. What change returns is remembered even with an error, because part of it may have
// happened. What cannot be read, because another version wrote it, is taken as nothing.
func (b *Book[T]) Change(ctx context.Context, incident leak.Fingerprint, change func(last T) (T, error)) error {
	return b.Hold(ctx, func() error {
		text, err := b.memory.Load(ctx, incident)
		if err != nil {
			return fmt.Errorf("remembering an incident: %w", err)
		}
		last := decode[T](text)
		before, err := json.Marshal(last)
		if err != nil {
			return fmt.Errorf("encoding what is remembered of an incident: %w", err)
		}
		next, err := change(last)
		if lost := b.save(ctx, incident, before, next); err == nil {
			err = lost
		}
		return err
	})
}

func (b *Book[T]) save(ctx context.Context, incident leak.Fingerprint, before []byte, next T) error {
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encoding what is remembered of an incident: %w", err)
	}
	if bytes.Equal(data, before) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := b.memory.Save(ctx, incident, string(data)); err != nil {
		return fmt.Errorf("remembering an incident: %w", err)
	}
	return nil
}

// Look shows what is remembered of every incident, while nothing is changed. It reads all of the memory.
func (b *Book[T]) Look(ctx context.Context, look func(all map[leak.Fingerprint]T)) error {
	return b.Hold(ctx, func() error {
		texts, err := b.memory.All(ctx)
		if err != nil {
			return fmt.Errorf("remembering all incidents: %w", err)
		}
		all := make(map[leak.Fingerprint]T, len(texts))
		for incident, text := range texts {
			all[incident] = decode[T](text)
		}
		look(all)
		return nil
	})
}

// Hold has something done while nothing is changed.
func (b *Book[T]) Hold(ctx context.Context, do func() error) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer b.leave()
	return do()
}

// take waits for its turn, unless there is no time left.
func (b *Book[T]) take(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		select {
		case b.turn <- struct{}{}:
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return fmt.Errorf("waiting for notices before: %w", err)
}

func (b *Book[T]) leave() { <-b.turn }

func decode[T any](text string) T {
	var value, none T
	if json.Unmarshal([]byte(text), &value) != nil {
		return none
	}
	return value
}
