package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stanch/notify/deliver/lease"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// process waits for a lease and works under it.
type process struct {
	store   *reachable
	working atomic.Bool
	stop    context.CancelFunc
}

func start(t *testing.T, store queue.Store, work func(context.Context) error) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &process{store: &reachable{Store: store}}
	over := make(chan struct{})
	p.stop = func() { cancel(); <-over }
	go func() {
		defer close(over)
		lease.New(p.store, queue.LeaseSubject("c"), slog.New(slog.DiscardHandler)).Hold(ctx, func(ctx context.Context) error {
			p.working.Store(true)
			defer p.working.Store(false)
			return work(ctx)
		})
	}()
	t.Cleanup(p.stop)
	return p
}

func untilOver(ctx context.Context) error { <-ctx.Done(); return nil }

// reachable is the way of one process to the store, which can be cut.
type reachable struct {
	queue.Store
	cut atomic.Bool
}

var errCut = errors.New("the store is out of reach")

func (r *reachable) Last(ctx context.Context, subject string) (queue.Message, error) {
	if r.cut.Load() {
		return queue.Message{}, errCut
	}
	return r.Store.Last(ctx, subject)
}

func (r *reachable) AppendAfter(ctx context.Context, m queue.Message, last uint64) (uint64, error) {
	if r.cut.Load() {
		return 0, errCut
	}
	return r.Store.AppendAfter(ctx, m, last)
}

// wait lets time pass and checks at each moment that at most one process works.
func wait(t *testing.T, d time.Duration, processes ...*process) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		synctest.Wait()
		working := 0
		for _, p := range processes {
			if p.working.Load() {
				working++
			}
		}
		if working > 1 {
			t.Fatalf("%d processes work at once", working)
		}
	}
}

// TestOneAtATime: of two processes one works for as long as it reaches the store. When it is cut off it stops before the
// other one begins, and when it ends in order the other one begins at once.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		first := start(t, store, untilOver)
		wait(t, time.Second, first)
		second := start(t, store, untilOver)
		wait(t, time.Hour, first, second)
		if !first.working.Load() {
			t.Error("the first lost the lease, which nobody took")
		}
		first.store.cut.Store(true)
		wait(t, 30*time.Second, first, second)
		if first.working.Load() || !second.working.Load() {
			t.Errorf("after the first was cut off: it works: %v, the second works: %v", first.working.Load(), second.working.Load())
		}
		first.store.cut.Store(false)
		wait(t, time.Hour, first, second)
		if !second.working.Load() {
			t.Error("the second lost the lease, which nobody took")
		}
		second.stop()
		wait(t, 5*time.Second, first)
		if !first.working.Load() {
			t.Error("the first did not begin at once when the second had ended")
		}
	})
}

// TestFailingWork: work that ends by itself gives the lease back, so that another process begins it; where nobody else does, it
// begins again here, and not in a tight loop.
func TestFailingWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int64
		store := memory.New()
		failing := start(t, store, func(context.Context) error {
			if begun.Add(1) > 100 {
				return untilOver(t.Context()) // so that the test ends
			}
			return errors.New("it failed")
		})
		wait(t, time.Minute, failing)
		if got := begun.Load(); got < 10 || got > 30 {
			t.Errorf("work that fails at once was begun %d times in a minute, want again and again and in no tight loop", got)
		}
		other := start(t, store, untilOver)
		wait(t, time.Minute, failing, other)
		if !other.working.Load() {
			t.Error("the other process never got the lease")
		}
	})
}
