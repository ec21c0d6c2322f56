package embedded_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"stanch/receiver/queue"
	"stanch/receiver/queue/consume"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/queuetest"
	"stanch/receiver/queue/soak"
)

// TestEmbeddedLongHandlers: a handler that takes longer than the lease of its message, and a verdict that does, have it to
// themselves. make test has two quick halves of this: the pool extends leases in fake time, and the server keeps one that is
// extended.
func TestEmbeddedLongHandlers(t *testing.T) {
	if !soak.On() {
		t.Skip("it waits for longer than a lease: make soak")
	}
	t.Parallel()
	s := open(t, embedded.Config{})
	queuetest.Append(t, s, many("alerts.gh", 2, 10)...)
	again, over := make(chan uint64, 1), make(chan struct{})
	handle := func(_ context.Context, m queue.Message) error {
		if m.Delivered > 1 {
			again <- m.Seq
			return nil
		}
		if m.Seq == 1 {
			return &queue.Postponed{Verdict: make(chan error)}
		}
		<-over
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		if err := s.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "engine", Workers: 4}, handle); err != nil {
			t.Errorf("working: %v", err)
		}
	})
	select {
	case seq := <-again:
		t.Errorf("message %d was delivered again while somebody had it", seq)
	case <-time.After(consume.AckWait + consume.AckWait/6):
	}
	close(over)
	cancel()
	work.Wait()
}
