package embedded_test

import (
	"log/slog"
	"testing"

	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/queuetest"
)

func TestEmbedded(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) queue.Store {
		t.Parallel() // they wait for the disk most of the time
		return open(t, embedded.Config{})
	})
}

func TestEmbeddedRequests(t *testing.T) {
	queuetest.RunRequests(t, func(t *testing.T) queue.Requests { return open(t, embedded.Config{}) })
}

// open opens a store, in a directory of its own unless c names one, until the test ends.
func open(t testing.TB, c embedded.Config) *embedded.Store {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	c.Log = slog.New(slog.DiscardHandler)
	s, err := embedded.Open(t.Context(), c)
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
