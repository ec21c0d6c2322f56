package queue_test

import (
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/natstest"
	"stanch/receiver/queue/queuetest"
)

// TestCluster runs the suite on three nodes, which all its tests share; the streams are made anew for each.
func TestCluster(t *testing.T) {
	nodes := natstest.New(t, natstest.Options{})
	queuetest.Run(t, func(t *testing.T) queue.Store {
		wipe(t, nodes.URLs())
		return openCluster(t, queue.ClusterConfig{URL: nodes.URLs()})
	})
}

// openCluster opens a store on a cluster until the test ends.
func openCluster(t testing.TB, c queue.ClusterConfig) *queue.Cluster {
	t.Helper()
	if c.Keys == "" {
		c.Keys = "test"
	}
	if c.MaxStore == 0 {
		c.MaxStore = 1 << 30
	}
	c.Log = slog.New(slog.DiscardHandler)
	s, err := queue.OpenCluster(t.Context(), c)
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

// wipe deletes every stream there is.
func wipe(t testing.TB, url string, options ...nats.Option) {
	t.Helper()
	js := connect(t, url, options...)
	names := js.StreamNames(t.Context())
	for name := range names.Name() {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatalf("deleting %s: %v", name, err)
		}
	}
	if err := names.Err(); err != nil {
		t.Fatalf("listing streams: %v", err)
	}
}

// connect connects to a cluster beside the store, until the test ends.
func connect(t testing.TB, url string, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
