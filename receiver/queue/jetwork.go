package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxAckPending is how many messages of a consumer may be unsettled at once. Those that wait to come back count, so
	// a small number would let a few hundred that wait for a day keep everything else waiting too. What a worker takes
	// is bounded by what it asks for: one.
	maxAckPending = 20_000
	// settleTimeout is how long the server may take to confirm that a message is settled.
	settleTimeout = 10 * time.Second
)

// Work implements [Store].
func (j *JetStream) Work(ctx context.Context, c Consumer, handle func(context.Context, Message) error) error {
	s, err := c.stream()
	if err != nil {
		return err
	}
	err = j.durable(ctx, c)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening consumer %s of %s: %w", c.Name, c.Stream, err)
	}
	err = crew{Consumer: c, handle: handle, log: j.log}.run(ctx, func(ctx context.Context) (hand, error) {
		return j.hand(ctx, s, c)
	})
	if err != nil {
		return fmt.Errorf("consuming %s as %s: %w", c.Stream, c.Name, err)
	}
	return nil
}

// stream checks a consumer and finds its stream.
func (c Consumer) stream() (stream, error) {
	s, err := streamNamed(c.Stream)
	if err != nil {
		return stream{}, err
	}
	if c.New && s.workQueue {
		return stream{}, fmt.Errorf("consumer %s: a work queue such as %s is consumed from its start", c.Name, s.name)
	}
	return s, nil
}

// durable creates a consumer or adjusts the one there is. Where it started stays as it was.
func (j *JetStream) durable(ctx context.Context, c Consumer) error {
	config := jetstream.ConsumerConfig{
		Durable:       c.Name,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: maxAckPending,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	if c.New {
		config.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	name := c.Stream + "." + c.Name
	return j.patiently(ctx, unanswered, func(ctx context.Context) error {
		there, err := j.js.Consumer(ctx, c.Stream, c.Name)
		if err == nil {
			config.DeliverPolicy = there.CachedInfo().Config.DeliverPolicy
		} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
		_, err = j.js.CreateOrUpdateConsumer(ctx, c.Stream, config)
		return err
	}, apiConsumerInfo+name, apiConsumerCreate+name)
}

// hand opens a worker's hand.
func (j *JetStream) hand(ctx context.Context, s stream, c Consumer) (hand, error) {
	p, err := newPuller(ctx, j.js.Conn(), c)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (handed, error) {
		raw, err := p.next(ctx)
		if err != nil {
			return handed{}, err
		}
		return onLoan(s, raw)
	}, nil
}

// onLoan says how a message is given back. Waiting for the server's word makes a settled message settled for good on a
// work queue, and only there.
func onLoan(s stream, raw *nats.Msg) (handed, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return handed{}, fmt.Errorf("reading a message: %w", err)
	}
	h := handed{
		Message: Message{
			Subject:   raw.Subject,
			ID:        raw.Header.Get(jetstream.MsgIDHeader),
			Data:      raw.Data,
			Seq:       meta.Sequence.Stream,
			Time:      meta.Timestamp,
			Delivered: int(meta.NumDelivered),
			origin:    originOf(raw.Header),
		},
		done: func() error { return raw.Ack() },
		back: func(delay time.Duration) error { return raw.NakWithDelay(delay) },
		keep: func() error { return raw.InProgress() },
	}
	if s.workQueue {
		h.done = func() error { return raw.AckSync(nats.AckWait(settleTimeout)) }
	}
	return h, nil
}
