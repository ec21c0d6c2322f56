package cluster_test

import (
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"

	"stanch/receiver/queue"
	"stanch/receiver/queue/cluster"
	"stanch/receiver/queue/natstest"
	"stanch/receiver/queue/queuetest"
)

// TestCluster runs the suite on three nodes, which all its tests share. Each test gets new streams for those that an earlier
// one has used.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := natstest.New(t, natstest.Options{})
	queuetest.Run(t, func(t *testing.T) queue.Store {
		wipe(t, nodes.URLs())
		return openCluster(t, cluster.Config{URL: nodes.URLs()})
	})
}

// openCluster opens a store on a cluster until the test ends.
func openCluster(t testing.TB, c cluster.Config) *cluster.Store {
	t.Helper()
	if c.Keys == "" {
		c.Keys = "test"
	}
	if c.MaxStore == 0 {
		c.MaxStore = 1 << 30
	}
	c.Log = slog.New(slog.DiscardHandler)
	s, err := cluster.Open(t.Context(), c)
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

// wipe deletes every stream that ever held a message or has a consumer.
func wipe(t testing.TB, url string, options ...nats.Option) {
	t.Helper()
	js := natstest.Connect(t, url, options...)
	all := js.ListStreams(t.Context())
	for info := range all.Info() {
		if info.State.LastSeq == 0 && info.State.Consumers == 0 {
			continue
		}
		if err := js.DeleteStream(t.Context(), info.Config.Name); err != nil {
			t.Fatalf("deleting %s: %v", info.Config.Name, err)
		}
	}
	if err := all.Err(); err != nil {
		t.Fatalf("listing streams: %v", err)
	}
}
