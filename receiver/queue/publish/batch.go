package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"go.opentelemetry.io/otel/propagation"

	"stanch/receiver/queue"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/streams"
)

const (
	// minBatch is how many messages make a batch worth its price. It has files of its own and costs four flushes and 3 ms,
	// whatever its size: as much as twenty single messages on a disk that flushes in 0.1 ms, and five on one of 2 ms.
	minBatch = 16
	// maxBatch is how many messages the server takes in one batch.
	maxBatch = 1000
	// maxBatchBytes is how much data one batch holds at most: the server has all of it in memory when it ends.
	maxBatchBytes = 8 << 20
	// maxBatches is how many batches may be on their way at once, over all appends. The server takes one after the other and
	// refuses more than 50 a stream. With what natsclient lets be in flight, these stay below the 10,000 messages that the
	// server lets wait.
	maxBatches = 4
)

// part is the messages of one Append for one stream, or as many of them as fit a batch.
type part struct {
	stream   streams.Stream
	messages []queue.Message
	bytes    int
}

// parts divides messages, which all have a stream, by stream and into batches. It keeps the order within a stream.
func parts(messages []queue.Message) []*part {
	var all []*part
	last := make(map[string]*part)
	for _, m := range messages {
		s, _ := streams.Of(m.Subject)
		p := last[s.Name]
		if p == nil || len(p.messages) == maxBatch || p.bytes+len(m.Data) > maxBatchBytes {
			p = &part{stream: s}
			last[s.Name], all = p, append(all, p)
		}
		p.messages = append(p.messages, m)
		p.bytes += len(m.Data)
	}
	return all
}

// once leaves out messages that have the same id as an earlier one for the same stream.
func once(messages []queue.Message) []queue.Message {
	type name struct{ stream, id string }
	known := make(map[name]bool)
	return slices.DeleteFunc(slices.Clone(messages), func(m queue.Message) bool {
		s, _ := streams.Of(m.Subject)
		this := name{s.Name, m.ID}
		again := known[this]
		known[this] = m.ID != ""
		return again
	})
}

// appendAll stores several messages. It ends at the first part that was not stored, and says how many messages were.
func (p *Publisher) appendAll(ctx context.Context, messages []queue.Message) error {
	ctx, cancel := context.WithTimeout(ctx, natsclient.AnswerTimeout)
	defer cancel()
	messages = once(messages)
	stored := 0
	for _, one := range parts(messages) {
		n, err := p.appendPart(ctx, one)
		stored += n
		if err != nil {
			return fmt.Errorf("%d of %d messages: %w", stored, len(messages), storing(err))
		}
	}
	return nil
}

// appendPart stores a part as a batch. The server refuses a whole batch when it would refuse, or ignore as a duplicate, a
// single message of it: then each message goes by itself and gets its own answer. A batch without an answer may be stored,
// so it is tried again only where that would store no message twice.
func (p *Publisher) appendPart(ctx context.Context, one *part) (stored int, err error) {
	err = p.client.Do(ctx, againFor(one.messages...), func(ctx context.Context) error {
		stored, err = p.attemptPart(ctx, one)
		return err
	}, one.stream.Prefix+".")
	return stored, err
}

func (p *Publisher) attemptPart(ctx context.Context, one *part) (stored int, err error) {
	if !one.stream.Batches || len(one.messages) < minBatch {
		return p.appendSingly(ctx, one.messages)
	}
	together := make([]*nats.Msg, 0, len(one.messages))
	for _, m := range one.messages {
		together = append(together, outgoing(ctx, m))
	}
	_, err = p.appendBatch(ctx, together)
	if err == nil {
		return len(one.messages), nil
	}
	if _, refused := errors.AsType[*jetstream.APIError](err); refused {
		return p.appendSingly(ctx, one.messages)
	}
	return 0, err
}

// appendSingly sends all messages before it waits for the first acknowledgement.
func (p *Publisher) appendSingly(ctx context.Context, messages []queue.Message) (stored int, err error) {
	acks := make([]jetstream.PubAckFuture, 0, len(messages))
	for _, m := range messages {
		var ack jetstream.PubAckFuture
		if ack, err = p.client.JS.PublishMsgAsync(outgoing(ctx, m), jetstream.WithStallWait(natsclient.AnswerTimeout)); err != nil {
			break
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		var refusal error
		select {
		case <-ack.Ok():
			stored++
		case refusal = <-ack.Err():
		case <-ctx.Done():
			refusal = ctx.Err()
		}
		if err == nil {
			err = refusal
		}
	}
	return stored, err
}

// appendBatch stores all messages or none, with one flush of the stream, and returns the sequence of the last. It waits for
// one answer only, the last.
func (p *Publisher) appendBatch(ctx context.Context, messages []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, p.client.Attempt)
	defer cancel()
	select {
	case p.batches <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-p.batches }()
	together := make([]*nats.Msg, 0, len(messages))
	for _, m := range messages { // copies, because the batch's headers are set in them, and a refused message goes by itself
		together = append(together, &nats.Msg{Subject: m.Subject, Header: maps.Clone(m.Header), Data: m.Data})
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, p.client.JS, together, jetstreamext.BatchFlowControl{})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// outgoing is a message as NATS carries it, with the trace context of ctx.
func outgoing(ctx context.Context, m queue.Message) *nats.Msg {
	out := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
	if m.ID != "" {
		out.Header.Set(jetstream.MsgIDHeader, m.ID)
	}
	label(ctx, out.Header)
	return out
}

// label puts the trace context of ctx into the headers of a message; without one they stay as they are. Baggage is not
// carried.
func label(ctx context.Context, h nats.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(http.Header(h)))
}
