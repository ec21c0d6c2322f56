package pull

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"stanch/receiver/queue"
	"stanch/receiver/queue/consume"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/streams"
)

const (
	// maxAckPending is how many messages of a consumer may be unsettled at once. Those that wait to come back count
	// too, so with a small number a few hundred that wait for a day would hold up everything else. A worker asks for one
	// message at a time, and that bounds what it takes.
	maxAckPending = 20_000
	// maxRefusals is how many requests in a row may be refused, one every RetryPause, before we look whether the consumer
	// exists: a new leader is elected within that time.
	maxRefusals = 10
	// RetryPause is the pause before a refused request is sent again.
	RetryPause = time.Second
	// settleTimeout is how long the server may take to confirm that a message is settled.
	settleTimeout = 10 * time.Second
)

// Prepare creates a durable consumer, or adjusts the one that exists. Where it starts stays as it was.
func Prepare(ctx context.Context, client *natsclient.Client, c queue.Consumer) error {
	config := jetstream.ConsumerConfig{
		Durable:       c.Name,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       consume.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: maxAckPending,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	if c.New {
		config.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	name := c.Stream + "." + c.Name
	return client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) error {
		there, err := client.JS.Consumer(ctx, c.Stream, c.Name)
		if err == nil {
			config.DeliverPolicy = there.CachedInfo().Config.DeliverPolicy
		} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return err
		}
		_, err = client.JS.CreateOrUpdateConsumer(ctx, c.Stream, config)
		return err
	}, natsclient.APIConsumerInfo+name, natsclient.APIConsumerCreate+name)
}

// Fetch opens a worker's fetch from a durable consumer, which must have been prepared.
func Fetch(ctx context.Context, client *natsclient.Client, s streams.Stream, c queue.Consumer) (consume.Fetch, error) {
	p, err := Open(ctx, client, c.Stream, c.Name, 1)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (consume.Delivery, error) {
		raw, err := p.take(ctx, client, c)
		if err != nil {
			return consume.Delivery{}, err
		}
		return leased(s, raw)
	}, nil
}

// take returns the next message of a durable consumer. It blocks until there is one or ctx has ended, however long the
// consumer has no leader: a process that starts again can only ask the same.
func (p *Puller) take(ctx context.Context, client *natsclient.Client, c queue.Consumer) (*nats.Msg, error) {
	for refusals := 0; ; {
		m, err := p.Next(ctx, maxSilence)
		refusal, again := errors.AsType[*RefusedError](err)
		switch {
		case m != nil:
			return m, nil
		case !again && err != nil && !errors.Is(err, ErrSilent):
			return nil, err
		case !again:
			continue
		}
		if refusals++; refusals%maxRefusals == 0 {
			client.Log.Warn("consumer does not answer", "stream", c.Stream, "consumer", c.Name, "err", refusal)
			if err := Prepare(ctx, client, c); errors.Is(err, queue.ErrForbidden) {
				return nil, p.ended(err)
			}
		}
		natsclient.Waited(ctx, RetryPause)
	}
}

// leased says how a delivery is settled. On a work queue an ack waits for the server to confirm it: only then is the message
// settled for good.
func leased(s streams.Stream, raw *nats.Msg) (consume.Delivery, error) {
	m, meta, err := Decode(raw)
	if err != nil {
		return consume.Delivery{}, err
	}
	m.Delivered = int(meta.NumDelivered)
	d := consume.Delivery{
		Message: m,
		Ack:     func() error { return raw.Ack() },
		Nak:     func(delay time.Duration) error { return raw.NakWithDelay(delay) },
		Extend:  func() error { return raw.InProgress() },
	}
	if s.WorkQueue {
		d.Ack = func() error { return raw.AckSync(nats.AckWait(settleTimeout)) }
	}
	return d, nil
}

// Decode reads a message as a consumer delivers it, with its place in the stream and the consumer.
func Decode(raw *nats.Msg) (queue.Message, *nats.MsgMetadata, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return queue.Message{}, nil, fmt.Errorf("reading a message: %w", err)
	}
	return queue.Message{
		Subject: raw.Subject,
		ID:      raw.Header.Get(jetstream.MsgIDHeader),
		Data:    raw.Data,
		Seq:     meta.Sequence.Stream,
		Time:    meta.Timestamp,
		Origin:  originOf(raw.Header),
	}, meta, nil
}

// traceparent is the header with the trace context of whoever stored a message, as W3C Trace Context defines it, in the
// spelling of Go's headers.
const traceparent = "Traceparent"

// originOf reads the trace context of whoever stored a message; invalid: it has none.
func originOf(h nats.Header) trace.SpanContext {
	if len(h[traceparent]) == 0 {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(http.Header(h)))
	return trace.SpanContextFromContext(ctx)
}
