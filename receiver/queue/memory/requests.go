package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// askAgain is the pause before a request that reached nobody is sent again.
const askAgain = 50 * time.Millisecond

// errNobody means that nobody replies on a subject.
var errNobody = errors.New("nobody replies")

// requests is a [queue.Requests] in memory.
type requests struct {
	mu      sync.Mutex
	replies map[string]func(context.Context, []byte) []byte // by subject
}

// Request implements [queue.Requests].
func (r *requests) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	reply := r.find(subject)
	for ; reply == nil; reply = r.find(subject) {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("requesting %s: %w", subject, errNobody)
		case <-time.After(askAgain):
		}
	}
	answer := make(chan []byte, 1)
	go func() { answer <- reply(ctx, data) }()
	select {
	case data := <-answer:
		return data, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("requesting %s: %w", subject, ctx.Err())
	}
}

func (r *requests) find(subject string) func(context.Context, []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.replies[subject]
}

// Reply implements [queue.Requests]. Of several who reply on a subject the newest does.
func (r *requests) Reply(ctx context.Context, subject string, reply func(context.Context, []byte) []byte) error {
	r.mu.Lock()
	if r.replies == nil {
		r.replies = map[string]func(context.Context, []byte) []byte{}
	}
	r.replies[subject] = reply
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.replies, subject)
	return nil
}
