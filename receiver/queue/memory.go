package queue

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Memory is a [Store] in memory, for simulations and tests: it blocks on channels and timers only, so it runs in a
// bubble of testing/synctest. It differs from [Embedded] in that it is never full, and in that a message whose handler
// never returns does not come back.
type Memory struct {
	memoryRequests
	streams map[string]*memoryStream
	log     *slog.Logger
}

// NewMemory returns an empty store, which logs to slog.Default.
func NewMemory() *Memory {
	m := &Memory{streams: make(map[string]*memoryStream), log: slog.Default()}
	for _, s := range table {
		m.streams[s.name] = newMemoryStream(s)
	}
	return m
}

// Append implements [Store]. Nothing is stored when one of the messages is too large.
func (m *Memory) Append(ctx context.Context, messages ...Message) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("storing: %w", err)
	}
	for _, message := range messages {
		s, err := streamOf(message.Subject)
		if err != nil {
			return err
		}
		if err := s.takes(message); err != nil {
			return err
		}
	}
	for _, message := range messages {
		s, _ := streamOf(message.Subject)
		message.origin = trace.SpanContextFromContext(ctx)
		m.streams[s.name].add(message)
	}
	return nil
}

// AppendAfter implements [Store].
func (m *Memory) AppendAfter(ctx context.Context, message Message, last uint64) (uint64, error) {
	s, err := streamOf(message.Subject)
	if err != nil {
		return 0, err
	}
	if err := s.takes(message); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrConflict, err)
	}
	message.origin = trace.SpanContextFromContext(ctx)
	return m.streams[s.name].addAfter(message, last)
}

// Last implements [Store].
func (m *Memory) Last(ctx context.Context, subject string) (Message, error) {
	s, err := streamOf(subject)
	if err != nil {
		return Message{}, err
	}
	if err := ctx.Err(); err != nil {
		return Message{}, fmt.Errorf("reading the last message: %w", err)
	}
	return m.streams[s.name].lastOf(subject)
}

// Scan implements [Store].
func (m *Memory) Scan(ctx context.Context, filter string) iter.Seq2[Message, error] {
	return scan(m.read(ctx, filter, time.Time{}))
}

// Follow implements [Store].
func (m *Memory) Follow(
	ctx context.Context, filter string, since time.Time, caughtUp func(), handle func(Message) error,
) error {
	return follow(ctx, m.read(ctx, filter, since), caughtUp, handle)
}

// read is the history of a filter since a time.
func (m *Memory) read(ctx context.Context, filter string, since time.Time) history {
	return func(yield func(Message, error) bool) {
		s, err := readable(filter)
		if err != nil {
			yield(Message{}, err)
			return
		}
		m.streams[s.name].read(ctx, filter, since, yield)
	}
}

// Remove implements [Store].
func (m *Memory) Remove(_ context.Context, subject string) error {
	s, err := streamOf(subject)
	if err != nil {
		return err
	}
	if s.deny {
		return fmt.Errorf("removing from %s: %w", s.name, errDenied)
	}
	m.streams[s.name].remove(func(one Message) bool { return matches(subject, one.Subject) })
	return nil
}

// Discard implements [Store].
func (m *Memory) Discard(_ context.Context, name string, seq uint64) error {
	s, err := discardable(name)
	if err != nil {
		return err
	}
	m.streams[s.name].remove(func(one Message) bool { return one.Seq == seq })
	return nil
}

// Stats implements [Store].
func (m *Memory) Stats(_ context.Context, name string) (Stats, error) {
	if _, err := streamNamed(name); err != nil {
		return Stats{}, err
	}
	return m.streams[name].stats(), nil
}

// Prepare implements [Store].
func (m *Memory) Prepare(_ context.Context, c Consumer) error {
	s, err := c.stream()
	if err != nil {
		return err
	}
	if _, err = m.streams[s.name].consumer(c); err != nil {
		return fmt.Errorf("making consumer %s of %s: %w", c.Name, c.Stream, err)
	}
	return nil
}

// Work implements [Store].
func (m *Memory) Work(ctx context.Context, c Consumer, handle func(context.Context, Message) error) error {
	s, err := c.stream()
	if err != nil {
		return err
	}
	consumer, err := m.streams[s.name].consumer(c)
	if err != nil {
		return fmt.Errorf("opening consumer %s of %s: %w", c.Name, c.Stream, err)
	}
	err = pool{Consumer: c, handle: handle, log: m.log}.run(ctx, func(context.Context) (fetch, error) {
		return consumer.next, nil
	})
	if err != nil {
		return fmt.Errorf("consuming %s as %s: %w", c.Stream, c.Name, err)
	}
	return nil
}

// matches reports whether a subject matches a filter: * stands for one token, > for all that follow, one at least.
func matches(filter, subject string) bool {
	want, got := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range want {
		if i >= len(got) {
			return false
		}
		if token == ">" {
			return true
		}
		if token != "*" && token != got[i] {
			return false
		}
	}
	return len(want) == len(got)
}

// copied is a message whose data nobody else holds.
func copied(m Message) Message {
	m.Data = slices.Clone(m.Data)
	return m
}
