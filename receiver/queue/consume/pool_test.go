package consume_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stanch/receiver/queue"
	"stanch/receiver/queue/consume"
)

// leases notes when the lease of each message was extended.
type leases struct {
	mu       sync.Mutex
	extended map[uint64][]time.Time
}

func (l *leases) extend(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.extended[seq] = append(l.extended[seq], time.Now())
}

// delivering returns a fetch of messages by sequence, each once, and then of nothing until its context ends.
func (l *leases) delivering(n uint64) consume.Fetch {
	next := make(chan uint64, n)
	for seq := range n {
		next <- seq + 1
	}
	return func(ctx context.Context) (consume.Delivery, error) {
		select {
		case seq := <-next:
			return consume.Delivery{
				Message: queue.Message{Seq: seq, Delivered: 1},
				Ack:     func() error { return nil },
				Nak:     func(time.Duration) error { return nil },
				Extend:  func() error { l.extend(seq); return nil },
			}, nil
		case <-ctx.Done():
			return consume.Delivery{}, ctx.Err()
		}
	}
}

// TestPoolExtends: a lease is extended well before it ends, while a handler runs and while a verdict is awaited, and not
// afterwards.
func TestPoolExtends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const minutes = 10
		l := &leases{extended: make(map[uint64][]time.Time)}
		verdict, began := make(chan error, 1), time.Now()
		pool := consume.Pool{
			Consumer: queue.Consumer{Stream: queue.Alerts, Name: "engine", Workers: 2},
			Log:      slog.New(slog.DiscardHandler),
			Handle: func(_ context.Context, m queue.Message) error {
				if m.Seq == 1 {
					return &queue.Postponed{Verdict: verdict}
				}
				time.Sleep(minutes * time.Minute)
				return nil
			},
		}
		fetch := l.delivering(2)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- pool.Run(ctx, func(context.Context) (consume.Fetch, error) { return fetch, nil })
		}()
		time.Sleep(minutes*time.Minute + time.Second)
		verdict <- nil
		time.Sleep(time.Hour)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for seq := uint64(1); seq <= 2; seq++ {
			last := began
			for _, at := range l.extended[seq] {
				if at.Sub(last) > consume.AckWait/2 {
					t.Errorf("message %d: extended %v after %v, want within half of its lease", seq, at.Sub(last), last.Sub(began))
				}
				last = at
			}
			if over := last.Sub(began); over < (minutes-1)*time.Minute || over > minutes*time.Minute+time.Second {
				t.Errorf("message %d: extended last after %v, want %d minutes", seq, over, minutes)
			}
		}
	})
}
