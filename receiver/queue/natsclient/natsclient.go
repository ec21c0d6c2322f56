// Package natsclient is a connection to a NATS server on which a call waits out the election of a leader, and fails at once
// when the server forbids it.
package natsclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// AnswerTimeout is how long a store may take to answer a caller who set no deadline. A store whose disk fails does not
	// answer at all.
	AnswerTimeout = 30 * time.Second
	// SubscriptionQueue is how many messages may wait in one subscription, far more than any of ours asks for ahead. Its slots
	// are allocated with the subscription, and each worker has one: the client's default is 512 KiB apiece.
	SubscriptionQueue = 4096
	// maxInFlight is how many messages may be on their way to be stored at once, over all appends: the server refuses more
	// than 10,000.
	maxInFlight = 4000
	// retryPause is the pause between two attempts, half of it random. A leader is elected within a second or two.
	retryPause = 200 * time.Millisecond
)

// Codes with which a cluster says that it cannot do anything now.
const (
	codeNotAvailable = 10008 // the nodes have no leader
	codeNotLeader    = 10009
	codeOffline      = 10118 // of a stream; 10119 of a consumer
	codeConsumerGone = 10119
)

// Client is a connection to a NATS server or cluster. Methods are safe for concurrent use.
type Client struct {
	JS  jetstream.JetStream
	Log *slog.Logger
	// Attempt is how long one attempt waits for the answer.
	Attempt time.Duration
	rights  *rights
}

// New takes over a connection and its error handler.
func New(conn *nats.Conn, attempt time.Duration, log *slog.Logger) (*Client, error) {
	js, err := jetstream.New(conn,
		jetstream.WithDefaultTimeout(AnswerTimeout),
		jetstream.WithPublishAsyncTimeout(AnswerTimeout),
		jetstream.WithPublishAsyncMaxPending(maxInFlight))
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	c := &Client{JS: js, Log: log, Attempt: attempt, rights: newRights(log)}
	conn.SetErrorHandler(c.rights.event)
	return c, nil
}

// Conn is the connection.
func (c *Client) Conn() *nats.Conn { return c.JS.Conn() }

// Do calls op, and calls it again while again says so of its error, until ctx ends: a cluster answers nobody while it elects
// a leader. A ctx without a deadline ends after AnswerTimeout. subjects are those that op publishes to; when the server
// forbids one of them, Do returns queue.ErrForbidden. The loop is our own because backoff.Retry returns the error of the
// context when it ends, and the caller needs that of the last attempt.
func (c *Client) Do(
	ctx context.Context, again func(error) bool, op func(context.Context) error, subjects ...string,
) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, AnswerTimeout)
		defer cancel()
	}
	for {
		err := c.attempt(ctx, op, subjects)
		if err == nil || !again(err) || !Waited(ctx, retryPause/2+rand.N(retryPause/2)) {
			return err
		}
	}
}

func (c *Client) attempt(ctx context.Context, op func(context.Context) error, subjects []string) error {
	ctx, cancel := context.WithTimeout(ctx, c.Attempt)
	defer cancel()
	ctx, done := c.Watch(ctx, subjects...)
	return done(op(ctx))
}

// Watch returns a context for an operation that publishes or replies to subjects; it ends when the server forbids that. The
// caller must pass the operation's error to done, which returns it, or queue.ErrForbidden with the subject.
func (c *Client) Watch(ctx context.Context, subjects ...string) (_ context.Context, done func(error) error) {
	return c.rights.watch(ctx, subjects...)
}

// Waited waits, and reports false when ctx ended first.
func Waited(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Unsent reports whether an operation certainly had no effect and another attempt may have one: there was no connection, or
// no server that could do it.
func Unsent(err error) bool {
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

// Unanswered reports whether to try an operation again that does no harm when it is done twice.
func Unanswered(err error) bool {
	return Unsent(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}
