package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/cluster"
	"stanch/receiver/queue/natstest"
	"stanch/receiver/queue/queuetest"
)

var step = queue.Message{Subject: queue.IncidentSubject("f"), Data: []byte("step")}

// TestClusterRefused: settings that cannot work are an error before any connection, and no error repeats a secret.
func TestClusterRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	must(t, os.WriteFile(empty, []byte("SUAPLANTED"), 0o600))
	for name, row := range map[string]struct {
		c    cluster.Config
		want string
	}{
		"no URL":            {cluster.Config{}, "server 1 of the URL: it is none"},
		"user":              {cluster.Config{URL: "nats://a:4222,nats://planted@b:4222"}, "server 2 of the URL: it holds a user"},
		"password":          {cluster.Config{URL: "me:planted@a:4222"}, "it holds a user or a password"},
		"bad port":          {cluster.Config{URL: "nats://me:planted@a:port"}, "server 1 of the URL: it is none"},
		"two credentials":   {cluster.Config{URL: "a", CredsFile: empty, NKeyFile: empty}, "choose one"},
		"no seed":           {cluster.Config{URL: "a", NKeyFile: empty}, "it holds no seed of a user"},
		"no file":           {cluster.Config{URL: "a", NKeyFile: filepath.Join(dir, "none")}, "no such file"},
		"no CA":             {cluster.Config{URL: "a", CAFile: empty}, "root certificate"},
		"half a key pair":   {cluster.Config{URL: "a", CertFile: empty}, "needs its key"},
		"no creds":          {cluster.Config{URL: natstest.Alone(t, nil).URLs(), CredsFile: filepath.Join(dir, "none")}, "no such file"},
		"nobody there":      {cluster.Config{URL: "nats://127.0.0.1:1"}, "connecting to NATS"},
		"too many replicas": {cluster.Config{URL: natstest.Alone(t, nil).URLs(), Keys: "k"}, "replicas > 1 not supported"},
	} {
		_, err := cluster.Open(t.Context(), row.c)
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(strings.ToLower(err.Error()), "planted") {
			t.Errorf("%s: got error %v, want one with %q", name, err, row.want)
		}
	}
}

// TestClusterChanged: a store that belongs to other keys, or that somebody changed, is refused as an embedded one is; its
// limits follow the configuration.
func TestClusterChanged(t *testing.T) {
	t.Parallel()
	node := natstest.Alone(t, nil)
	c := cluster.Config{URL: node.URLs(), Keys: "k1", Replicas: 1, MaxStore: 64 << 20, Log: slog.New(slog.DiscardHandler)}
	keyless := c
	keyless.Keys = ""
	refuse := func(c cluster.Config, want string) {
		t.Helper()
		if _, err := cluster.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	refuse(keyless, "a process without keys cannot make it")
	queuetest.Append(t, openCluster(t, c), step)
	notifier, err := cluster.Open(t.Context(), keyless)
	if err != nil {
		t.Fatalf("opening without keys: %v", err)
	}
	mustEnd(t, notifier.Close())
	other := c
	other.Keys, other.MaxStore = "k2", 32<<20
	refuse(other, `belongs to other keys ("k1", not "k2")`)
	other = c
	other.Replicas = 3
	refuse(other, "is kept on 1 nodes, and the configuration says 3")
	larger := c
	larger.MaxStore *= 2
	openCluster(t, larger)
	wantMaxBytes(t, node, 64<<20)
	natstest.Change(t, node.URLs(), queue.Incidents, func(s *jetstream.StreamConfig) { s.MaxAge = time.Hour })
	refuse(larger, "stream INCIDENTS is not as stanch made it: max_age was changed")
}

func wantMaxBytes(t *testing.T, node *natstest.Cluster, want int64) {
	t.Helper()
	s, err := natstest.Connect(t, node.URLs()).Stream(t.Context(), queue.Incidents)
	if err != nil || s.CachedInfo().Config.MaxBytes != want {
		t.Errorf("got %+v, %v, want %d bytes", s.CachedInfo().Config, err, want)
	}
}

// TestClusterRotated: a seed that is put into the file while we run is used for the next connection, and one that the server
// does not know is tried again until it does.
func TestClusterRotated(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "seed")
	users := []*server.NkeyUser{{Nkey: natstest.NewSeed(t, file)}}
	node := natstest.Alone(t, func(o *server.Options) { o.Nkeys = users })
	var text logged
	c := cluster.Config{
		URL: node.URLs(), NKeyFile: file, Keys: "k", Replicas: 1, MaxStore: 64 << 20,
		Log: slog.New(slog.NewTextHandler(&text, nil)),
	}
	s, err := cluster.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { mustEnd(t, s.Close()) }()
	queuetest.Append(t, s, step)
	// 1. The file is ahead of the server, which refuses us.
	node.Stop(0)
	next := &server.NkeyUser{Nkey: natstest.NewSeed(t, file)}
	node.Start(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := s.Append(ctx, step); err == nil {
		t.Error("stored something as somebody whom the server does not know")
	}
	// 2. The server knows the new one, and nobody else.
	node.Stop(0)
	users = []*server.NkeyUser{next}
	node.Start(t, 0)
	queuetest.Append(t, s, queue.Message{Subject: "sealed.f", Data: []byte("x")})
	seed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if log := text.String(); !strings.Contains(log, "connected to nats again") || strings.Contains(log, strings.TrimSpace(string(seed))) {
		t.Errorf("the log does not say what happened, or too much: %s", log)
	}
}

func mustEnd(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("closing: %v", err)
	}
}

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestClusterWithoutQuorum: while most nodes are away nothing is acknowledged and nobody gives up. When they are back, work and
// reading go on by themselves.
func TestClusterWithoutQuorum(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills nodes for some seconds")
	}
	nodes := natstest.New(t, natstest.Options{Processes: true})
	s := openCluster(t, cluster.Config{URL: nodes.URLs()})
	handled, followed := newCount(), newCount()
	working := inBackground(t, func(ctx context.Context) error {
		return s.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "engine"}, func(_ context.Context, m queue.Message) error {
			handled.note(string(m.Data))
			return nil
		})
	})
	following := inBackground(t, func(ctx context.Context) error {
		return s.Follow(ctx, queue.AllIncidents, time.Time{}, func() {}, func(m queue.Message) error {
			followed.note(string(m.Data))
			return nil
		})
	})
	both := func(data string) []queue.Message {
		return []queue.Message{{Subject: "alerts.gh", ID: data, Data: []byte(data)}, {Subject: "incidents." + data, ID: data, Data: []byte(data)}}
	}
	queuetest.Append(t, s, both("before")...)
	handled.want(t, "alerts", []string{"before"})
	followed.want(t, "steps", []string{"before"})
	nodes.Stop(1)
	nodes.Stop(2)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	if err := s.Append(ctx, both("meanwhile")...); err == nil {
		t.Error("one node of three acknowledged")
	}
	if _, err := s.AppendAfter(ctx, both("swap")[1], 0); err == nil {
		t.Error("one node of three acknowledged")
	}
	nodes.Start(t, 1)
	nodes.Start(t, 2)
	if err := nodes.Ready(); err != nil {
		t.Fatal(err)
	}
	for err := errors.New("not yet"); err != nil; {
		if err = s.Append(t.Context(), both("after")...); t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*count{handled, followed} {
		c.until(t, "after")
	}
	working()
	following()
}
