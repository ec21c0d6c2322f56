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
	// maxRefusals is how many requests in a row may be refused, one every askAfterRefusal, before we look whether the
	// consumer is there: a new leader is elected within that time.
	maxRefusals     = 10
	askAfterRefusal = time.Second
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
	err = pool{Consumer: c, handle: handle, log: j.log}.run(ctx, func(ctx context.Context) (fetch, error) {
		return j.fetch(ctx, s, c)
	})
	if err != nil {
		return fmt.Errorf("consuming %s as %s: %w", c.Stream, c.Name, err)
	}
	return nil
}

// Prepare implements [Store].
func (j *JetStream) Prepare(ctx context.Context, c Consumer) error {
	if _, err := c.stream(); err != nil {
		return err
	}
	if err := j.durable(ctx, c); err != nil {
		return fmt.Errorf("making consumer %s of %s: %w", c.Name, c.Stream, err)
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

// fetch opens a worker's fetch.
func (j *JetStream) fetch(ctx context.Context, s stream, c Consumer) (fetch, error) {
	p, err := j.puller(ctx, c.Stream, c.Name, 1)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (delivery, error) {
		raw, err := j.take(ctx, p, c)
		if err != nil {
			return delivery{}, err
		}
		return leased(s, raw)
	}, nil
}

// take returns the next message of a durable consumer. It blocks until there is one, or until ctx has ended, however long
// nobody leads the consumer: who starts anew has nothing else to ask either.
func (j *JetStream) take(ctx context.Context, p *puller, c Consumer) (*nats.Msg, error) {
	for refusals := 0; ; {
		m, err := p.next(ctx, maxSilence)
		refusal, again := errors.AsType[*refused](err)
		switch {
		case m != nil:
			return m, nil
		case !again && err != nil && !errors.Is(err, errSilent):
			return nil, err
		case !again:
			continue
		}
		if refusals++; refusals%maxRefusals == 0 {
			j.log.Warn("consumer does not answer", "stream", c.Stream, "consumer", c.Name, "err", refusal)
			if err := j.durable(ctx, c); errors.Is(err, ErrForbidden) {
				return nil, p.ended(err)
			}
		}
		waited(ctx, askAfterRefusal)
	}
}

// leased says how a delivery is settled. Waiting for the server's word makes a settled message settled for good on a
// work queue, and only there.
func leased(s stream, raw *nats.Msg) (delivery, error) {
	m, meta, err := stored(raw)
	if err != nil {
		return delivery{}, err
	}
	m.Delivered = int(meta.NumDelivered)
	d := delivery{
		Message: m,
		ack:     func() error { return raw.Ack() },
		nak:     func(delay time.Duration) error { return raw.NakWithDelay(delay) },
		extend:  func() error { return raw.InProgress() },
	}
	if s.workQueue {
		d.ack = func() error { return raw.AckSync(nats.AckWait(settleTimeout)) }
	}
	return d, nil
}

// stored is a message as a consumer delivers it.
func stored(raw *nats.Msg) (Message, *nats.MsgMetadata, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return Message{}, nil, fmt.Errorf("reading a message: %w", err)
	}
	return Message{
		Subject: raw.Subject,
		ID:      raw.Header.Get(jetstream.MsgIDHeader),
		Data:    raw.Data,
		Seq:     meta.Sequence.Stream,
		Time:    meta.Timestamp,
		origin:  originOf(raw.Header),
	}, meta, nil
}
