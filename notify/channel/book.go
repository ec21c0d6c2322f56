package channel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"stanch/notify"
	"stanch/receiver/leak"
)

// Book is what a notifier remembers of each incident: a T, kept as JSON in its [notify.Memory]. A notifier that embeds a Book
// is [notify.Remembering]; until it gets a memory it remembers for as long as the process runs. It is safe for concurrent
// use.
type Book[T any] struct {
	memory   notify.Memory
	changing chan struct{} // held by whoever changes something
}

// saveTimeout bounds the write of what has happened, which is made even when there is no time for anything else.
const saveTimeout = 5 * time.Second

// NewBook returns an empty book.
func NewBook[T any]() *Book[T] {
	return &Book[T]{memory: NewMemory(), changing: make(chan struct{}, 1)}
}

// Remember implements [notify.Remembering].
func (b *Book[T]) Remember(m notify.Memory) { b.memory = m }

// Change calls change with what is remembered of an incident and remembers what it returns, even with an error, because part
// of it may have happened. There is one change at a time, so that things happen on the channel in one order. What cannot be
// read, because another version wrote it, counts as nothing.
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

// Look calls look with what is remembered of every incident, while nothing changes. It reads the whole memory.
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

// Hold calls do while nothing changes.
func (b *Book[T]) Hold(ctx context.Context, do func() error) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer b.leave()
	return do()
}

// take waits until nobody changes anything, unless there is no time left.
func (b *Book[T]) take(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		select {
		case b.changing <- struct{}{}:
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return fmt.Errorf("waiting for notices before: %w", err)
}

func (b *Book[T]) leave() { <-b.changing }

func decode[T any](text string) T {
	var value, none T
	if json.Unmarshal([]byte(text), &value) != nil {
		return none
	}
	return value
}

// NewMemory returns a memory that ends with the process.
func NewMemory() notify.Memory { return &scratch{texts: map[leak.Fingerprint]string{}} }

type scratch struct {
	mu    sync.Mutex
	texts map[leak.Fingerprint]string
}

func (s *scratch) Load(_ context.Context, incident leak.Fingerprint) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.texts[incident], nil
}

func (s *scratch) Save(_ context.Context, incident leak.Fingerprint, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts[incident] = text
	return nil
}

func (s *scratch) All(context.Context) (map[leak.Fingerprint]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.texts), nil
}
