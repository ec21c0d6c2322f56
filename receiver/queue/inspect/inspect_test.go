package inspect_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/cluster"
	"stanch/receiver/queue/inspect"
	"stanch/receiver/queue/natstest"
)

// found is one wanted finding: its check, its result, and a part of its text.
type found struct {
	check string
	leak.Result
	text string
}

// wantFound inspects a cluster until it finds what is wanted, and everything else good. That may take a moment, because the
// replicas of a stream that was changed must catch up.
func wantFound(t *testing.T, c cluster.Config, monitoring []string, want ...found) {
	t.Helper()
	c.Log = slog.New(slog.DiscardHandler)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		all := inspect.Cluster(t.Context(), c, monitoring)
		wrong := compare(all, want)
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%s\namong %+v", strings.Join(wrong, "\n"), all)
			return
		}
	}
}

// compare says which findings are not wanted, and which are wanted and missing.
func compare(all []leak.Finding, want []found) (wrong []string) {
	is := func(w found, f leak.Finding) bool {
		return w.check == f.Check && w.Result == f.Result && strings.Contains(f.Text, w.text)
	}
	for _, f := range all {
		wanted := slices.ContainsFunc(want, func(w found) bool { return is(w, f) })
		if !wanted && f.Result != leak.Good {
			wrong = append(wrong, fmt.Sprintf("not wanted: %+v", f))
		}
	}
	for _, w := range want {
		if !slices.ContainsFunc(all, func(f leak.Finding) bool { return is(w, f) }) {
			wrong = append(wrong, fmt.Sprintf("missing: %+v", w))
		}
	}
	return wrong
}

// varz is a server's monitoring that says one thing about its disk.
func varz(t *testing.T, config string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/varz" {
			http.NotFound(w, r)
			return
		}
		_, _ = fmt.Fprintf(w, `{"server_name":"played","jetstream":{%s}}`, config)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestCluster takes a cluster from nothing to a node that is away.
func TestCluster(t *testing.T) {
	nodes := natstest.New(t, natstest.Options{})
	c := cluster.Config{URL: nodes.URLs(), Keys: "test", MaxStore: 1 << 30}
	var monitoring []string
	for i := range 3 {
		monitoring = append(monitoring, "http://"+nodes.Server(i).MonitorAddr().String())
	}
	// 1. Nothing is made by looking.
	for range 2 {
		wantFound(t, c, monitoring, found{"streams", leak.Broken, "ALERTS, POINTERS"}, found{"connection", leak.Good, "n"})
	}
	// 2. All is well.
	store, err := cluster.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	defer func() { _ = store.Close() }() // the cluster is gone by then
	wantFound(t, c, monitoring, found{"replicas", leak.Good, "3 servers"}, found{"sync", leak.Good, "n1: always"},
		found{"sync", leak.Good, "n3: always"}, found{"version", leak.Good, server.VERSION})
	// 3. What a power cut loses.
	wantFound(t, c, nil, found{"sync", leak.Doubt, "3 servers have no monitoring address"})
	wantFound(t, c, []string{
		varz(t, `"config":{"sync_interval":120000000000}`), varz(t, ""), "http://127.0.0.1:1", "http://user:planted@host/",
	}, found{"sync", leak.Doubt, "up to 2m0s of acknowledged alerts are lost"}, found{"sync", leak.Broken, "no JetStream"},
		found{"sync", leak.Broken, "monitoring address 3"}, found{"sync", leak.Broken, "monitoring address 4: it is none"})
	// 4. Configured otherwise.
	other := c
	other.Keys, other.Replicas, other.MaxStore = "other", 1, 2<<30
	wantFound(t, other, monitoring, found{"configuration", leak.Broken, "other keys"}, found{"limits", leak.Doubt, "ALERTS takes"},
		found{"configuration", leak.Broken, "is kept on 3 nodes, and the configuration says 1"},
		found{"replicas", leak.Doubt, "on one server"})
	natstest.Change(t, nodes.URLs(), queue.Alerts, func(s *jetstream.StreamConfig) { s.NoAck = true })
	wantFound(t, c, monitoring, found{"configuration", leak.Broken, "stream ALERTS is not as stanch made it: no_ack was changed"})
	natstest.Change(t, nodes.URLs(), queue.Alerts, func(s *jetstream.StreamConfig) { s.NoAck = false })
	// 5. A node is away.
	nodes.Stop(2)
	wantFound(t, c, monitoring[:2], found{"replicas", leak.Doubt, "on n3"}, found{"sync", leak.Doubt, "1 servers"})
	// 6. Nobody is there.
	nodes.Close()
	wantFound(t, c, nil, found{"connection", leak.Broken, "connecting"}, found{"sync", leak.Doubt, ""})
}
