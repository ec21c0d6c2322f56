package read

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/consume"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/pull"
	"stanch/receiver/queue/streams"
)

const (
	// quiet is how long a reader that is still behind waits for a message before it asks whether there is one: the messages
	// that it was to read may have been removed meanwhile.
	quiet = 3 * time.Second
	// readAhead is how many messages a reader has on their way to it.
	readAhead = 256
	// readerIdle is how long the server remembers a reader that asks for nothing.
	readerIdle = 15 * time.Second
)

// Scan implements [queue.Store]. A filter that does not match a whole stream takes one message after the other from the
// leader: a consumer, which a cluster has to agree on, costs more than a few messages.
func (r *Reader) Scan(ctx context.Context, filter string) iter.Seq2[queue.Message, error] {
	if whole(filter) {
		return consume.Scan(r.history(ctx, filter, time.Time{}))
	}
	return r.walk(ctx, filter)
}

// whole reports whether a filter matches all of a stream, or most of it.
func whole(filter string) bool {
	_, rest, _ := strings.Cut(filter, ".")
	return strings.HasPrefix(rest, "*") || strings.HasPrefix(rest, ">")
}

// walk yields what matches a filter, one request a message.
func (r *Reader) walk(ctx context.Context, filter string) iter.Seq2[queue.Message, error] {
	return func(yield func(queue.Message, error) bool) {
		s, err := streams.Readable(filter)
		if err != nil {
			yield(queue.Message{}, err)
			return
		}
		newest, err := r.Last(ctx, filter)
		for seq := uint64(1); err == nil && seq <= newest.Seq; {
			var m queue.Message
			if m, err = r.following(ctx, s, filter, seq); err != nil || m.Seq > newest.Seq || !yield(m, nil) {
				break
			}
			seq = m.Seq + 1
		}
		if err != nil && !errors.Is(err, queue.ErrNoMessage) {
			yield(queue.Message{}, err)
		}
	}
}

// Follow implements [queue.Store].
func (r *Reader) Follow(
	ctx context.Context, filter string, since time.Time, caughtUp func(), handle func(queue.Message) error,
) error {
	return consume.Follow(ctx, r.history(ctx, filter, since), caughtUp, handle)
}

// history is the history of a filter since a time.
func (r *Reader) history(ctx context.Context, filter string, since time.Time) consume.History {
	return func(yield func(queue.Message, error) bool) {
		h, err := r.start(ctx, filter, since)
		if err != nil {
			yield(queue.Message{}, err)
			return
		}
		defer func() { h.pull.Close() }()
		for {
			m, err := h.next(ctx)
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// history reads a stream through a consumer without acknowledgements. Whenever the server has lost that consumer, or a
// message on the way, it makes another one that starts behind the last message received.
type history struct {
	*Reader
	stream   streams.Stream
	filter   string
	since    time.Time
	pull     *pull.Puller
	received uint64         // messages of this consumer
	target   uint64         // the last message that was stored at the call
	seen     uint64         // the last message that was passed on
	got      uint64         // the last message that was received
	ahead    *queue.Message // received already, to be passed on next
	caughtUp bool
}

func (r *Reader) start(ctx context.Context, filter string, since time.Time) (*history, error) {
	s, err := streams.Readable(filter)
	if err != nil {
		return nil, err
	}
	newest, err := r.Last(ctx, filter)
	if errors.Is(err, queue.ErrNoMessage) {
		newest, err = r.unreadable(ctx, s, filter)
	}
	if err != nil {
		return nil, err
	}
	h := &history{Reader: r, stream: s, filter: filter, since: since}
	if !newest.Time.Before(since) {
		h.target = newest.Seq
	}
	if err := h.open(ctx); err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.Name, err)
	}
	return h, nil
}

// unreadable is the newest message of a stream where the server cannot read that one, because its bytes changed on the disk.
// What it holds is not known, but those before it are read all the same, if the filter matches the whole stream. It is the
// zero Message when there is none.
func (r *Reader) unreadable(ctx context.Context, s streams.Stream, filter string) (queue.Message, error) {
	if filter != s.Prefix+".>" {
		return queue.Message{}, nil
	}
	stats, err := r.Stats(ctx, s.Name)
	if err != nil || stats.Messages == 0 {
		return queue.Message{}, err
	}
	return queue.Message{Seq: stats.Last, Time: time.Now()}, nil
}

// open makes a consumer that starts behind the last message received. The server forgets it by itself when it is idle, so a
// reader needs no right to delete consumers.
func (h *history) open(ctx context.Context) error {
	config := h.consumer()
	err := h.client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) error {
		_, err := h.client.JS.CreateConsumer(ctx, h.stream.Name, config)
		return err
	}, natsclient.APIConsumerCreate+h.stream.Name+"."+config.Name+"."+h.filter)
	if err != nil {
		return err
	}
	p, err := pull.Open(ctx, h.client, h.stream.Name, config.Name, readAhead)
	if err != nil {
		return err
	}
	if h.pull != nil {
		h.pull.Close()
	}
	h.pull, h.received = p, 0
	return nil
}

