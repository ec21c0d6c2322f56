package collect

import (
	"context"
	"sync"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// refs holds the alerts that incidents know, by the names that their sources give them, so that a sweep can tell which it
// missed. It reads the log once and then follows it.
type refs struct {
	ready chan struct{}

	mu    sync.Mutex
	known map[ref]bool
	swept map[ref]time.Time // those that a sweep has queued a pointer to since the start, by when they had changed
}

type ref struct{ source, ref string }

func newRefs() *refs {
	return &refs{ready: make(chan struct{}), known: map[ref]bool{}, swept: map[ref]time.Time{}}
}

// follow keeps the refs up to date until ctx ends.
func (r *refs) follow(ctx context.Context, store queue.Store) error {
	return store.Follow(ctx, queue.AllIncidents, time.Time{}, func() { close(r.ready) }, func(m queue.Message) error {
		if entry, err := leak.Read[leak.Entry](m.Data); err == nil {
			r.note(entry)
		}
		return nil
	})
}

func (r *refs) note(e leak.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range e.Steps {
		if s.Step == leak.Seen && s.Ref != "" {
			r.known[ref{s.Source, s.Ref}] = true
		}
	}
}

// missed reports whether no incident knows a listed alert, and no sweep has found it so before, unchanged.
func (r *refs) missed(source string, l Listed) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := ref{source, l.Ref}
	before, swept := r.swept[name]
	return !r.known[name] && (!swept || !before.Equal(l.UpdatedAt))
}

// point notes that a sweep has queued a pointer to an alert.
func (r *refs) point(source string, l Listed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swept[ref{source, l.Ref}] = l.UpdatedAt
}
