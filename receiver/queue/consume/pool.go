// Package consume is what every store does with what it reads: a pool of workers for a consumer, and Scan and Follow over the
// history of a stream.
package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"stanch/receiver/queue"
)

const (
	// AckWait is how long a lease lasts: without an ack or an extension in that time the message is delivered again. A
	// worker extends its lease every extendEvery.
	AckWait     = 60 * time.Second
	extendEvery = AckWait / 3
	// firstDelay and lastDelay bound the delay before a message whose handler failed is delivered again.
	firstDelay = time.Second
	lastDelay  = 5 * time.Minute
	// partingTime is how long handlers have to return once their context is cancelled.
	partingTime = time.Second
)

// Delivery is a message leased to a worker, and the ways to end or extend the lease. Each may block until the server answers.
type Delivery struct {
	queue.Message
	Ack    func() error              // the message is settled for good
	Nak    func(time.Duration) error // deliver it again, after the delay at the earliest
	Extend func() error              // it is still being worked on
}

// Fetch returns the next delivery. It blocks. When ctx ends it returns what is on its way at most, and then an error.
type Fetch func(ctx context.Context) (Delivery, error)

// Pool is the workers of one call of Work.
type Pool struct {
	queue.Consumer
	Handle func(context.Context, queue.Message) error
	Log    *slog.Logger

	leases sync.WaitGroup // deliveries whose verdict is awaited
}

// Run works, as queue.Store.Work says, until ctx ends or a worker can fetch no more. Each worker calls open for a fetch of
// its own. A Pool runs once.
func (p *Pool) Run(ctx context.Context, open func(context.Context) (Fetch, error)) error {
	workers, taking := errgroup.WithContext(ctx)
	handling, cancel := queue.Draining(taking)
	defer cancel()
	for range max(p.Workers, 1) {
		workers.Go(func() error {
			err := p.work(taking, handling, open)
			if ctx.Err() != nil {
				return nil
			}
			return err
		})
	}
	ended := make(chan error, 1)
	go func() {
		err := workers.Wait()
		p.leases.Wait()
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-handling.Done():
	}
	return p.part(ended)
}

// part waits a little for workers whose context was cancelled. It leaves a handler behind that ignores this.
func (p *Pool) part(ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-time.After(partingTime):
		p.Log.Error("handlers do not end", "stream", p.Stream, "consumer", p.Name)
		return nil
	}
}

// work is one worker: it takes deliveries until taking ends, and handles one at a time.
func (p *Pool) work(taking, handling context.Context, open func(context.Context) (Fetch, error)) error {
	next, err := open(taking)
	if err != nil {
		return err
	}
	for {
		d, err := next(taking)
		if err != nil {
			return err
		}
		if taking.Err() != nil {
			p.settled(taking, d, d.Nak(0))
			continue
		}
		p.settled(tracing(taking, d.Message), d, p.one(taking, handling, d))
	}
}

// settled logs an error that kept a delivery from being settled. The message is delivered again later.
func (p *Pool) settled(ctx context.Context, d Delivery, err error) {
	if err != nil {
		p.Log.ErrorContext(ctx, "message not settled", "stream", p.Stream, "consumer", p.Name, "seq", d.Seq, "err", err)
	}
}

// one handles a delivery and settles it, at once or when there is a verdict.
func (p *Pool) one(taking, ctx context.Context, d Delivery) error {
	ctx = tracing(ctx, d.Message)
	stop := p.keep(ctx, d)
	err := p.guarded(ctx, d.Message)
	stop()
	if postponed, ok := errors.AsType[*queue.Postponed](err); ok {
		p.leases.Go(func() { p.await(taking, ctx, d, postponed.Verdict) })
		return nil
	}
	return p.conclude(ctx, d, err)
}

// await holds a lease until there is a verdict, or until taking ends.
func (p *Pool) await(taking, ctx context.Context, d Delivery, verdict <-chan error) {
	d.Data = nil // there may be many
	defer p.keep(ctx, d)()
	select {
	case err := <-verdict:
		p.settled(ctx, d, p.conclude(ctx, d, err))
	case <-taking.Done():
		p.settled(ctx, d, d.Nak(0))
	}
}

// conclude settles a delivery as the handler's error says.
func (p *Pool) conclude(ctx context.Context, d Delivery, err error) error {
	if err == nil {
		return d.Ack()
	}
	level, delay := slog.LevelWarn, delayAfter(d.Delivered)
	if later, ok := errors.AsType[*queue.Later](err); ok {
		level, delay = slog.LevelDebug, max(later.Delay, 0)
	} else if ctx.Err() != nil {
		delay = 0 // it was cut off; that is not the message's fault
	}
	p.Log.Log(ctx, level, "message comes back", "stream", p.Stream, "consumer", p.Name, "seq", d.Seq,
		"delivered", d.Delivered, "after", delay, "err", err)
	return d.Nak(delay)
}

// keep extends a lease until it is told to stop.
func (p *Pool) keep(ctx context.Context, d Delivery) (stop func()) {
	over := make(chan struct{})
	go func() {
		tick := time.NewTicker(extendEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.settled(ctx, d, d.Extend())
			case <-over:
				return
			}
		}
	}()
	return func() { close(over) }
}

// guarded calls the handler and turns a panic into an error that holds the panic's type, but not its value, which may be a
// secret.
func (p *Pool) guarded(ctx context.Context, m queue.Message) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("a handler panicked with a %T", value)
			p.Log.ErrorContext(ctx, "handler panicked", "stream", p.Stream, "consumer", p.Name, "seq", m.Seq,
				"type", fmt.Sprintf("%T", value), "stack", string(debug.Stack()))
		}
	}()
	return p.Handle(ctx, m)
}

// delayAfter is the delay after the nth failed delivery: one second, doubled each time up to five minutes, less up to a
// quarter, so that messages that failed together do not come back together. The server counts the deliveries, so there is
// no state that a backoff could keep.
func delayAfter(delivered int) time.Duration {
	delay := lastDelay
	if n := max(delivered, 1) - 1; n < 16 {
		delay = min(firstDelay<<n, lastDelay)
	}
	return delay - rand.N(delay/4)
}

// tracing is a context in which what is done about a message belongs to the trace of whoever stored it.
func tracing(ctx context.Context, m queue.Message) context.Context {
	if !m.Origin.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, m.Origin)
}
