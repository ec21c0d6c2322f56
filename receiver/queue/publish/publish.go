// Package publish stores messages in the streams of a NATS server. Those that come together share flushes of the disk.
package publish

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/streams"
)

// Publisher is the part of a [queue.Store] that appends. Methods are safe for concurrent use.
type Publisher struct {
	client  *natsclient.Client
	batches chan struct{} // holds one for each batch on its way
	groups  map[string]*group
}

// New returns a publisher. The streams must have been laid out.
func New(client *natsclient.Client) *Publisher {
	p := &Publisher{client: client, batches: make(chan struct{}, maxBatches), groups: make(map[string]*group)}
	for _, s := range streams.All() {
		if s.Batches {
			p.groups[s.Name] = &group{batch: p.appendBatch}
		}
	}
	return p
}

// Append implements [queue.Store]. Nothing is stored when one of the messages is too large. Several messages for a stream that takes
// batches share flushes of the disk.
func (p *Publisher) Append(ctx context.Context, messages ...queue.Message) error {
	for _, m := range messages {
		s, err := streams.Of(m.Subject)
		if err != nil {
			return err
		}
		if err := s.Takes(m); err != nil {
			return err
		}
	}
	if len(messages) == 1 {
		return storing(p.appendOne(ctx, messages[0]))
	}
	return p.appendAll(ctx, messages)
}

func (p *Publisher) appendOne(ctx context.Context, m queue.Message) error {
	return p.client.Do(ctx, againFor(m), func(ctx context.Context) error {
		_, err := p.store(ctx, outgoing(ctx, m))
		return err
	}, m.Subject)
}

// store stores one message, together with others where its stream takes batches, and returns its sequence.
func (p *Publisher) store(ctx context.Context, m *nats.Msg) (uint64, error) {
	alone := func() (uint64, error) {
		ack, err := p.client.JS.PublishMsg(ctx, m)
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	}
	s, err := streams.Of(m.Subject)
	if g := p.groups[s.Name]; err == nil && g != nil {
		return g.store(ctx, m, alone)
	}
	return alone()
}

// AppendAfter implements [queue.Store].
func (p *Publisher) AppendAfter(ctx context.Context, m queue.Message, last uint64) (uint64, error) {
	s, err := streams.Of(m.Subject)
	if err != nil {
		return 0, err
	}
	if err := s.Takes(m); err != nil {
		return 0, err
	}
	var seq uint64
	err = p.client.Do(ctx, natsclient.Unsent, func(ctx context.Context) error {
		out := outgoing(ctx, m)
		out.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
		seq, err = p.store(ctx, out)
		return err
	}, m.Subject)
	if lost(err) {
		return 0, fmt.Errorf("%w: %w", queue.ErrConflict, err)
	}
	if err != nil {
		return 0, storing(err)
	}
	return seq, nil
}
