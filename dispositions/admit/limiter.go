package admit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"

	"stanch/receiver/queue"
)

// Limit is how much one issuer is asked.
type Limit struct {
	InFlight int  // passes at once, at least 1
	Rate     Rate // of passes
	// Alone is set when there is no other issuer: whoever waits for a slot keeps nobody else waiting.
	Alone bool
}

// Limiter bounds the passes at one issuer. What finds no slot waits in the queue, so a slow issuer holds up its own keys only.
// It is safe for concurrent use.
type Limiter struct {
	concurrency *concurrency
	rate        *rate.Limiter
	alone       bool
	over        context.Context // when it ends nobody waits any more
}

const (
	// slotWait is how long a pass waits for a slot, where there are other issuers, before its alert goes back to the queue.
	slotWait = 100 * time.Millisecond
	// queueRest is about how long it stays there the first time. It doubles each time, up to queueRest<<queueDoublings: what comes
	// back is delivered before what is new, and must leave time for it.
	queueRest      = 2 * time.Second
	queueDoublings = 5
)

// Why an alert went back.
var (
	errCrowded = fmt.Errorf("the issuer has no free slot: %w", ErrNotAttempted)
	errPaused  = errors.New("the issuer asked for a pause")
	errOver    = errors.New("the engine stops, or has new settings")
)

// NewLimiter returns the limiter of an issuer. When over ends, whoever waits goes back to the queue.
func NewLimiter(over context.Context, l Limit) *Limiter {
	return &Limiter{concurrency: newConcurrency(l.InFlight), rate: l.Rate.limiter(), alone: l.Alone, over: over}
}

// Acquire takes a slot, to be given back by release. The error is a *queue.Later, or that of ctx. Delivered is how often the
// alert was delivered.
func (l *Limiter) Acquire(ctx context.Context, delivered int) (release func(), err error) {
	if err := l.slot(ctx, delivered); err != nil {
		return nil, err
	}
	reserved := l.rate.Reserve()
	wait := reserved.Delay()
	if wait > slotWait && !l.alone {
		err = &queue.Later{Delay: wait + rand.N(rest(delivered)), Err: errCrowded}
	} else {
		err = l.sleep(ctx, wait)
	}
	if err != nil {
		reserved.Cancel()
		l.concurrency.release()
		return nil, err
	}
	return l.concurrency.release, nil
}

func rest(delivered int) time.Duration { return queueRest << min(max(delivered-1, 0), queueDoublings) }

// slot waits for a slot.
func (l *Limiter) slot(ctx context.Context, delivered int) error {
	var enough <-chan time.Time
	if !l.alone {
		timer := time.NewTimer(slotWait)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-l.concurrency.slots:
		return nil
	case <-enough:
		return &queue.Later{Delay: rest(delivered)/2 + rand.N(rest(delivered)), Err: errCrowded}
	case <-l.over.Done():
		return &queue.Later{Err: errOver}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sleep waits, unless ctx or the engine ends.
func (l *Limiter) sleep(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.over.Done():
		return &queue.Later{Err: errOver}
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	// longestStop is for how long a pass waits in the middle for an issuer's pause to end. Past it the alert goes back.
	longestStop = 5 * time.Second
	// maxCalls is how often one call is made that the issuer keeps refusing for now, before that is a failure.
	maxCalls = 4
)

// Do makes one call to the issuer. During a pause that the issuer asked for nobody calls; a call that was refused for now is
// made again after it. The error is the call's, that of ctx, or a *queue.Later. A nil Limiter only makes the call.
func (l *Limiter) Do(ctx context.Context, call func() error) error {
	if l == nil {
		return call()
	}
	for calls := 1; ; calls++ {
		paused := l.concurrency.pausedFor(time.Now())
		if paused > longestStop {
			return &queue.Later{Delay: paused, Err: errPaused}
		}
		if err := l.sleep(ctx, paused); err != nil {
			return err
		}
		began := time.Now()
		err := call()
		pause := min(Pause(err), maxPause)
		if pause == 0 {
			return err
		}
		l.concurrency.pause(began, pause)
		if calls == maxCalls || pause > longestStop {
			return err
		}
	}
}
