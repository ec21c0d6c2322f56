package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// ackWait is after how long without a sign of life a message is handed out again; keepAlive is how often a message
	// that is being handled shows one.
	ackWait   = 60 * time.Second
	keepAlive = ackWait / 3
	// firstDelay and lastDelay bound the time after which a message whose handler failed comes back.
	firstDelay = time.Second
	lastDelay  = 5 * time.Minute
	// partingTime is how long handlers whose context was cancelled have to give their message back.
	partingTime = time.Second
)

// handed is a message on loan from a stream, and the ways to give it back. Each may block for as long as an answer takes.
type handed struct {
	Message
	done func() error              // it is settled for good
	back func(time.Duration) error // hand it out again, not before the delay
	keep func() error              // it is still being worked on
}

// hand returns the next message. It blocks; when ctx ends it returns what is on its way at most, and then an error.
type hand func(ctx context.Context) (handed, error)

// crew is the workers of one call of Work.
type crew struct {
	Consumer
	handle func(context.Context, Message) error
	log    *slog.Logger
	loans  *sync.WaitGroup // messages whose verdict is awaited
}

// run works until ctx ends or a worker gets no more messages. Each worker opens a hand of its own.
func (c crew) run(ctx context.Context, open func(context.Context) (hand, error)) error {
	workers, taking := errgroup.WithContext(ctx)
	handling, cancel := outlive(taking, DrainTimeout)
	defer cancel()
	c.loans = new(sync.WaitGroup)
	for range max(c.Workers, 1) {
		workers.Go(func() error {
			err := c.work(taking, handling, open)
			if ctx.Err() != nil {
				return nil
			}
			return err
		})
	}
	ended := make(chan error, 1)
	go func() {
		err := workers.Wait()
		c.loans.Wait()
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-handling.Done():
	}
	return c.part(ended)
}

// part waits a little for workers whose context was cancelled. A handler that ignores it is left behind.
func (c crew) part(ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-time.After(partingTime):
		c.log.Error("handlers do not end", "stream", c.Stream, "consumer", c.Name)
		return nil
	}
}

// outlive returns a context that is cancelled when ctx has been over for a while.
func outlive(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(while, cancel)
		context.AfterFunc(lasting, func() { timer.Stop() })
	})
	return lasting, cancel
}

// work is one worker: it takes messages until taking ends and handles one at a time.
func (c crew) work(taking, handling context.Context, open func(context.Context) (hand, error)) error {
	next, err := open(taking)
	if err != nil {
		return err
	}
	for {
		m, err := next(taking)
		if err != nil {
			return err
		}
		if taking.Err() != nil {
			c.settled(taking, m, m.back(0))
			continue
		}
		c.settled(tracing(taking, m.Message), m, c.one(taking, handling, m))
	}
}

// settled logs what kept a message from being given back. It is handed out again later.
func (c crew) settled(ctx context.Context, m handed, err error) {
	if err != nil {
		c.log.ErrorContext(ctx, "message not settled", "stream", c.Stream, "consumer", c.Name, "seq", m.Seq, "err", err)
	}
}

// one handles a message and gives it back, at once or when there is a verdict.
func (c crew) one(taking, ctx context.Context, m handed) error {
	ctx = tracing(ctx, m.Message)
	stop := c.keepAlive(ctx, m)
	err := c.guarded(ctx, m.Message)
	stop()
	if postponed, ok := errors.AsType[*Postponed](err); ok {
		c.loans.Go(func() { c.await(taking, ctx, m, postponed.Verdict) })
		return nil
	}
	return c.conclude(ctx, m, err)
}

// await keeps a message until there is a verdict, or until taking ends.
func (c crew) await(taking, ctx context.Context, m handed, verdict <-chan error) {
	m.Data = nil // there may be many
	defer c.keepAlive(ctx, m)()
	select {
	case err := <-verdict:
		c.settled(ctx, m, c.conclude(ctx, m, err))
	case <-taking.Done():
		c.settled(ctx, m, m.back(0))
	}
}

// conclude gives a message back as an error says.
func (c crew) conclude(ctx context.Context, m handed, err error) error {
	if err == nil {
		return m.done()
	}
	level, delay := slog.LevelWarn, delayAfter(m.Delivered)
	if later, ok := errors.AsType[*Later](err); ok {
		level, delay = slog.LevelDebug, max(later.Delay, 0)
	} else if ctx.Err() != nil {
		delay = 0 // it was cut off; that is not the message's fault
	}
	c.log.Log(ctx, level, "message comes back", "stream", c.Stream, "consumer", c.Name, "seq", m.Seq,
		"delivered", m.Delivered, "after", delay, "err", err)
	return m.back(delay)
}

// keepAlive keeps a message from being handed out again, until it is told to stop.
func (c crew) keepAlive(ctx context.Context, m handed) (stop func()) {
	over := make(chan struct{})
	go func() {
		tick := time.NewTicker(keepAlive)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.settled(ctx, m, m.keep())
			case <-over:
				return
			}
		}
	}()
	return func() { close(over) }
}

// guarded calls the handler and turns a panic into an error, which holds the panic's type and nothing of its value: that
// might be a secret.
func (c crew) guarded(ctx context.Context, m Message) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("a handler panicked with a %T", value)
			c.log.ErrorContext(ctx, "handler panicked", "stream", c.Stream, "consumer", c.Name, "seq", m.Seq,
				"type", fmt.Sprintf("%T", value), "stack", string(debug.Stack()))
		}
	}()
	return c.handle(ctx, m)
}

// delayAfter is how long to wait after a message failed for the nth time: one second, doubled each time up to five
// minutes, less up to a quarter so that what failed together does not come back together.
func delayAfter(delivered int) time.Duration {
	delay := lastDelay
	if n := max(delivered, 1) - 1; n < 16 {
		delay = min(firstDelay<<n, lastDelay)
	}
	return delay - rand.N(delay/4)
}
