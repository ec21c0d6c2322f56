package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// read is the history of a filter since a time.
func (j *JetStream) read(ctx context.Context, filter string, since time.Time) history {
	return func(yield func(Message, error) bool) {
		r, err := j.reader(ctx, filter, since)
		if err != nil {
			yield(Message{}, err)
			return
		}
		defer func() { r.pull.close() }()
		for {
			m, err := r.next(ctx)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// reader reads a stream through a consumer that acknowledges nothing and that it makes anew, behind what it has received,
// whenever the server has lost it or a message on the way.
type reader struct {
	*JetStream
	stream   stream
	filter   string
	since    time.Time
	pull     *puller
	received uint64   // messages of this consumer
	target   uint64   // the last message that was stored at the call
	seen     uint64   // the last message that was handed over
	got      uint64   // the last message that was received
	ahead    *Message // received already, to be handed over next
	caughtUp bool
}

func (j *JetStream) reader(ctx context.Context, filter string, since time.Time) (*reader, error) {
	s, err := readable(filter)
	if err != nil {
		return nil, err
	}
	newest, err := j.Last(ctx, filter)
	if errors.Is(err, ErrNoMessage) {
		newest, err = j.unreadable(ctx, s, filter)
	}
	if err != nil {
		return nil, err
	}
	r := &reader{JetStream: j, stream: s, filter: filter, since: since}
	if !newest.Time.Before(since) {
		r.target = newest.Seq
	}
	if err := r.open(ctx); err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.name, err)
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

// open makes a consumer that starts behind what was received. The server forgets it by itself when it is idle: who reads
// needs no right to delete consumers.
func (r *reader) open(ctx context.Context) error {
	config := r.consumer()
	err := r.patiently(ctx, unanswered, func(ctx context.Context) error {
		_, err := r.js.CreateConsumer(ctx, r.stream.name, config)
		return err
	}, apiConsumerCreate+r.stream.name+"."+config.Name+"."+r.filter)
	if err != nil {
		return err
	}
	p, err := r.puller(ctx, r.stream.name, config.Name, readAhead)
	if err != nil {
		return err
	}
	if r.pull != nil {
		r.pull.close()
	}
	r.pull, r.received = p, 0
	return nil
}

func (r *reader) consumer() jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Name:              "read-" + rand.Text(),
		FilterSubject:     r.filter,
		AckPolicy:         jetstream.AckNonePolicy,
		MaxDeliver:        -1,
		InactiveThreshold: readerIdle,
		MemoryStorage:     true,
		Replicas:          1,
		DeliverPolicy:     jetstream.DeliverAllPolicy,
	}
	switch {
	case r.got > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.got+1
	case !r.since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.since
	}
	return c
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

// receive waits a while for a message. While the reader is behind, what it was to read may have been removed meanwhile,
// and then there is less to catch up with.
func (r *reader) receive(ctx context.Context) error {
	raw, err := r.pull.next(ctx, quiet)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	_, lost := errors.AsType[*refused](err)
	switch {
	case lost || errors.Is(err, errSilent):
		return r.reopen(ctx, err)
	case err != nil:
		return fmt.Errorf("reading on: %w", err)
	case raw != nil:
		return r.take(ctx, raw)
	case !r.caughtUp:
		return r.lower(ctx)
	}
	return nil
}

// take notes a message, and starts anew when one before it is missing.
func (r *reader) take(ctx context.Context, raw *nats.Msg) error {
	m, meta, err := stored(raw)
	if err != nil {
		return err
	}
	if r.received++; meta.Sequence.Consumer != r.received {
		return r.reopen(ctx, errMissed)
	}
	r.ahead, r.got = &m, m.Seq
	return nil
}

var errMissed = errors.New("a message is missing")

// reopen starts anew for as long as it takes, unless that can never be.
func (r *reader) reopen(ctx context.Context, why error) error {
	for {
		r.log.Debug("reading anew", "stream", r.stream.name, "behind", r.got, "err", why)
		if why = r.open(ctx); why == nil {
			return nil
		}
		over := errors.Is(why, ErrForbidden) || errors.Is(why, nats.ErrConnectionClosed) ||
			errors.Is(why, jetstream.ErrStreamNotFound)
		if over || !waited(ctx, askAfterRefusal) {
			return fmt.Errorf("reading on: %w", why)
		}
		r.log.Warn("nobody lets us read", "stream", r.stream.name, "err", why)
	}
}

// lower sets the target to what is stored now, if that is less. Where nobody can tell, it stays.
func (r *reader) lower(ctx context.Context) error {
	newest, err := r.Last(ctx, r.filter)
	switch {
	case err == nil || errors.Is(err, ErrNoMessage):
		r.target = min(r.target, newest.Seq)
	case ctx.Err() != nil || errors.Is(err, ErrForbidden):
		return err
	}
	return nil
}
