package queue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

const (
	// quiet is how long a reader that is still behind waits for a message before it asks whether there is one: what it
	// was to read may have been removed meanwhile.
	quiet = 3 * time.Second
	// readAhead is how many messages a reader has on their way to it.
	readAhead = 256
	// readerIdle is after how long the server forgets a reader that asks for nothing.
	readerIdle = 15 * time.Second
)

// history is a sequence of messages, oldest first. Where what was stored at the call ends, it yields one zero Message; what
// comes later follows. It ends with an error, that of ctx included, or when the loop over it does.
type history = iter.Seq2[Message, error]

// scan yields of a history what was stored when it was called.
func scan(messages history) history {
	return func(yield func(Message, error) bool) {
		for m, err := range messages {
			if err == nil && m.Seq == 0 || !yield(m, err) {
				return
			}
		}
	}
}

// follow hands a history over until ctx ends.
func follow(ctx context.Context, messages history, caughtUp func(), handle func(Message) error) error {
	for m, err := range messages {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case m.Seq == 0:
			caughtUp()
		default:
			if err := handle(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// readable finds the stream of a filter that is to be read. A work queue is not: whoever takes of it settles.
func readable(filter string) (stream, error) {
	s, err := streamOf(filter)
	if err == nil && s.workQueue {
		return stream{}, fmt.Errorf("%s is a work queue and cannot be read", s.name)
	}
	return s, err
}

// Scan implements [Store]. What does not have a whole stream to read takes one message after the other from its leader:
// a consumer, which a cluster has to agree on, costs more than a few messages.
func (j *JetStream) Scan(ctx context.Context, filter string) iter.Seq2[Message, error] {
	if whole(filter) {
		return scan(j.read(ctx, filter, time.Time{}))
	}
	return j.walk(ctx, filter)
}

// whole reports whether a filter matches all of a stream, or most of it.
func whole(filter string) bool {
	_, rest, _ := strings.Cut(filter, ".")
	return strings.HasPrefix(rest, "*") || strings.HasPrefix(rest, ">")
}

// walk yields what matches a filter, one request a message.
func (j *JetStream) walk(ctx context.Context, filter string) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		s, err := readable(filter)
		if err != nil {
			yield(Message{}, err)
			return
		}
		newest, err := j.Last(ctx, filter)
		for seq := uint64(1); err == nil && seq <= newest.Seq; {
			var m Message
			if m, err = j.following(ctx, s, filter, seq); err != nil || m.Seq > newest.Seq || !yield(m, nil) {
				break
			}
			seq = m.Seq + 1
		}
		if err != nil && !errors.Is(err, ErrNoMessage) {
			yield(Message{}, err)
		}
	}
}

// Follow implements [Store].
func (j *JetStream) Follow(
	ctx context.Context, filter string, since time.Time, caughtUp func(), handle func(Message) error,
) error {
	return follow(ctx, j.read(ctx, filter, since), caughtUp, handle)
}
