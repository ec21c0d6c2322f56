package queue_test

import (
	"log/slog"
	"testing"

	"stanch/receiver/queue"
	"stanch/receiver/queue/queuetest"
)

func TestMemory(t *testing.T) {
	queuetest.Run(t, func(*testing.T) queue.Store { return queue.NewMemory() })
}

func TestEmbedded(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) queue.Store { return open(t, queue.Config{}) })
}

// open opens a store, in a directory of its own unless c names one, until the test ends.
func open(t testing.TB, c queue.Config) *queue.Embedded {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	c.Log = slog.New(slog.DiscardHandler)
	s, err := queue.OpenEmbedded(t.Context(), c)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}
