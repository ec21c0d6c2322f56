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

// TestLine asks and answers on the embedded store and on its twin.
func TestLine(t *testing.T) {
	embedded, err := queue.OpenEmbedded(t.Context(), queue.Config{
		Dir: t.TempDir(), MaxStore: queue.MinMaxStore, Keys: "test", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = embedded.Close() })
	for name, line := range map[string]queue.Line{"embedded": embedded, "memory": queue.NewMemory()} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := line.Ask(ctx, queue.AskLabels, []byte("nobody is there")); err == nil {
				t.Error("got an answer from nobody")
			}
			answering, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				time.Sleep(100 * time.Millisecond) // who asks is there first
				ended <- line.Answer(answering, queue.AskLabels, func(_ context.Context, q []byte) []byte {
					return append([]byte("answer to "), q...)
				})
			}()
			var group sync.WaitGroup
			for range 20 {
				group.Go(func() {
					got, err := line.Ask(t.Context(), queue.AskLabels, []byte("question"))
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

// TestLineThatIsSlow gives up with the context.
func TestLineThatIsSlow(t *testing.T) {
	line := queue.NewMemory()
	go func() {
		_ = line.Answer(t.Context(), queue.AskLabels, func(ctx context.Context, _ []byte) []byte {
			<-ctx.Done()
			return nil
		})
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := line.Ask(ctx, queue.AskLabels, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
