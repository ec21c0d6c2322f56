// Package lease lets one process at a time do something, however many processes there are that could. The lease is a
// message in the store that its holder writes again and again; no clocks are compared.
package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"stanch/receiver/queue"
)

const (
	// term is how long a holder may stay silent. Another process that has seen nothing new for that long takes its place.
	term = 15 * time.Second
	// every is how often the holder writes, and how often those who wait look.
	every = term / 5
	// timeout bounds one write or read.
	timeout = term / 3
)

// Lease is what one process holds, or waits for. Who waits measures by its own clock for how long nothing was written. A
// holder that stands still for longer than the term may still be at work when its successor begins. Use it from one
// goroutine.
type Lease struct {
	store   queue.Store
	subject string
	holder  string // random: this process
	log     *slog.Logger

	seq   uint64    // of the newest message that was seen
	since time.Time // when it was seen first
}

// New returns a lease that this process does not hold yet. All who share it name the same subject of the same store, and
// the name that the log shows is the logger's to add.
func New(store queue.Store, subject string, log *slog.Logger) *Lease {
	return &Lease{store: store, subject: subject, holder: rand.Text(), log: log}
}

// Hold calls do whenever this process holds the lease, until ctx ends. When the lease is lost, the context of do ends and
// Hold waits for do to return. When do returns by itself, the lease is given back for others to take, and Hold pauses before
// it waits for the lease again; an error of do is logged.
func (l *Lease) Hold(ctx context.Context, do func(context.Context) error) {
	for l.acquire(ctx) {
		l.log.Info("lease taken")
		serving, stop := context.WithCancel(ctx)
		var keeping sync.WaitGroup
		keeping.Go(func() {
			defer stop()
			l.keep(serving)
		})
		err := do(serving)
		stop()
		keeping.Wait()
		l.release(ctx)
		if err != nil && ctx.Err() == nil {
			l.log.Error("work under the lease failed", "err", err)
		}
		pause(ctx)
	}
}

// acquire waits until this process holds the lease. It reports false when ctx has ended.
func (l *Lease) acquire(ctx context.Context) bool {
	for ctx.Err() == nil {
		free, err := l.free(ctx)
		if err == nil && free {
			if err = l.write(ctx, l.holder); err == nil {
				return true
			}
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, queue.ErrConflict) {
			l.log.Warn("lease cannot be taken yet", "err", err)
		}
		pause(ctx)
	}
	return false
}

// pause waits for the time between two looks at the lease, or until ctx ends.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(every):
	}
}

// free reports whether nobody seems to hold the lease.
func (l *Lease) free(ctx context.Context) (bool, error) {
	holder, err := l.look(ctx)
	return holder == "" || holder == l.holder || time.Since(l.since) >= term, err
}

// look reads who wrote the lease last, and notes when that was seen first; empty: nobody, or it was given back.
func (l *Lease) look(ctx context.Context) (holder string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last, err := l.store.Last(ctx, l.subject)
	if errors.Is(err, queue.ErrNoMessage) {
		l.saw(0)
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the lease: %w", err)
	}
	l.saw(last.Seq)
	return string(last.Data), nil
}

func (l *Lease) saw(seq uint64) {
	if l.seq != seq || l.since.IsZero() {
		l.seq, l.since = seq, time.Now()
	}
}

// write writes the lease after the message that was seen last. When a write of our own got no answer but was stored, it
// finds that out.
func (l *Lease) write(ctx context.Context, text string) error {
	writing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	seq, err := l.store.AppendAfter(writing, queue.Message{Subject: l.subject, Data: []byte(text)}, l.seq)
	if errors.Is(err, queue.ErrConflict) {
		before := l.seq
		if holder, looked := l.look(ctx); looked == nil && holder == l.holder && l.seq != before {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("writing the lease: %w", err)
	}
	l.saw(seq)
	return nil
}

// keep writes the lease until ctx ends or the lease is lost: to somebody else, or because no write succeeded for too long.
func (l *Lease) keep(ctx context.Context) {
	written := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		err := l.write(ctx, l.holder)
		switch {
		case err == nil:
			written = time.Now()
		case ctx.Err() != nil:
			return
		case errors.Is(err, queue.ErrConflict), time.Since(written) >= term-every-timeout:
			l.log.Warn("lease lost", "err", err)
			return
		}
	}
}

// release gives the lease back, even while the process ends, so that nobody has to wait.
func (l *Lease) release(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if holder, err := l.look(ctx); err == nil && holder == l.holder {
		_ = l.write(ctx, "") // a courtesy: it runs out by itself
	}
}
