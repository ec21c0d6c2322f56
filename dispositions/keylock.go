package dispositions

import (
	"context"
	"fmt"
	"sync"

	"stanch/receiver/leak"
)

// keyLock lets one reconcile at a time work on each incident; those of different incidents do not wait for each other.
type keyLock struct {
	mu    sync.Mutex
	taken map[leak.Fingerprint]*waiting
}

type waiting struct {
	token chan struct{} // holds one while nobody has the lock
	count int
}

// lock waits for the incident until ctx ends.
func (l *keyLock) lock(ctx context.Context, f leak.Fingerprint) (unlock func(), err error) {
	w := l.join(f)
	select {
	case <-w.token:
		return func() { w.token <- struct{}{}; l.leave(f, w) }, nil
	case <-ctx.Done():
		l.leave(f, w)
		return nil, fmt.Errorf("waiting for another reconcile of the incident: %w", ctx.Err())
	}
}

func (l *keyLock) join(f leak.Fingerprint) *waiting {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken == nil {
		l.taken = map[leak.Fingerprint]*waiting{}
	}
	w := l.taken[f]
	if w == nil {
		w = &waiting{token: make(chan struct{}, 1)}
		w.token <- struct{}{}
		l.taken[f] = w
	}
	w.count++
	return w
}

func (l *keyLock) leave(f leak.Fingerprint, w *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.count--; w.count == 0 {
		delete(l.taken, f)
	}
}
