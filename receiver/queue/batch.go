package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// minBatch is how many messages make a batch worth it: a batch has files of its own and costs four flushes and 3 ms
	// whatever its size, as much as twenty messages one by one on a disk that flushes in 0.1 ms and five on one of 2 ms.
	minBatch = 16
	// maxBatch is how many messages the server takes in one batch.
	maxBatch = 1000
	// maxBatchBytes is how much data one batch holds at most: the server has all of it in memory when it ends.
	maxBatchBytes = 8 << 20
	// maxBatches is how many batches may be on their way at once, of all appends together. The server takes up one after
	// the other, refuses more than 50 a stream, and with maxInFlight these stay below the 10,000 messages it lets wait.
	maxBatches = 4
)

// Headers of the messages of a batch, as NATS fixed them in ADR-50.
const (
	headerBatch    = "Nats-Batch-Id"
	headerSequence = "Nats-Batch-Sequence" // in the batch, from 1
	headerCommit   = "Nats-Batch-Commit"   // of the last message: store all, or nothing
)

// part is what one Append has for one stream, or as much of it as fits a batch.
type part struct {
	stream   stream
	messages []Message
	bytes    int
}

// parts divides messages, which all have a stream, by stream and into batches. The order within a stream stays.
func parts(messages []Message) []*part {
	var all []*part
	last := make(map[string]*part)
	for _, m := range messages {
		s, _ := streamOf(m.Subject)
		p := last[s.name]
		if p == nil || len(p.messages) == maxBatch || p.bytes+len(m.Data) > maxBatchBytes {
			p = &part{stream: s}
			last[s.name], all = p, append(all, p)
		}
		p.messages = append(p.messages, m)
		p.bytes += len(m.Data)
	}
	return all
}

// once leaves out every message whose id an earlier one for the same stream has.
func once(messages []Message) []Message {
	type name struct{ stream, id string }
	known := make(map[name]bool)
	return slices.DeleteFunc(slices.Clone(messages), func(m Message) bool {
		s, _ := streamOf(m.Subject)
		this := name{s.name, m.ID}
		again := known[this]
		known[this] = m.ID != ""
		return again
	})
}

// appendAll stores several messages. It ends with the first part that was not stored, and says how many messages were.
func (j *JetStream) appendAll(ctx context.Context, messages []Message) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	messages = once(messages)
	stored := 0
	for _, p := range parts(messages) {
		n, err := j.appendPart(ctx, p)
		stored += n
		if err != nil {
			return fmt.Errorf("%d of %d messages: %w", stored, len(messages), storing(err))
		}
	}
	return nil
}

// appendPart stores a part as a batch. The server refuses a batch as a whole when it would refuse, or absorb by its id,
// a single message of it: then each message goes by itself and has an answer of its own. A batch without an answer may
// be stored, and is tried again only where every message of it is absorbed then.
func (j *JetStream) appendPart(ctx context.Context, p *part) (stored int, err error) {
	err = j.patiently(ctx, againFor(p.messages...), func(ctx context.Context) error {
		stored, err = j.attemptPart(ctx, p)
		return err
	}, p.stream.prefix+".")
	return stored, err
}

func (j *JetStream) attemptPart(ctx context.Context, p *part) (stored int, err error) {
	if !p.stream.batches || len(p.messages) < minBatch {
		return j.appendSingly(ctx, p.messages)
	}
	together := make([]*nats.Msg, 0, len(p.messages))
	for _, m := range p.messages {
		together = append(together, outgoing(ctx, m))
	}
	_, err = j.appendBatch(ctx, together)
	if err == nil {
		return len(p.messages), nil
	}
	if _, refused := errors.AsType[*jetstream.APIError](err); refused {
		return j.appendSingly(ctx, p.messages)
	}
	return 0, err
}

// appendSingly sends all messages before it waits for the first acknowledgement.
func (j *JetStream) appendSingly(ctx context.Context, messages []Message) (stored int, err error) {
	acks := make([]jetstream.PubAckFuture, 0, len(messages))
	for _, m := range messages {
		var ack jetstream.PubAckFuture
		if ack, err = j.js.PublishMsgAsync(outgoing(ctx, m), jetstream.WithStallWait(answerTimeout)); err != nil {
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

// appendBatch stores all messages or none, with one flush of the stream, and returns the sequence of the last. Only the last
// one is answered.
func (j *JetStream) appendBatch(ctx context.Context, messages []*nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, j.attempt)
	defer cancel()
	select {
	case j.batches <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-j.batches }()
	id, last := rand.Text(), len(messages)-1
	for i, m := range messages[:last] {
		if err := j.js.Conn().PublishMsg(inBatch(m, id, i+1)); err != nil {
			return 0, err
		}
	}
	end := inBatch(messages[last], id, last+1)
	end.Header.Set(headerCommit, "1")
	answer, err := j.js.Conn().RequestMsgWithContext(ctx, end)
	if err != nil {
		return 0, err
	}
	return committed(answer.Data, id, len(messages))
}

// inBatch is a copy of a message with its place in a batch: a message that is refused there goes by itself.
func inBatch(m *nats.Msg, id string, sequence int) *nats.Msg {
	header := maps.Clone(m.Header)
	header.Set(headerBatch, id)
	header.Set(headerSequence, strconv.Itoa(sequence))
	return &nats.Msg{Subject: m.Subject, Header: header, Data: m.Data}
}

// committed reads the server's answer to the end of a batch. A server that does not know batches would store message
// by message and answer for the last one alone, so the answer must name the batch.
func committed(answer []byte, id string, messages int) (last uint64, err error) {
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Last  uint64              `json:"seq"`
		Batch string              `json:"batch"`
		Count int                 `json:"count"`
	}
	if err := json.Unmarshal(answer, &ack); err != nil {
		return 0, fmt.Errorf("reading the answer to a batch: %w", err)
	}
	if ack.Error != nil {
		return 0, ack.Error
	}
	if ack.Batch != id || ack.Count != messages {
		return 0, fmt.Errorf("the server answered for %d of the %d messages of a batch", ack.Count, messages)
	}
	return ack.Last, nil
}
