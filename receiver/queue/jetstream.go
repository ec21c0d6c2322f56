package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// answerTimeout is how long a store may take to answer a caller who set no deadline. A store whose disk fails does
	// not answer at all.
	answerTimeout = 30 * time.Second
	// maxInFlight is how many messages may be on their way to be stored at once, of all appends together: the server
	// refuses more than 10,000.
	maxInFlight = 4000
)

// Codes of JetStream's refusals.
const (
	codeStoreFailed      = 10077 // no room in the stream, or the message is too large; the text tells which
	codeTooLarge         = 10054
	codeNoResources      = 10023 // no room in the server
	codeAccountFull      = 10002
	codeStorageFull      = 10047
	codeWrongSequence    = 10071
	codeWrongSequenceNow = 10164 // with replicas
	codeInFlight         = 10158 // with replicas: another write on the subject is under way
)

// JetStream is the [Store] over a connection to a NATS server, embedded or not.
type JetStream struct {
	js      jetstream.JetStream
	layout  layout
	streams map[string]jetstream.Stream
	batches chan struct{} // holds one for each batch on its way
	log     *slog.Logger
}

func newJetStream(ctx context.Context, conn *nats.Conn, l layout, log *slog.Logger) (*JetStream, error) {
	js, err := jetstream.New(conn,
		jetstream.WithDefaultTimeout(answerTimeout),
		jetstream.WithPublishAsyncTimeout(answerTimeout),
		jetstream.WithPublishAsyncMaxPending(maxInFlight))
	if err != nil {
		return nil, err
	}
	streams, err := l.lay(ctx, js)
	if err != nil {
		return nil, err
	}
	return &JetStream{js: js, layout: l, streams: streams, batches: make(chan struct{}, maxBatches), log: log}, nil
}

// Append implements [Store]. Nothing is stored when one of the messages is too large. Several messages for one stream
// share flushes of the disk where the stream takes batches.
func (j *JetStream) Append(ctx context.Context, messages ...Message) error {
	for _, m := range messages {
		s, err := streamOf(m.Subject)
		if err != nil {
			return err
		}
		if err := s.takes(m); err != nil {
			return err
		}
	}
	if len(messages) == 1 {
		_, err := j.js.PublishMsg(ctx, outgoing(ctx, messages[0]))
		return storing(err)
	}
	return j.appendAll(ctx, messages)
}

// AppendAfter implements [Store].
func (j *JetStream) AppendAfter(ctx context.Context, m Message, last uint64) (uint64, error) {
	s, err := streamOf(m.Subject)
	if err != nil {
		return 0, err
	}
	if err := s.takes(m); err != nil {
		return 0, err
	}
	ack, err := j.js.PublishMsg(ctx, outgoing(ctx, m), jetstream.WithExpectLastSequencePerSubject(last))
	if lost(err) {
		return 0, fmt.Errorf("%w: %w", ErrConflict, err)
	}
	if err != nil {
		return 0, storing(err)
	}
	return ack.Sequence, nil
}

// Last implements [Store]. It asks the leader: AllowDirect is off.
func (j *JetStream) Last(ctx context.Context, subject string) (Message, error) {
	s, err := streamOf(subject)
	if err != nil {
		return Message{}, err
	}
	raw, err := j.streams[s.name].GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, ErrNoMessage
	}
	if err != nil {
		return Message{}, fmt.Errorf("reading the last message: %w", err)
	}
	return Message{
		Subject: raw.Subject,
		ID:      raw.Header.Get(jetstream.MsgIDHeader),
		Data:    raw.Data,
		Seq:     raw.Sequence,
		Time:    raw.Time,
	}, nil
}

// Remove implements [Store].
func (j *JetStream) Remove(ctx context.Context, subject string) error {
	s, err := streamOf(subject)
	if err != nil {
		return err
	}
	if err := j.streams[s.name].Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		return fmt.Errorf("removing from %s: %w", s.name, err)
	}
	return nil
}

// Discard implements [Store]. What is deleted is overwritten as well.
func (j *JetStream) Discard(ctx context.Context, name string, seq uint64) error {
	s, err := discardable(name)
	if err != nil {
		return err
	}
	err = j.streams[s.name].SecureDeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	if _, gone := j.streams[s.name].GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
		return nil
	}
	return fmt.Errorf("deleting message %d of %s: %w", seq, s.name, err)
}

// Stats implements [Store].
func (j *JetStream) Stats(ctx context.Context, name string) (Stats, error) {
	s, err := streamNamed(name)
	if err != nil {
		return Stats{}, err
	}
	info, err := j.streams[name].Info(ctx)
	if err != nil {
		return Stats{}, fmt.Errorf("asking about %s: %w", name, err)
	}
	changed, err := difference(info.Config, s.config(j.layout.maxStore, j.layout.replicas, j.layout.keys))
	if err != nil {
		return Stats{}, fmt.Errorf("comparing %s: %w", name, err)
	}
	stats := Stats{
		Messages: info.State.Msgs, Bytes: info.State.Bytes, First: info.State.FirstSeq, Last: info.State.LastSeq,
		Changed: changed,
	}
	if stats.Messages > 0 {
		stats.Oldest = info.State.FirstTime
	}
	return stats, nil
}

func outgoing(ctx context.Context, m Message) *nats.Msg {
	out := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: nats.Header{}}
	if m.ID != "" {
		out.Header.Set(jetstream.MsgIDHeader, m.ID)
	}
	label(ctx, out.Header)
	return out
}

// storing says what kept a message from being stored.
func storing(err error) error {
	if err == nil {
		return nil
	}
	refusal, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return fmt.Errorf("storing: %w", err)
	}
	switch refusal.ErrorCode {
	case codeTooLarge:
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case codeNoResources, codeAccountFull, codeStorageFull:
		return fmt.Errorf("%w: %w", ErrFull, err)
	case codeStoreFailed:
		return fmt.Errorf("%w: %w", storeFailure(refusal.Description), err)
	}
	return fmt.Errorf("storing: %w", err)
}

// storeFailure tells apart what JetStream answers with one code.
func storeFailure(text string) error {
	switch text {
	case server.ErrMaxBytes.Error(), server.ErrMaxMsgs.Error():
		return ErrFull
	case server.ErrMsgTooLarge.Error():
		return ErrTooLarge
	}
	return errStore
}

var errStore = errors.New("the store failed")

// lost reports whether a compare-and-swap was refused, or ended without an answer that rules out that it was stored.
func lost(err error) bool {
	if err == nil || errors.Is(err, jetstream.ErrNoStreamResponse) {
		return false
	}
	refusal, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return true
	}
	switch refusal.ErrorCode {
	case codeWrongSequence, codeWrongSequenceNow, codeInFlight:
		return true
	}
	return false
}
