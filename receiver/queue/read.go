package queue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// quiet is how long a reader that is still behind waits for a message before it asks whether there is one: what it
	// was to read may have been removed meanwhile.
	quiet = 3 * time.Second
	// heartbeat is how often the server shows an idle reader that it is there. After two that are missing the reader
	// starts anew behind what it has seen.
	heartbeat = time.Second
	// readAhead is how many messages a reader has on their way to it.
	readAhead = 256
)

// history is a sequence of messages, oldest first. Where what was stored at the call ends, it yields one zero Message; what
// comes later follows. It ends with an error, that of ctx included, or when the loop over it does.
type history = iter.Seq2[Message, error]

// scan yields of a history what was stored when it was called.
func scan(messages history) history {
	return func(yield func(Message, error) bool) {
		for m, err := range messages {
			if err == nil && m.Seq == 0 || !yield(m, err) {
				return
			}
		}
	}
}

// follow hands a history over until ctx ends.
func follow(ctx context.Context, messages history, caughtUp func(), handle func(Message) error) error {
	for m, err := range messages {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case m.Seq == 0:
			caughtUp()
		default:
			if err := handle(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// readable finds the stream of a filter that is to be read. A work queue is not: whoever takes of it settles.
func readable(filter string) (stream, error) {
	s, err := streamOf(filter)
	if err == nil && s.workQueue {
		return stream{}, fmt.Errorf("%s is a work queue and cannot be read", s.name)
	}
	return s, err
}

// Scan implements [Store].
func (j *JetStream) Scan(ctx context.Context, filter string) iter.Seq2[Message, error] {
	return scan(j.read(ctx, filter, time.Time{}))
}

// Follow implements [Store].
func (j *JetStream) Follow(
	ctx context.Context, filter string, since time.Time, caughtUp func(), handle func(Message) error,
) error {
	return follow(ctx, j.read(ctx, filter, since), caughtUp, handle)
}

// read is the history of a filter since a time.
func (j *JetStream) read(ctx context.Context, filter string, since time.Time) history {
	return func(yield func(Message, error) bool) {
		r, err := j.reader(ctx, filter, since)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer r.release()
		for {
			m, err := r.next(ctx)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// reader reads a stream through an ordered consumer, which nats.go makes anew whenever it is lost or misses a message.
type reader struct {
	last     func(context.Context) (Message, error) // the newest message that matches
	messages jetstream.MessagesContext
	release  func()
	target   uint64 // the last message that was stored at the call
	seen     uint64
	ahead    *Message // received already, to be handed over next
	caughtUp bool
}

func (j *JetStream) reader(ctx context.Context, filter string, since time.Time) (*reader, error) {
	r := &reader{last: func(ctx context.Context) (Message, error) { return j.Last(ctx, filter) }}
	s, err := readable(filter)
	if err != nil {
		return nil, err
	}
	newest, err := r.last(ctx)
	if errors.Is(err, ErrNoMessage) {
		newest, err = j.unreadable(ctx, s, filter)
	}
	if err != nil {
		return nil, err
	}
	if !newest.Time.Before(since) {
		r.target = newest.Seq
	}
	consumer, err := j.js.OrderedConsumer(ctx, s.name, ordered(filter, since))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.name, err)
	}
	r.messages, err = consumer.Messages(
		jetstream.PullMaxMessages(readAhead), jetstream.PullExpiry(4*heartbeat), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.name, err)
	}
	stop := context.AfterFunc(ctx, r.messages.Stop)
	r.release = func() {
		stop()
		r.messages.Stop()
		j.forget(s.name, consumer)
	}
	return r, nil
}

// unreadable is the newest message of a stream that is to be read as a whole and of which the server cannot read that one,
// because its bytes were changed on the disk; what it holds is not known. Those before it are read all the same. It is the
// zero Message when there is none.
func (j *JetStream) unreadable(ctx context.Context, s stream, filter string) (Message, error) {
	if filter != s.prefix+".>" {
		return Message{}, nil
	}
	stats, err := j.Stats(ctx, s.name)
	if err != nil || stats.Messages == 0 {
		return Message{}, err
	}
	return Message{Seq: stats.Last, Time: time.Now()}, nil
}

func ordered(filter string, since time.Time) jetstream.OrderedConsumerConfig {
	c := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter},
		DeliverPolicy:  jetstream.DeliverAllPolicy,
	}
	if !since.IsZero() {
		c.DeliverPolicy = jetstream.DeliverByStartTimePolicy
		c.OptStartTime = &since
	}
	return c
}

// forget deletes an ordered consumer, which the server would otherwise keep for five minutes. It is a courtesy: an error
// changes nothing.
func (j *JetStream) forget(stream string, consumer jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if info := consumer.CachedInfo(); info != nil {
		_ = j.js.DeleteConsumer(ctx, stream, info.Name)
	}
}

// next returns the next message, or, once, the zero Message when what was stored at the call has been returned.
func (r *reader) next(ctx context.Context) (Message, error) {
	for {
		if !r.caughtUp && (r.seen >= r.target || r.ahead != nil && r.ahead.Seq > r.target) {
			r.caughtUp = true
			return Message{}, nil
		}
		if m := r.ahead; m != nil {
			r.ahead, r.seen = nil, m.Seq
			return *m, nil
		}
		if err := r.receive(ctx); err != nil {
			return Message{}, err
		}
	}
}

// receive waits for a message. While the reader is behind it does not wait for ever: what it was to read may have been
// removed meanwhile, and then there is less to catch up with.
func (r *reader) receive(ctx context.Context) error {
	waiting, cancel := ctx, context.CancelFunc(func() {})
	if !r.caughtUp {
		waiting, cancel = context.WithTimeout(ctx, quiet)
	}
	defer cancel()
	raw, err := r.messages.Next(jetstream.NextContext(waiting))
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return r.lower(ctx)
	}
	if err != nil {
		return fmt.Errorf("reading on: %w", err)
	}
	m, err := incoming(raw)
	r.ahead = &m
	return err
}

// lower sets the target to what is stored now, if that is less.
func (r *reader) lower(ctx context.Context) error {
	newest, err := r.last(ctx)
	if err != nil && !errors.Is(err, ErrNoMessage) {
		return err
	}
	r.target = min(r.target, newest.Seq)
	return nil
}

// incoming is a message as a reader receives it.
func incoming(raw jetstream.Msg) (Message, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return Message{}, fmt.Errorf("reading a message: %w", err)
	}
	return Message{
		Subject: raw.Subject(),
		ID:      raw.Headers().Get(jetstream.MsgIDHeader),
		Data:    raw.Data(),
		Seq:     meta.Sequence.Stream,
		Time:    meta.Timestamp,
	}, nil
}
