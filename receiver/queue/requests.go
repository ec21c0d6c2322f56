package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Subjects of requests to the engine.
const (
	// LabelRequests is where the receiver asks what became of secrets.
	LabelRequests = "ask.labels"
	// SightingRequests is where the notifier asks where the key of an incident was seen, because it does not hold the keys
	// of days.
	SightingRequests = "ask.sightings"
)

// Requests is request-reply between roles. Nothing of it is stored: without a reply in time, the requester goes on without
// one. Methods are safe for concurrent use.
type Requests interface {
	// Request returns the reply of one of those who reply on a subject. It waits for one to be there, because roles start
	// one after the other, and fails when ctx ends first.
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)
	// Reply replies to the requests on a subject, several at once, until ctx ends. Then it returns nil.
	Reply(ctx context.Context, subject string, reply func(ctx context.Context, data []byte) []byte) error
}

// askAgain is the pause before a request that reached nobody is sent again.
const askAgain = 50 * time.Millisecond

// Request implements [Requests].
func (j *JetStream) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	ctx, done := j.rights.watch(ctx, subject)
	for {
		reply, err := j.js.Conn().RequestWithContext(ctx, subject, data)
		if err == nil {
			return reply.Data, done(nil)
		}
		if !unsent(err) || !waited(ctx, askAgain) {
			return nil, fmt.Errorf("requesting %s: %w", subject, done(err))
		}
	}
}

// waited waits, and reports false when ctx ended first.
func waited(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Reply implements [Requests].
func (j *JetStream) Reply(ctx context.Context, subject string, reply func(context.Context, []byte) []byte) error {
	var group sync.WaitGroup
	defer group.Wait()
	watched, done := j.rights.watch(ctx, subject)
	subscription, err := j.js.Conn().QueueSubscribe(subject, subject, func(m *nats.Msg) {
		group.Go(func() {
			_ = m.Respond(reply(ctx, m.Data)) // an error means that the requester is gone
		})
	})
	if err != nil {
		return fmt.Errorf("replying on %s: %w", subject, done(err))
	}
	<-watched.Done()
	err = subscription.Unsubscribe()
	if err := done(watched.Err()); errors.Is(err, ErrForbidden) {
		return fmt.Errorf("replying on %s: %w", subject, err)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("unsubscribing from %s: %w", subject, err)
	}
	return nil
}

// errNobody is the twin's error where nobody replies.
var errNobody = errors.New("nobody replies")

// memoryRequests is the [Requests] of the twin in memory.
type memoryRequests struct {
	mu      sync.Mutex
	replies map[string]func(context.Context, []byte) []byte // by subject
}

// Request implements [Requests].
func (r *memoryRequests) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	reply := r.find(subject)
	for reply == nil {
		if !waited(ctx, askAgain) {
			return nil, fmt.Errorf("requesting %s: %w", subject, errNobody)
		}
		reply = r.find(subject)
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

func (r *memoryRequests) find(subject string) func(context.Context, []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.replies[subject]
}

// Reply implements [Requests]. Of several who reply on a subject the newest does.
func (r *memoryRequests) Reply(ctx context.Context, subject string, reply func(context.Context, []byte) []byte) error {
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
