package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// tryAgain is the pause between two attempts, half of it by chance: a leader is elected within a second or two.
const tryAgain = 200 * time.Millisecond

// Codes with which a cluster says that it cannot do anything now.
const (
	codeNotAvailable = 10008 // the nodes have no leader
	codeNotLeader    = 10009
	codeOffline      = 10118 // of a stream; 10119 of a consumer
	codeConsumerGone = 10119
)

// patiently does something again while err says that it may be, until ctx ends: a cluster answers nobody while it elects a
// leader. Who set no deadline waits for answerTimeout. subjects are to what op publishes.
func (j *JetStream) patiently(
	ctx context.Context, again func(error) bool, op func(context.Context) error, subjects ...string,
) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, answerTimeout)
		defer cancel()
	}
	for {
		err := j.attemptOnce(ctx, op, subjects)
		if err == nil || !again(err) || !waited(ctx, tryAgain/2+rand.N(tryAgain/2)) {
			return err
		}
	}
}

func (j *JetStream) attemptOnce(ctx context.Context, op func(context.Context) error, subjects []string) error {
	ctx, cancel := context.WithTimeout(ctx, j.attempt)
	defer cancel()
	ctx, done := j.rights.watch(ctx, subjects...)
	return done(op(ctx))
}

// unsent reports whether an operation certainly had no effect and another attempt may have: there was no connection, or
// nobody who could do it.
func unsent(err error) bool {
	for _, known := range []error{
		nats.ErrNoResponders, jetstream.ErrNoStreamResponse, nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	refusal, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return false
	}
	switch refusal.ErrorCode {
	case codeNotAvailable, codeNotLeader, codeOffline, codeConsumerGone:
		return true
	}
	return false
}

// unanswered reports whether it is worth asking again what harms nobody when it is done twice.
func unanswered(err error) bool {
	return unsent(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}
