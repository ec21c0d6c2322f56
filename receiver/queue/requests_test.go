package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"stanch/receiver/queue"
)

// TestRequests requests and replies over the embedded store and on its twin.
func TestRequests(t *testing.T) {
	embedded, err := queue.OpenEmbedded(t.Context(), queue.Config{
		Dir: t.TempDir(), MaxStore: queue.MinMaxStore, Keys: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = embedded.Close() })
	for name, requests := range map[string]queue.Requests{"embedded": embedded, "memory": queue.NewMemory()} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := requests.Request(ctx, queue.LabelRequests, []byte("nobody is there")); err == nil {
				t.Error("got an answer from nobody")
			}
			answering, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				time.Sleep(100 * time.Millisecond) // who asks is there first
				ended <- requests.Reply(answering, queue.LabelRequests, func(_ context.Context, q []byte) []byte {
					return append([]byte("answer to "), q...)
				})
			}()
			var group sync.WaitGroup
			for range 20 {
				group.Go(func() {
					got, err := requests.Request(t.Context(), queue.LabelRequests, []byte("question"))
					if err != nil || string(got) != "answer to question" {
						t.Errorf("got %q, %v", got, err)
					}
				})
			}
			group.Wait()
			stop()
			if err := <-ended; err != nil {
				t.Errorf("answering ended with %v", err)
			}
		})
	}
}

// TestSlowReply gives up with the context.
func TestSlowReply(t *testing.T) {
	requests := queue.NewMemory()
	go func() {
		_ = requests.Reply(t.Context(), queue.LabelRequests, func(ctx context.Context, _ []byte) []byte {
			<-ctx.Done()
			return nil
		})
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := requests.Request(ctx, queue.LabelRequests, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
