package memory_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
	"stanch/receiver/queue/queuetest"
)

func TestMemory(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) queue.Store {
		t.Parallel()
		return memory.New()
	})
}

func TestMemoryRequests(t *testing.T) {
	queuetest.RunRequests(t, func(*testing.T) queue.Requests { return memory.New() })
}

// TestMemoryInABubble: delays, ages and the drain are kept to the instant under the fake time of synctest.
func TestMemoryInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		start := time.Now()
		queuetest.Append(t, s, queue.Message{Subject: "alerts.gh", Data: []byte("1")})
		ctx, cancel := context.WithCancel(t.Context())
		var times []time.Duration
		ended := make(chan error)
		go func() {
			ended <- s.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "engine"},
				func(_ context.Context, m queue.Message) error {
					times = append(times, time.Since(start))
					if m.Delivered <= 3 {
						return &queue.Later{Delay: time.Duration(m.Delivered) * time.Hour, Err: errors.New("unknown key")}
					}
					return nil
				})
		}()
		time.Sleep(24 * time.Hour)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("working: %v", err)
		}
		if want := []time.Duration{0, time.Hour, 3 * time.Hour, 6 * time.Hour}; !slices.Equal(times, want) {
			t.Errorf("handled after %v, want %v", times, want)
		}
		queuetest.WantMessages(t, s, queue.Alerts, 0)
	})
}

// TestMemoryBackoff: a message whose handler fails comes back after a delay that doubles up to five minutes, less a
// quarter at most.
func TestMemoryBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		queuetest.Append(t, s, queue.Message{Subject: "alerts.gh", Data: []byte("1")})
		ctx, cancel := context.WithCancel(t.Context())
		last, want := time.Now(), time.Second
		err := s.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "engine"},
			func(_ context.Context, m queue.Message) error {
				if waited := time.Since(last); m.Delivered > 1 {
					if waited > want || waited < want*3/4 {
						t.Errorf("delivery %d came after %v, want %v or up to a quarter less", m.Delivered, waited, want)
					}
					want = min(2*want, 5*time.Minute)
				}
				if last = time.Now(); m.Delivered == 20 {
					cancel()
				}
				return errors.New("did not work")
			})
		if err != nil {
			t.Errorf("working: %v", err)
		}
		queuetest.WantMessages(t, s, queue.Alerts, 1)
	})
}

// TestMemoryDrain: a handler that does not end is cancelled after DrainTimeout, and its message comes back at once.
func TestMemoryDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		queuetest.Append(t, s, queue.Message{Subject: "alerts.gh", Data: []byte("1")})
		c := queue.Consumer{Stream: queue.Alerts, Name: "engine"}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.Work(ctx, c, func(ctx context.Context, _ queue.Message) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if took, want := time.Since(start), time.Second+queue.DrainTimeout; err != nil || took != want {
			t.Errorf("ended after %v with error %v, want after %v", took, err, want)
		}
		again, cancel := context.WithCancel(t.Context())
		start = time.Now()
		if err := s.Work(again, c, func(_ context.Context, m queue.Message) error {
			if m.Delivered != 2 || time.Since(start) != 0 {
				t.Errorf("delivery %d after %v, want the second at once", m.Delivered, time.Since(start))
			}
			cancel()
			return nil
		}); err != nil {
			t.Errorf("working again: %v", err)
		}
	})
}

// TestMemoryAbandons: a handler that ignores its context does not keep Work from returning.
func TestMemoryAbandons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		queuetest.Append(t, s, queue.Message{Subject: "alerts.gh", Data: []byte("1")})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		release := make(chan struct{})
		err := s.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "engine"},
			func(context.Context, queue.Message) error {
				<-release
				return nil
			})
		if err != nil {
			t.Errorf("working: %v", err)
		}
		close(release)
	})
}

// TestMemoryForgets: what is kept for a time is gone after it, and a message id too.
func TestMemoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		kept := queue.Message{Subject: queue.RetrySubject("f"), Data: []byte("sealed"), ID: "id"}
		queuetest.Append(t, s, kept, queue.Message{Subject: "alerts.gh", Data: []byte("1"), ID: "id"})
		time.Sleep(2*time.Minute - 1)
		queuetest.Append(t, s, queue.Message{Subject: "alerts.gh", Data: []byte("same"), ID: "id"})
		queuetest.WantMessages(t, s, queue.Alerts, 1)
		time.Sleep(time.Nanosecond)
		queuetest.Append(t, s, queue.Message{Subject: "alerts.gh", Data: []byte("new"), ID: "id"})
		queuetest.WantMessages(t, s, queue.Alerts, 2)
		time.Sleep(queue.MaxRetryAge)
		queuetest.WantMessages(t, s, queue.Retries, 0)
		queuetest.WantMessages(t, s, queue.Alerts, 2)
		if _, err := s.Last(t.Context(), kept.Subject); !errors.Is(err, queue.ErrNoMessage) {
			t.Errorf("got error %v, want %v", err, queue.ErrNoMessage)
		}
	})
}

// TestMemoryKeepsItsOwn: neither the caller's bytes nor a reader's are the store's.
func TestMemoryKeepsItsOwn(t *testing.T) {
	s := memory.New()
	m := queue.Message{Subject: queue.RetrySubject("f"), Data: []byte("sealed")}
	queuetest.Append(t, s, m)
	clear(m.Data)
	for range 2 {
		got, err := s.Last(t.Context(), m.Subject)
		if err != nil || string(got.Data) != "sealed" {
			t.Errorf("got %q, error %v, want what was stored", got.Data, err)
		}
		clear(got.Data)
	}
}
