package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
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
	groups  map[string]*group
	rights  *rights
	attempt time.Duration // how long to wait for one answer
	log     *slog.Logger
}

// newJetStream takes over a connection and what goes wrong on it. Its streams are to be laid out before it is used.
func newJetStream(conn *nats.Conn, l layout, log *slog.Logger) (*JetStream, error) {
	js, err := jetstream.New(conn,
		jetstream.WithDefaultTimeout(answerTimeout),
		jetstream.WithPublishAsyncTimeout(answerTimeout),
		jetstream.WithPublishAsyncMaxPending(maxInFlight))
	if err != nil {
		return nil, err
	}
	j := &JetStream{
		js: js, layout: l, batches: make(chan struct{}, maxBatches), groups: map[string]*group{},
		rights: newRights(log), attempt: answerTimeout, log: log,
	}
	for _, s := range table {
		if s.batches {
			j.groups[s.name] = &group{batch: j.appendBatch}
		}
	}
	conn.SetErrorHandler(j.rights.event)
	return j, nil
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
		return storing(j.appendOne(ctx, messages[0]))
	}
	return j.appendAll(ctx, messages)
}

func (j *JetStream) appendOne(ctx context.Context, m Message) error {
	return j.patiently(ctx, againFor(m), func(ctx context.Context) error {
		_, err := j.store(ctx, outgoing(ctx, m))
		return err
	}, m.Subject)
}

// store stores one message, together with others where its stream takes batches, and returns its sequence.
func (j *JetStream) store(ctx context.Context, m *nats.Msg) (uint64, error) {
	alone := func() (uint64, error) {
		ack, err := j.js.PublishMsg(ctx, m)
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	}
	s, err := streamOf(m.Subject)
	if g := j.groups[s.name]; err == nil && g != nil {
		return g.store(ctx, m, alone)
	}
	return alone()
}

// againFor says when messages that were sent may be sent again: one with an id is absorbed, and one that replaces what its
// subject holds replaces itself. Any other might be stored twice.
func againFor(messages ...Message) func(error) bool {
	for _, m := range messages {
		if s, err := streamOf(m.Subject); err != nil || m.ID == "" && s.perSubject != 1 {
			return unsent
		}
	}
	return unanswered
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
	var seq uint64
	err = j.patiently(ctx, unsent, func(ctx context.Context) error {
		out := outgoing(ctx, m)
		out.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
		seq, err = j.store(ctx, out)
		return err
	}, m.Subject)
	if lost(err) {
		return 0, fmt.Errorf("%w: %w", ErrConflict, err)
	}
	if err != nil {
		return 0, storing(err)
	}
	return seq, nil
}

// Last implements [Store]. It asks the leader: AllowDirect is off.
func (j *JetStream) Last(ctx context.Context, subject string) (Message, error) {
	s, err := streamOf(subject)
	if err != nil {
		return Message{}, err
	}
	return j.following(ctx, s, subject, 0)
}

// following is the first message on a subject with at least that sequence, or its last one for 0, or ErrNoMessage.
func (j *JetStream) following(ctx context.Context, s stream, subject string, seq uint64) (Message, error) {
	var raw *jetstream.RawStreamMsg
	err := j.patiently(ctx, unanswered, func(ctx context.Context) (err error) {
		if seq == 0 {
			raw, err = j.streams[s.name].GetLastMsgForSubject(ctx, subject)
		} else {
			raw, err = j.streams[s.name].GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		}
		return err
	}, apiMessageGet+s.name)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, ErrNoMessage
	}
	if err != nil {
		return Message{}, fmt.Errorf("reading a message of %s: %w", s.name, err)
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
	err = j.patiently(ctx, unanswered, func(ctx context.Context) error {
		return j.streams[s.name].Purge(ctx, jetstream.WithPurgeSubject(subject))
	}, apiPurge+s.name)
	if err != nil {
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
	err = j.patiently(ctx, unanswered, func(ctx context.Context) error {
		err := j.streams[s.name].SecureDeleteMsg(ctx, seq)
		if err == nil {
			return nil
		}
		if _, gone := j.streams[s.name].GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return nil
		}
		return err
	}, apiMessageDelete+s.name, apiMessageGet+s.name)
	if err != nil {
		return fmt.Errorf("deleting message %d of %s: %w", seq, s.name, err)
	}
	return nil
}

// Stats implements [Store].
func (j *JetStream) Stats(ctx context.Context, name string) (Stats, error) {
	s, err := streamNamed(name)
	if err != nil {
		return Stats{}, err
	}
	info, err := j.info(ctx, name)
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

func (j *JetStream) info(ctx context.Context, name string) (info *jetstream.StreamInfo, err error) {
	err = j.patiently(ctx, unanswered, func(ctx context.Context) error {
		info, err = j.streams[name].Info(ctx)
		return err
	}, apiInfo+name)
	return info, err
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
	if err == nil || unsent(err) || errors.Is(err, ErrForbidden) {
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
