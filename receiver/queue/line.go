package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// AskLabels is where the receiver asks the engine what became of secrets.
const AskLabels = "ask.labels"

// Line carries questions between roles, and their answers. Nothing of it is stored: who gets no answer in time goes without.
// Methods are safe for concurrent use.
type Line interface {
	// Ask returns the answer of one of those who answer on a subject, or an error when nobody does before ctx ends.
	Ask(ctx context.Context, subject string, question []byte) ([]byte, error)
	// Answer answers questions on a subject until ctx ends, several at once, and then returns nil.
	Answer(ctx context.Context, subject string, answer func(ctx context.Context, question []byte) []byte) error
}

// Ask implements [Line].
func (j *JetStream) Ask(ctx context.Context, subject string, question []byte) ([]byte, error) {
	reply, err := j.js.Conn().RequestWithContext(ctx, subject, question)
	if err != nil {
		return nil, fmt.Errorf("asking on %s: %w", subject, err)
	}
	return reply.Data, nil
}

// Answer implements [Line].
func (j *JetStream) Answer(ctx context.Context, subject string, answer func(context.Context, []byte) []byte) error {
	var group sync.WaitGroup
	defer group.Wait()
	subscription, err := j.js.Conn().QueueSubscribe(subject, subject, func(m *nats.Msg) {
		group.Go(func() {
			_ = m.Respond(answer(ctx, m.Data)) // who asked is gone
		})
	})
	if err != nil {
		return fmt.Errorf("answering on %s: %w", subject, err)
	}
	<-ctx.Done()
	if err := subscription.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
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
	l.mu.Lock()
	answer := l.answers[subject]
	l.mu.Unlock()
	if answer == nil {
		return nil, fmt.Errorf("asking on %s: %w", subject, errNobody)
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

// Answer implements [Line]. Of several who answer on a subject the newest is asked.
func (l *line) Answer(ctx context.Context, subject string, answer func(context.Context, []byte) []byte) error {
	l.mu.Lock()
	if l.answers == nil {
		l.answers = map[string]func(context.Context, []byte) []byte{}
	}
	l.answers[subject] = answer
	l.mu.Unlock()
	<-ctx.Done()
	return nil
}
