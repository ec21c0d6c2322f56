package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	consumer, err := j.durable(ctx, c)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening consumer %s of %s: %w", c.Name, c.Stream, err)
	}
	err = crew{Consumer: c, handle: handle, log: j.log}.run(ctx, func(ctx context.Context) (hand, error) {
		return j.hand(ctx, s, consumer)
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
func (j *JetStream) durable(ctx context.Context, c Consumer) (jetstream.Consumer, error) {
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
	there, err := j.js.Consumer(ctx, c.Stream, c.Name)
	if err == nil {
		config.DeliverPolicy = there.CachedInfo().Config.DeliverPolicy
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	return j.js.CreateOrUpdateConsumer(ctx, c.Stream, config)
}

// hand takes one message at a time: none waits in this process while another process could work on it. When ctx ends,
// what the server has sent by then still comes out.
func (j *JetStream) hand(ctx context.Context, s stream, consumer jetstream.Consumer) (hand, error) {
	messages, err := consumer.Messages(
		jetstream.PullMaxMessages(1), jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, messages.Drain)
	return func(context.Context) (handed, error) {
		raw, err := messages.Next()
		if err != nil {
			return handed{}, err
		}
		return onLoan(s, raw)
	}, nil
}

// onLoan says how a message is given back. Only on a work queue does waiting for the server's word make a settled message
// settled for good.
func onLoan(s stream, raw jetstream.Msg) (handed, error) {
	m, err := incoming(raw)
	if err != nil {
		return handed{}, err
	}
	h := handed{Message: m, done: raw.Ack, back: raw.NakWithDelay, keep: raw.InProgress}
	if s.workQueue {
		h.done = func() error {
			ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
			defer cancel()
			return raw.DoubleAck(ctx)
		}
	}
	return h, nil
}
