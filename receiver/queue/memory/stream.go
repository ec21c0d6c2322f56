package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"stanch/receiver/queue"
	"stanch/receiver/queue/streams"
)

// stream is one stream of a [Store].
type stream struct {
	streams.Stream

	mu        sync.Mutex
	messages  []queue.Message   // oldest first, so by sequence and by time
	seq       uint64            // the last one given out
	newest    map[string]uint64 // last sequence by subject
	ids       map[string]remembered
	order     []string // of ids, oldest first
	consumers map[string]*consumer
	changed   chan struct{} // closed, and replaced, at every change
}

// remembered is a message id in the dedup window.
type remembered struct {
	seq uint64
	at  time.Time
}

func newStream(s streams.Stream) *stream {
	return &stream{
		Stream:    s,
		newest:    make(map[string]uint64),
		ids:       make(map[string]remembered),
		consumers: make(map[string]*consumer),
		changed:   make(chan struct{}),
	}
}

// add stores a message.
func (s *stream) add(m queue.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(m)
}

// addAfter stores a message if last is the last sequence on its subject.
func (s *stream) addAfter(m queue.Message, last uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if got := s.newest[m.Subject]; got != last {
		return 0, fmt.Errorf("%w: the last sequence is %d", queue.ErrConflict, got)
	}
	return s.store(m), nil
}

// store appends a message unless its id is remembered, and returns the sequence under which it is stored. The lock is
// held.
func (s *stream) store(m queue.Message) uint64 {
	s.expire()
	now := time.Now()
	if m.ID != "" {
		if known, ok := s.ids[m.ID]; ok {
			return known.seq
		}
		s.ids[m.ID] = remembered{seq: s.seq + 1, at: now}
		s.order = append(s.order, m.ID)
	}
	if s.PerSubject == 1 {
		s.cut(s.newest[m.Subject])
	}
	s.seq++
	m = copied(m)
	m.Seq, m.Time, m.Delivered = s.seq, now, 0
	s.messages = append(s.messages, m)
	s.newest[m.Subject] = m.Seq
	s.announce()
	return m.Seq
}

// announce wakes whoever waits for a change. The lock is held.
func (s *stream) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// expire forgets messages and ids that are too old. The lock is held.
func (s *stream) expire() {
	now := time.Now()
	if s.Age > 0 && len(s.messages) > 0 && now.Sub(s.messages[0].Time) >= s.Age {
		s.drop(func(m queue.Message) bool { return now.Sub(m.Time) >= s.Age })
	}
	for len(s.order) > 0 && now.Sub(s.ids[s.order[0]].at) >= streams.DedupWindow {
		delete(s.ids, s.order[0])
		s.order = s.order[1:]
	}
}

// remove deletes the messages that are chosen.
func (s *stream) remove(chosen func(queue.Message) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(chosen)
}

// cut deletes one message, if it is there. The lock is held.
func (s *stream) cut(seq uint64) {
	if i, ok := s.find(seq); ok {
		gone := s.messages[i]
		s.messages = slices.Delete(s.messages, i, i+1)
		s.forget(gone)
	}
}

// drop deletes the messages that are chosen. The lock is held.
func (s *stream) drop(chosen func(queue.Message) bool) {
	var gone []queue.Message
	s.messages = slices.DeleteFunc(s.messages, func(m queue.Message) bool {
		if !chosen(m) {
			return false
		}
		gone = append(gone, m)
		return true
	})
	for _, m := range gone {
		s.forget(m)
	}
}

// forget corrects the last sequence on the subject of a message that was deleted. The lock is held.
func (s *stream) forget(gone queue.Message) {
	if s.newest[gone.Subject] != gone.Seq {
		return
	}
	delete(s.newest, gone.Subject)
	for _, m := range slices.Backward(s.messages) {
		if m.Subject == gone.Subject {
			s.newest[m.Subject] = m.Seq
			return
		}
	}
}

// find returns the place of the first message at or after a sequence, and whether it is that one. The lock is held.
func (s *stream) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(s.messages, seq, func(m queue.Message, seq uint64) int {
		return int(int64(m.Seq) - int64(seq))
	})
}

// lastOf returns the newest message that matches a filter.
func (s *stream) lastOf(filter string) (queue.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if i, ok := s.find(s.newest[filter]); ok {
		return copied(s.messages[i]), nil
	}
	if !strings.ContainsAny(filter, "*>") {
		return queue.Message{}, queue.ErrNoMessage
	}
	for _, m := range slices.Backward(s.messages) {
		if matches(filter, m.Subject) {
			return copied(m), nil
		}
	}
	return queue.Message{}, queue.ErrNoMessage
}

func (s *stream) stats() queue.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	stats := queue.Stats{Messages: uint64(len(s.messages)), Last: s.seq}
	if s.seq > 0 {
		stats.First = s.seq + 1
	}
	for _, m := range s.messages {
		stats.Bytes += uint64(len(m.Subject) + len(m.Data))
	}
	if len(s.messages) > 0 {
		stats.Oldest, stats.First = s.messages[0].Time, s.messages[0].Seq
	}
	return stats
}

// read yields the history of a filter since a time.
func (s *stream) read(ctx context.Context, filter string, since time.Time, yield func(queue.Message, error) bool) {
	seen, target := uint64(0), s.lastSeq()
	behind := true
	for ctx.Err() == nil {
		m, changed, ok := s.after(seen, filter, since)
		if behind && (!ok || m.Seq > target) {
			behind = false
			if !yield(queue.Message{}, nil) {
				return
			}
		}
		if ok {
			if seen = m.Seq; !yield(m, nil) {
				return
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	yield(queue.Message{}, fmt.Errorf("reading on: %w", ctx.Err()))
}

func (s *stream) lastSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

// after returns the first message behind a sequence that matches. When there is none, it returns a channel that closes at the
// next change.
func (s *stream) after(seen uint64, filter string, since time.Time) (queue.Message, <-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	i, _ := s.find(seen + 1)
	for _, m := range s.messages[i:] {
		if matches(filter, m.Subject) && !m.Time.Before(since) {
			return copied(m), s.changed, true
		}
	}
	return queue.Message{}, s.changed, false
}

// matches reports whether a subject matches a filter: * stands for one token, > for all that follow, one at least.
func matches(filter, subject string) bool {
	want, got := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range want {
		if i >= len(got) {
			return false
		}
		if token == ">" {
			return true
		}
		if token != "*" && token != got[i] {
			return false
		}
	}
	return len(want) == len(got)
}

// copied is a message whose data nobody else holds.
func copied(m queue.Message) queue.Message {
	m.Data = slices.Clone(m.Data)
	return m
}