func (h *history) consumer() jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Name:              "read-" + rand.Text(),
		FilterSubject:     h.filter,
		AckPolicy:         jetstream.AckNonePolicy,
		MaxDeliver:        -1,
		InactiveThreshold: readerIdle,
		MemoryStorage:     true,
		Replicas:          1,
		DeliverPolicy:     jetstream.DeliverAllPolicy,
	}
	switch {
	case h.got > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, h.got+1
	case !h.since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &h.since
	}
	return c
}

// next returns the next message, or the zero Message once, when it has returned those that were stored at the call.
func (h *history) next(ctx context.Context) (queue.Message, error) {
	for {
		if !h.caughtUp && (h.seen >= h.target || h.ahead != nil && h.ahead.Seq > h.target) {
			h.caughtUp = true
			return queue.Message{}, nil
		}
		if m := h.ahead; m != nil {
			h.ahead, h.seen = nil, m.Seq
			return *m, nil
		}
		if err := h.receive(ctx); err != nil {
			return queue.Message{}, err
		}
	}
}

// receive waits a while for a message. Those that a reader has yet to catch up with may have been removed meanwhile, so it
// looks when none comes.
func (h *history) receive(ctx context.Context) error {
	raw, err := h.pull.Next(ctx, quiet)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	_, lost := errors.AsType[*pull.RefusedError](err)
	switch {
	case lost || errors.Is(err, pull.ErrSilent):
		return h.reopen(ctx, err)
	case err != nil:
		return fmt.Errorf("reading on: %w", err)
	case raw != nil:
		return h.take(ctx, raw)
	case !h.caughtUp:
		return h.lower(ctx)
	}
	return nil
}

// take notes a message, and starts anew when one before it is missing.
func (h *history) take(ctx context.Context, raw *nats.Msg) error {
	m, meta, err := pull.Decode(raw)
	if err != nil {
		return err
	}
	if h.received++; meta.Sequence.Consumer != h.received {
		return h.reopen(ctx, errMissed)
	}
	h.ahead, h.got = &m, m.Seq
	return nil
}

var errMissed = errors.New("a message is missing")

// reopen tries to start anew for as long as it takes, unless that can never work.
func (h *history) reopen(ctx context.Context, why error) error {
	for {
		h.client.Log.Debug("reading anew", "stream", h.stream.Name, "behind", h.got, "err", why)
		if why = h.open(ctx); why == nil {
			return nil
		}
		over := errors.Is(why, queue.ErrForbidden) || errors.Is(why, nats.ErrConnectionClosed) ||
			errors.Is(why, jetstream.ErrStreamNotFound)
		if over || !natsclient.Waited(ctx, pull.RetryPause) {
			return fmt.Errorf("reading on: %w", why)
		}
		h.client.Log.Warn("stream cannot be read", "stream", h.stream.Name, "err", why)
	}
}

// lower sets the target to what is stored now, if that is less. It stays when nobody can tell.
func (h *history) lower(ctx context.Context) error {
	newest, err := h.Last(ctx, h.filter)
	switch {
	case err == nil || errors.Is(err, queue.ErrNoMessage):
		h.target = min(h.target, newest.Seq)
	case ctx.Err() != nil || errors.Is(err, queue.ErrForbidden):
		return err
	}
	return nil
}
