package admit

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/time/rate"
)

// Batch gathers what waits for the same kind of call: the first goes at once, and what comes while a call is under way, or while
// the rate forbids one, goes together by the next. It is safe for concurrent use.
type Batch[T any] struct {
	most int
	call func(ctx context.Context, items []T) []error
	rate *rate.Limiter
	over context.Context

	mu      sync.Mutex
	waiting []waiter[T]
	running bool
}

type waiter[T any] struct {
	item   T
	answer chan<- error
}

// NewBatch returns a batch of calls that take at most so many items each, and return one error for each item. It calls no more
// often than the rate allows, and nobody after over has ended.
func NewBatch[T any](over context.Context, most int, r Rate, call func(ctx context.Context, items []T) []error) *Batch[T] {
	return &Batch[T]{most: most, call: call, rate: r.limiter(), over: over}
}

// Do waits until a call has taken the item, and returns that item's error, or ctx's. When ctx ends first, the item may be taken
// all the same.
func (b *Batch[T]) Do(ctx context.Context, item T) error {
	answer := make(chan error, 1)
	b.mu.Lock()
	b.waiting = append(b.waiting, waiter[T]{item, answer})
	if !b.running {
		b.running = true
		go b.run()
	}
	b.mu.Unlock()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for a call that takes many keys: %w", ctx.Err())
	}
}

// run makes calls until nothing waits.
func (b *Batch[T]) run() {
	for b.busy() {
		err := b.rate.Wait(b.over)
		b.make(b.take(), err)
	}
}

// busy reports whether anything waits, and ends the run when nothing does.
func (b *Batch[T]) busy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = len(b.waiting) > 0
	return b.running
}

// take takes what waits, as much as one call takes.
func (b *Batch[T]) take() []waiter[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), b.most)
	items := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	return items
}

// make makes one call, and hands out its answers. What has no answer is unresolved.
func (b *Batch[T]) make(waiting []waiter[T], err error) {
	items := make([]T, len(waiting))
	for i, w := range waiting {
		items[i] = w.item
	}
	var answers []error
	if err == nil {
		answers = b.call(b.over, items)
		if len(answers) != len(items) {
			err = fmt.Errorf("%d answers to a call that took %d keys", len(answers), len(items))
		}
	}
	for i, w := range waiting {
		if err != nil {
			w.answer <- err
			continue
		}
		w.answer <- answers[i]
	}
}
