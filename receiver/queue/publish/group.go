package publish

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// group lets callers who store single messages in one stream at the same time share flushes of the disk. A few messages go
// by themselves, because that is quicker. One that comes while more are on their way waits for a batch, and each batch takes
// those that have come while the one before it was stored.
type group struct {
	// batch stores messages whose subjects differ, all of them or none, and returns the sequence of the last.
	batch func(context.Context, []*nats.Msg) (uint64, error)

	mu       sync.Mutex
	singles  int  // on their way
	batching bool // a batch is on its way
	waiting  []*joined
}

// maxSingles is how many messages of a stream may go by themselves at once.
const maxSingles = minBatch

// joined is a message that waits for a batch.
type joined struct {
	message *nats.Msg
	verdict chan verdict
	left    bool // nobody waits any more
}

// verdict says what became of a message.
type verdict struct {
	alone bool // it is to go by itself
	seq   uint64
	err   error
}

// store stores a message in a batch, or else by alone. When ctx ends first the message may be stored all the same.
func (g *group) store(ctx context.Context, m *nats.Msg, alone func() (uint64, error)) (uint64, error) {
	if one := g.join(m); one != nil {
		select {
		case v := <-one.verdict:
			if !v.alone {
				return v.seq, v.err
			}
		case <-ctx.Done():
			g.leave(one)
			return 0, ctx.Err()
		}
	}
	defer g.parted()
	return alone()
}

// join returns nil when the message is to go by itself.
func (g *group) join(m *nats.Msg) *joined {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.batching && g.singles < maxSingles && len(g.waiting) == 0 {
		g.singles++
		return nil
	}
	one := &joined{message: m, verdict: make(chan verdict, 1)}
	g.waiting = append(g.waiting, one)
	g.next()
	return one
}

// leave notes that nobody waits for a message any more.
func (g *group) leave(one *joined) {
	g.mu.Lock()
	defer g.mu.Unlock()
	one.left = true
	if i := slices.Index(g.waiting, one); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	if len(one.verdict) > 0 && (<-one.verdict).alone {
		g.singles--
		g.next()
	}
}

// parted notes that a message that went by itself is stored, or not.
func (g *group) parted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.singles--
	g.next()
}

// next sends waiting messages on their way, as many as may go. The lock is held.
func (g *group) next() {
	switch {
	case g.batching:
	case len(g.waiting) >= minBatch:
		g.batching = true
		go g.together(g.take())
	default:
		for len(g.waiting) > 0 && g.singles < maxSingles {
			g.tell(g.waiting[0], verdict{alone: true})
			g.waiting = g.waiting[1:]
		}
	}
}

// take takes as many waiting messages as fit a batch, which holds no subject twice. The lock is held.
func (g *group) take() (all []*joined) {
	subjects, bytes := make(map[string]bool), 0
	g.waiting = slices.DeleteFunc(g.waiting, func(one *joined) bool {
		subject := one.message.Subject
		if subjects[subject] || len(all) == maxBatch || bytes+len(one.message.Data) > maxBatchBytes {
			return false
		}
		subjects[subject], bytes, all = true, bytes+len(one.message.Data), append(all, one)
		return true
	})
	return all
}

// tell passes a verdict to the caller who waits for it. The lock is held.
func (g *group) tell(one *joined, v verdict) {
	if one.left {
		return
	}
	if v.alone {
		g.singles++
	}
	one.verdict <- v
}

// together stores a batch. If the server refuses it, each message goes by itself and gets its own answer.
func (g *group) together(all []*joined) {
	messages := make([]*nats.Msg, 0, len(all))
	for _, one := range all {
		messages = append(messages, one.message)
	}
	seq, err := g.batch(context.Background(), messages)
	_, refused := errors.AsType[*jetstream.APIError](err)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, one := range all {
		g.tell(one, verdict{alone: refused, seq: seq - uint64(len(all)-1-i), err: err})
	}
	g.batching = false
	g.next()
}
