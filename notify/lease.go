package notify

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
	// leaseTerm is for how long a process serves a notifier without having said again that it does. Another one that has
	// seen nothing new for that long takes its place.
	leaseTerm = 15 * time.Second
	// leaseEvery is how often it says so, and how often those who wait look.
	leaseEvery = leaseTerm / 5
	// leaseTimeout bounds one write or read of it.
	leaseTimeout = leaseTerm / 3
)

// lease lets one process at a time serve a notifier, so that a channel stays calm and hears things in one order however
// many processes there are. It is a message in the store that its holder writes again and again. No clocks are compared:
// who waits measures by its own for how long nothing was written. A process that stands still for longer than the term may
// tell a notice that its successor tells as well.
type lease struct {
	store   queue.Store
	subject string
	holder  string // random: this process
	log     *slog.Logger

	seq   uint64    // of the newest message that was seen
	since time.Time // when it was seen first
}

func newLease(store queue.Store, notifier string, log *slog.Logger) *lease {
	return &lease{store: store, subject: queue.LeaseSubject(notifier), holder: rand.Text(), log: log.With("notifier", notifier)}
}

// hold has something done whenever the lease is ours, until ctx ends. When the lease is lost the context of what is done
// ends, and it is waited for. When it fails, the lease is given back.
func (l *lease) hold(ctx context.Context, do func(context.Context) error) {
	for l.acquire(ctx) {
		l.log.Info("serving notifier")
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
			l.log.Error("serving notifier failed", "err", err)
		}
	}
}

// acquire waits until the lease is ours. It reports false when ctx has ended.
func (l *lease) acquire(ctx context.Context) bool {
	for ctx.Err() == nil {
		free, err := l.free(ctx)
		if err == nil && free {
			if err = l.write(ctx, l.holder); err == nil {
				return true
			}
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, queue.ErrConflict) {
			l.log.Warn("notifier cannot be taken up yet", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(leaseEvery):
		}
	}
	return false
}

// free looks whether nobody holds the lease, as far as one can see.
func (l *lease) free(ctx context.Context) (bool, error) {
	holder, err := l.look(ctx)
	return holder == "" || holder == l.holder || time.Since(l.since) >= leaseTerm, err
}

// look reads who wrote the lease last, and notes when that was seen; empty: nobody, or it was given back.
func (l *lease) look(ctx context.Context) (holder string, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	last, err := l.store.Last(ctx, l.subject)
	if errors.Is(err, queue.ErrNoMessage) {
		l.saw(0)
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking who serves it: %w", err)
	}
	l.saw(last.Seq)
	return string(last.Data), nil
}

func (l *lease) saw(seq uint64) {
	if l.seq != seq || l.since.IsZero() {
		l.seq, l.since = seq, time.Now()
	}
}

// write writes the lease after the message that was seen last. Of a write without an answer it finds out what became.
func (l *lease) write(ctx context.Context, text string) error {
	writing, cancel := context.WithTimeout(ctx, leaseTimeout)
	defer cancel()
	seq, err := l.store.AppendAfter(writing, queue.Message{Subject: l.subject, Data: []byte(text)}, l.seq)
	if errors.Is(err, queue.ErrConflict) {
		before := l.seq
		if holder, looked := l.look(ctx); looked == nil && holder == l.holder && l.seq != before {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("saying who serves it: %w", err)
	}
	l.saw(seq)
	return nil
}

// keep writes the lease until ctx ends or it is lost: to somebody else, or because nothing could be written for too long.
func (l *lease) keep(ctx context.Context) {
	written := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(leaseEvery):
		}
		err := l.write(ctx, l.holder)
		switch {
		case err == nil:
			written = time.Now()
		case ctx.Err() != nil:
			return
		case errors.Is(err, queue.ErrConflict), time.Since(written) >= leaseTerm-leaseEvery-leaseTimeout:
			l.log.Warn("notifier is another process's now", "err", err)
			return
		}
	}
}

// release gives the lease back, even while everything ends, so that nobody has to wait.
func (l *lease) release(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if holder, err := l.look(ctx); err == nil && holder == l.holder {
		_ = l.write(ctx, "") // a courtesy: it runs out by itself
	}
}
