package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// What the engine is asked.
const (
	// AskLabels is where the receiver asks what became of secrets.
	AskLabels = "ask.labels"
	// AskSightings is where the notifier asks where the key of an incident was seen, because it does not hold the keys of
	// days.
	AskSightings = "ask.sightings"
)

// Line carries questions between roles, and their answers. Nothing of it is stored: who gets no answer in time goes without.
// Methods are safe for concurrent use.
type Line interface {
	// Ask returns the answer of one of those who answer on a subject, or an error when nobody does before ctx ends. It
	// waits for somebody who does: roles start one after the other.
	Ask(ctx context.Context, subject string, question []byte) ([]byte, error)
	// Answer answers questions on a subject until ctx ends, several at once, and then returns nil.
	Answer(ctx context.Context, subject string, answer func(ctx context.Context, question []byte) []byte) error
}

// askAgain is how long after nobody answered is asked again.
const askAgain = 50 * time.Millisecond

// Ask implements [Line].
func (j *JetStream) Ask(ctx context.Context, subject string, question []byte) ([]byte, error) {
	ctx, done := j.rights.watch(ctx, subject)
	for {
		reply, err := j.js.Conn().RequestWithContext(ctx, subject, question)
		if err == nil {
			return reply.Data, done(nil)
		}
		if !unsent(err) || !waited(ctx, askAgain) {
			return nil, fmt.Errorf("asking on %s: %w", subject, done(err))
		}
	}
}

// waited waits, and reports false when ctx ended before.
func waited(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Answer implements [Line].
func (j *JetStream) Answer(ctx context.Context, subject string, answer func(context.Context, []byte) []byte) error {
	var group sync.WaitGroup
	defer group.Wait()
	watched, done := j.rights.watch(ctx, subject)
	subscription, err := j.js.Conn().QueueSubscribe(subject, subject, func(m *nats.Msg) {
		group.Go(func() {
			_ = m.Respond(answer(ctx, m.Data)) // who asked is gone
		})
	})
	if err != nil {
		return fmt.Errorf("answering on %s: %w", subject, done(err))
	}
	<-watched.Done()
	err = subscription.Unsubscribe()
	if err := done(watched.Err()); errors.Is(err, ErrForbidden) {
		return fmt.Errorf("answering on %s: %w", subject, err)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("ending to answer on %s: %w", subject, err)
	}
	return nil
}

// errNobody is what a twin says where nobody answers.
var errNobody = errors.New("nobody answers")

// line is the [Line] of the twin in memory.
type line struct {
	mu      sync.Mutex
	answers map[string]func(context.Context, []byte) []byte
}

// Ask implements [Line].
func (l *line) Ask(ctx context.Context, subject string, question []byte) ([]byte, error) {
	answer := l.answerer(subject)
	for answer == nil {
		if !waited(ctx, askAgain) {
			return nil, fmt.Errorf("asking on %s: %w", subject, errNobody)
		}
		answer = l.answerer(subject)
	}
	reply := make(chan []byte, 1)
	go func() { reply <- answer(ctx, question) }()
	select {
	case data := <-reply:
		return data, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("asking on %s: %w", subject, ctx.Err())
	}
}

func (l *line) answerer(subject string) func(context.Context, []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[subject]
}

// Answer implements [Line]. Of several who answer on a subject the newest is asked.
func (l *line) Answer(ctx context.Context, subject string, answer func(context.Context, []byte) []byte) error {
	l.mu.Lock()
	if l.answers == nil {
		l.answers = map[string]func(context.Context, []byte) []byte{}
	}
	l.answers[subject] = answer
	l.mu.Unlock()
	<-ctx.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.answers, subject)
	return nil
}
