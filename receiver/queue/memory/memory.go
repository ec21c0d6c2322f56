// Package memory is the twin of the stores on NATS, in memory, for simulations and tests. It blocks on channels and timers
// only, so it runs in a bubble of testing/synctest.
package memory

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"stanch/receiver/queue"
	"stanch/receiver/queue/consume"
	"stanch/receiver/queue/streams"
)

// Store is a queue.Store in memory, with its queue.Requests. Unlike a store on NATS it is never full, and a message whose
// handler never returns does not come back.
type Store struct {
	requests
	streams map[string]*stream
	log     *slog.Logger
}

// New returns an empty store, which logs to slog.Default.
func New() *Store {
	m := &Store{streams: make(map[string]*stream), log: slog.Default()}
	for _, s := range streams.All() {
		m.streams[s.Name] = newStream(s)
	}
	return m
}

// Append implements [queue.Store]. Nothing is stored when one of the messages is too large.
func (m *Store) Append(ctx context.Context, messages ...queue.Message) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	for _, message := range messages {
		s, err := streams.Of(message.Subject)
		if err != nil {
			return err
		}
		if err := s.Takes(message); err != nil {
			return err
		}
	}
	for _, message := range messages {
		s, _ := streams.Of(message.Subject)
		message.Origin = trace.SpanContextFromContext(ctx)
		m.streams[s.Name].add(message)
	}
	return nil
}

// AppendAfter implements [queue.Store].
func (m *Store) AppendAfter(ctx context.Context, message queue.Message, last uint64) (uint64, error) {
	s, err := streams.Of(message.Subject)
	if err != nil {
		return 0, err
	}
	if err := s.Takes(message); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("%w: %w", queue.ErrConflict, err)
	}
	message.Origin = trace.SpanContextFromContext(ctx)
	return m.streams[s.Name].addAfter(message, last)
}

// Last implements [queue.Store].
func (m *Store) Last(ctx context.Context, subject string) (queue.Message, error) {
	s, err := streams.Of(subject)
	if err != nil {
		return queue.Message{}, err
	}
	if err := ctx.Err(); err != nil {
		return queue.Message{}, fmt.Errorf("reading the last message: %w", err)
	}
	return m.streams[s.Name].lastOf(subject)
}

// Scan implements [queue.Store].
func (m *Store) Scan(ctx context.Context, filter string) iter.Seq2[queue.Message, error] {
	return consume.Scan(m.read(ctx, filter, time.Time{}))
}

// Follow implements [queue.Store].
func (m *Store) Follow(
	ctx context.Context, filter string, since time.Time, caughtUp func(), handle func(queue.Message) error,
) error {
	return consume.Follow(ctx, m.read(ctx, filter, since), caughtUp, handle)
}

// read is the history of a filter since a time.
func (m *Store) read(ctx context.Context, filter string, since time.Time) consume.History {
	return func(yield func(queue.Message, error) bool) {
		s, err := streams.Readable(filter)
		if err != nil {
			yield(queue.Message{}, err)
			return
		}
		m.streams[s.Name].read(ctx, filter, since, yield)
	}
}

// Remove implements [queue.Store].
func (m *Store) Remove(_ context.Context, subject string) error {
	s, err := streams.Of(subject)
	if err != nil {
		return err
	}
	if s.Permanent {
		return fmt.Errorf("removing from %s: %w", s.Name, streams.ErrPermanent)
	}
	m.streams[s.Name].remove(func(one queue.Message) bool { return matches(subject, one.Subject) })
	return nil
}

// Discard implements [queue.Store].
func (m *Store) Discard(_ context.Context, name string, seq uint64) error {
	s, err := streams.Discardable(name)
	if err != nil {
		return err
	}
	m.streams[s.Name].remove(func(one queue.Message) bool { return one.Seq == seq })
	return nil
}

// Stats implements [queue.Store].
func (m *Store) Stats(_ context.Context, name string) (queue.Stats, error) {
	if _, err := streams.Named(name); err != nil {
		return queue.Stats{}, err
	}
	return m.streams[name].stats(), nil
}

// Prepare implements [queue.Store].
func (m *Store) Prepare(_ context.Context, c queue.Consumer) error {
	s, err := streams.Consumed(c)
	if err != nil {
		return err
	}
	if _, err = m.streams[s.Name].consumer(c); err != nil {
		return fmt.Errorf("making consumer %s of %s: %w", c.Name, c.Stream, err)
	}
	return nil
}

// Work implements [queue.Store].
func (m *Store) Work(ctx context.Context, c queue.Consumer, handle func(context.Context, queue.Message) error) error {
	s, err := streams.Consumed(c)
	if err != nil {
		return err
	}
	consumer, err := m.streams[s.Name].consumer(c)
	if err != nil {
		return fmt.Errorf("opening consumer %s of %s: %w", c.Name, c.Stream, err)
	}
	pool := consume.Pool{Consumer: c, Handle: handle, Log: m.log}
	err = pool.Run(ctx, func(context.Context) (consume.Fetch, error) { return consumer.next, nil })
	if err != nil {
		return fmt.Errorf("consuming %s as %s: %w", c.Stream, c.Name, err)
	}
	return nil
}
