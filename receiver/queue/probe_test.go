package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/memory"
	"stanch/receiver/queue/queuetest"
)

func TestProbe(t *testing.T) {
	s, err := embedded.Open(t.Context(), embedded.Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	p := queue.NewProbe(s, false)
	if p.Ready() == nil {
		t.Error("ready before the first probe")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	for n := uint64(0); n == 0; {
		stats, err := s.Stats(t.Context(), queue.Probes)
		if err != nil {
			t.Fatal(err)
		}
		n = stats.Messages
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v, want nil", err)
	}
}

// failing is a store whose disk fails when it is told to.
type failing struct {
	queue.Store
	fails atomic.Bool
}

var errDisk = errors.New("the disk failed")

func (f *failing) Append(ctx context.Context, messages ...queue.Message) error {
	if f.fails.Load() {
		return errDisk
	}
	return f.Store.Append(ctx, messages...)
}

func TestProbeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := memory.New()
		s := &failing{Store: memory}
		p := queue.NewProbe(s, false)
		ended := make(chan error, 1)
		go func() { ended <- p.Run(t.Context()) }()
		// 1. It works, and what it writes replaces what it wrote.
		time.Sleep(time.Hour)
		if err := p.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		queuetest.WantMessages(t, memory, queue.Probes, 1)
		// 2. Failures that pass are told and forgotten.
		s.fails.Store(true)
		time.Sleep(8 * time.Second)
		if err := p.Ready(); !errors.Is(err, errDisk) {
			t.Errorf("got error %v, want %v", err, errDisk)
		}
		s.fails.Store(false)
		time.Sleep(time.Minute)
		if err := p.Ready(); err != nil {
			t.Errorf("not ready again: %v", err)
		}
		// 3. Three in a row end it.
		s.fails.Store(true)
		if err := <-ended; !errors.Is(err, errDisk) {
			t.Errorf("ended with %v, want %v", err, errDisk)
		}
		if err := p.Ready(); err == nil {
			t.Error("ready after the end")
		}
	})
}

// TestProbeOutlivesACluster: what can recover is waited for.
func TestProbeOutlivesACluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &failing{Store: memory.New()}
		p := queue.NewProbe(s, true)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		s.fails.Store(true)
		time.Sleep(time.Hour)
		if p.Ready() == nil {
			t.Error("ready although nothing can be stored")
		}
		s.fails.Store(false)
		time.Sleep(time.Minute)
		if err := p.Ready(); err != nil {
			t.Errorf("not ready although the store is back: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v, want nil", err)
		}
	})
}
