package memory

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"time"

	"stanch/receiver/queue"
	"stanch/receiver/queue/consume"
)

// consumer is the place of one durable consumer in a stream. The stream's lock guards it.
type consumer struct {
	stream *stream
	begun  uint64            // messages up to this sequence were delivered at least once
	leases map[uint64]*lease // messages that were delivered and are not settled, by sequence
	back   returned          // those of them that no handler has
}

// lease is a message that was delivered and is not settled.
type lease struct {
	seq       uint64
	delivered int
	due       time.Time // when it may be delivered again, once it is back
}

// returned is a heap of leases, the one that is due for longest first, and of those that are due at once the oldest.
type returned []*lease

func (r returned) Len() int { return len(r) }

func (r returned) Less(i, j int) bool {
	return cmp.Or(r[i].due.Compare(r[j].due), cmp.Compare(r[i].seq, r[j].seq)) < 0
}

func (r returned) Swap(i, j int) { r[i], r[j] = r[j], r[i] }

// Push implements [heap.Interface].
func (r *returned) Push(l any) { *r = append(*r, l.(*lease)) }

// Pop implements [heap.Interface].
func (r *returned) Pop() any {
	last := len(*r) - 1
	l := (*r)[last]
	(*r)[last], *r = nil, (*r)[:last]
	return l
}

var errSecondConsumer = errors.New("a work queue has one consumer, and it has another name")

// consumer finds a consumer or creates it.
func (s *stream) consumer(c queue.Consumer) (*consumer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.consumers[c.Name]; ok {
		return known, nil
	}
	if s.WorkQueue && len(s.consumers) > 0 {
		return nil, errSecondConsumer
	}
	fresh := &consumer{stream: s, leases: make(map[uint64]*lease)}
	if c.New {
		fresh.begun = s.seq
	}
	s.consumers[c.Name] = fresh
	return fresh, nil
}

// next is the consumer's [consume.Fetch].
func (c *consumer) next(ctx context.Context) (consume.Delivery, error) {
	for {
		if err := ctx.Err(); err != nil {
			return consume.Delivery{}, err
		}
		m, wait, changed, ok := c.take()
		if ok {
			return c.leased(m), nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take leases a message: one that is due again, or else the next that was never delivered. When there is none it says how long
// to wait at most, and returns a channel that closes at the next change.
func (c *consumer) take() (m queue.Message, wait time.Duration, changed <-chan struct{}, ok bool) {
	c.stream.mu.Lock()
	defer c.stream.mu.Unlock()
	c.stream.expire()
	seq, wait := c.due()
	if seq == 0 {
		seq = c.fresh()
	}
	if seq == 0 {
		return queue.Message{}, wait, c.stream.changed, false
	}
	i, _ := c.stream.find(seq)
	m = copied(c.stream.messages[i])
	m.Delivered = c.lend(seq)
	return m, 0, nil, true
}

// lend notes a delivery of a message, and returns how many there were.
func (c *consumer) lend(seq uint64) int {
	l, ok := c.leases[seq]
	if !ok {
		l = &lease{seq: seq}
		c.leases[seq] = l
	}
	l.delivered++
	return l.delivered
}

// due takes the message that has been due for longest out of those that are back. When none is due it returns 0 and how long
// it takes until the first is.
func (c *consumer) due() (uint64, time.Duration) {
	for len(c.back) > 0 {
		first := c.back[0]
		_, stored := c.stream.find(first.seq)
		if wait := time.Until(first.due); stored && wait > 0 {
			return 0, wait
		}
		heap.Pop(&c.back)
		if stored {
			return first.seq, 0
		}
		delete(c.leases, first.seq)
	}
	return 0, idle
}

// idle is how long a consumer waits when no message is due to come back. A change wakes it.
const idle = time.Hour

// fresh returns the first message that was never delivered, or 0, and moves past it.
func (c *consumer) fresh() uint64 {
	i, _ := c.stream.find(c.begun + 1)
	if i == len(c.stream.messages) {
		return 0
	}
	c.begun = c.stream.messages[i].Seq
	return c.begun
}

// leased says how a delivery is settled.
func (c *consumer) leased(m queue.Message) consume.Delivery {
	return consume.Delivery{
		Message: m,
		Ack:     func() error { c.settle(m.Seq); return nil },
		Nak:     func(delay time.Duration) error { c.giveBack(m.Seq, delay); return nil },
		Extend:  func() error { return nil },
	}
}

// settle ends a lease for good.
func (c *consumer) settle(seq uint64) {
	c.stream.mu.Lock()
	defer c.stream.mu.Unlock()
	delete(c.leases, seq)
	if c.stream.WorkQueue {
		c.stream.cut(seq)
	}
}

// giveBack ends a lease; the message is delivered again when it is due.
func (c *consumer) giveBack(seq uint64, delay time.Duration) {
	c.stream.mu.Lock()
	defer c.stream.mu.Unlock()
	if l, ok := c.leases[seq]; ok {
		l.due = time.Now().Add(delay)
		heap.Push(&c.back, l)
		c.stream.announce()
	}
}
