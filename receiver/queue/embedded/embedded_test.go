package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/queuetest"
)

var step = queue.Message{Subject: queue.IncidentSubject("f"), Data: []byte("step")}

// reopen opens a store that will be opened again: the caller closes it.
func reopen(t *testing.T, c embedded.Config) (*embedded.Store, error) {
	t.Helper()
	c.Log = slog.New(slog.DiscardHandler)
	return embedded.Open(t.Context(), c)
}

// stored makes a store with one step of one incident in its log, and closes it.
func stored(t *testing.T, c embedded.Config) {
	t.Helper()
	s := mustReopen(t, c)
	if err := s.Append(t.Context(), step); err != nil {
		t.Fatalf("appending: %v", err)
	}
	mustClose(t, s)
}

func mustReopen(t *testing.T, c embedded.Config) *embedded.Store {
	t.Helper()
	s, err := reopen(t, c)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	return s
}

func mustClose(t *testing.T, s *embedded.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
}

// wantRefused opens a store, and wants an error that says why not. What is stored must still be there afterwards.
func wantRefused(t *testing.T, c embedded.Config, why ...string) {
	t.Helper()
	s, err := reopen(t, c)
	if err == nil {
		mustClose(t, s)
		t.Fatal("opened, want an error")
	}
	for _, text := range append(why, c.Dir) {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got error %q, want one with %q", err, text)
		}
	}
}

func wantStep(t *testing.T, c embedded.Config) {
	t.Helper()
	s := mustReopen(t, c)
	defer mustClose(t, s)
	last, err := s.Last(t.Context(), step.Subject)
	if err != nil || string(last.Data) != string(step.Data) || last.Seq != 1 {
		t.Errorf("got %+v, error %v, want the step that was stored", last, err)
	}
}

func TestEmbeddedReopens(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: filepath.Join(t.TempDir(), "deep", "store"), Keys: "k1"}
	stored(t, c)
	wantStep(t, c)
	info, err := os.Stat(c.Dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got mode %v, error %v, want 0700", info.Mode(), err)
	}
}

func TestEmbeddedKeepsConsumers(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir()}
	s := mustReopen(t, c)
	alerts := []queue.Message{{Subject: "alerts.gh", Data: []byte("1")}, {Subject: "alerts.gh", Data: []byte("2")}}
	queuetest.Append(t, s, alerts...)
	if got := takeOne(t, s); got != "1" {
		t.Errorf("took %q, want 1", got)
	}
	mustClose(t, s)
	s = mustReopen(t, c)
	defer mustClose(t, s)
	if got := takeOne(t, s); got != "2" {
		t.Errorf("took %q, want 2", got)
	}
}

// TestEmbeddedAdopts: a message that a process took and did not settle before it died is delivered when the next one starts,
// and not when its lease ends a minute later.
func TestEmbeddedAdopts(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir()}
	s := mustReopen(t, c)
	queuetest.Append(t, s, queue.Message{Subject: "alerts.gh", Data: []byte("0")}, queue.Message{Subject: "alerts.gh", Data: []byte("1")})
	if got := takeOne(t, s); got != "0" {
		t.Fatalf("took %q, want 0", got)
	}
	mustClose(t, s)
	tamper(t, c.Dir, func(js jetstream.JetStream) error {
		consumer, err := js.Consumer(t.Context(), queue.Alerts, "engine")
		if err != nil {
			return err
		}
		_, err = consumer.Next()
		return err
	})
	s = mustReopen(t, c)
	defer mustClose(t, s)
	if got := takeOne(t, s); got != "1" {
		t.Errorf("took %q, want what was not settled", got)
	}
}

func TestEmbeddedInUse(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir()}
	s := mustReopen(t, c)
	if err := s.Append(t.Context(), step); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, c, "is in use by another process")
	mustClose(t, s)
	wantStep(t, c)
}

func TestEmbeddedOtherKeys(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir(), Keys: "k1"}
	stored(t, c)
	for _, keys := range []string{"k2", ""} {
		other := c
		other.Keys = keys
		other.MaxStore = 64 << 20 // would change every stream
		wantRefused(t, other, "belongs to other keys", `"k1"`, "nothing was changed")
	}
	wantStep(t, c)
}

func TestEmbeddedUnusableDir(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("not a store"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, embedded.Config{Dir: file}, "not a directory")
	wantRefused(t, embedded.Config{Dir: filepath.Join(file, "below")}, "not a directory")
	wantRefused(t, embedded.Config{Dir: ""})

	blocked := embedded.Config{Dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(blocked.Dir, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, blocked, "starting the server")
	left, err := os.ReadFile(file)
	if err != nil || string(left) != "not a store" {
		t.Errorf("the file holds %q, error %v, want it untouched", left, err)
	}
}

func TestEmbeddedFull(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir(), MaxStore: 1 << 20}
	s := mustReopen(t, c)
	defer func() { mustClose(t, s) }()
	one := queue.Message{Subject: "alerts.gh", Data: make([]byte, 10_000)}
	var err error
	for n := 0; err == nil && n < 1000; n++ {
		err = s.Append(t.Context(), one)
	}
	wantFull := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, queue.ErrFull) {
			t.Errorf("%s: got error %v, want %v", what, err, queue.ErrFull)
		}
	}
	wantFull("one", err)
	small := queue.Message{Subject: "alerts.gh", Data: []byte("small")}
	err = s.Append(t.Context(), small, one, one)
	wantFull("several", err)
	if err == nil || !strings.Contains(err.Error(), "1 of 3 messages") {
		t.Errorf("got error %v, want one that says that one was stored", err)
	}
	_, err = s.AppendAfter(t.Context(), queue.Message{Subject: "alerts.other", Data: one.Data}, 0)
	wantFull("by sequence", err)
	// One full stream does not take the room of another, and a larger store takes more.
	if err := s.Append(t.Context(), step); err != nil {
		t.Errorf("appending to another stream: %v", err)
	}
	mustClose(t, s)
	c.MaxStore *= 2
	s = mustReopen(t, c)
	if err := s.Append(t.Context(), one); err != nil {
		t.Errorf("appending to the larger store: %v", err)
	}
}

func TestEmbeddedSmallerStoreKeepsAll(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir(), MaxStore: 64 << 20}
	s := mustReopen(t, c)
	large := queue.Message{Subject: queue.IncidentSubject("g"), Data: make([]byte, 60_000)}
	for _, m := range append([]queue.Message{step}, slices.Repeat([]queue.Message{large}, 20)...) {
		if err := s.Append(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
	c.MaxStore = 1 << 20
	wantStep(t, c)
	s = mustReopen(t, c)
	defer mustClose(t, s)
	if err := s.Append(t.Context(), step); !errors.Is(err, queue.ErrFull) {
		t.Errorf("got error %v, want %v", err, queue.ErrFull)
	}
}

// TestEmbeddedTampered: a stream that somebody changed so that it may lose messages is refused by the name of the field, and
// stays as it is.
func TestEmbeddedTampered(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		stream, field string
		change        func(*jetstream.StreamConfig)
	}{
		{queue.Incidents, "max_age", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }},
		{queue.Incidents, "max_msgs", func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }},
		{queue.Incidents, "max_msgs_per_subject", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }},
		{queue.Incidents, "allow_msg_ttl", func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }},
		{queue.Incidents, "allow_direct", func(c *jetstream.StreamConfig) { c.AllowDirect = true }},
		{queue.Incidents, "discard", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }},
		{queue.Alerts, "no_ack", func(c *jetstream.StreamConfig) { c.NoAck = true }},
		{queue.Alerts, "subjects", func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "more.>") }},
		{queue.Retries, "discard_new_per_subject", func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = true }},
	} {
		t.Run(test.stream+" "+test.field, func(t *testing.T) {
			c := embedded.Config{Dir: t.TempDir()}
			stored(t, c)
			tamper(t, c.Dir, func(js jetstream.JetStream) error {
				s, err := js.Stream(t.Context(), test.stream)
				if err != nil {
					return err
				}
				config := s.CachedInfo().Config
				test.change(&config)
				_, err = js.UpdateStream(t.Context(), config)
				return err
			})
			wantRefused(t, c, test.stream, test.field)
			wantRefused(t, c, test.stream, test.field)
		})
	}
}

// TestEmbeddedOlder: a store of a version that had fewer streams, with other shares, gets those that it lacks and keeps what it
// has.
func TestEmbeddedOlder(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir()}
	stored(t, c)
	tamper(t, c.Dir, func(js jetstream.JetStream) error {
		s, err := js.Stream(t.Context(), queue.Pointers)
		if err != nil {
			return err
		}
		config := s.CachedInfo().Config
		config.MaxBytes += config.MaxBytes / 3
		if _, err := js.UpdateStream(t.Context(), config); err != nil {
			return err
		}
		return js.DeleteStream(t.Context(), queue.Told)
	})
	wantStep(t, c)
	s := mustReopen(t, c)
	defer func() { mustClose(t, s) }()
	told := queue.Message{Subject: queue.ToldSubject("slack", "f"), Data: []byte("it")}
	if err := s.Append(t.Context(), told); err != nil {
		t.Errorf("appending to the new stream: %v", err)
	}
}

// TestEmbeddedForeign: a stream of our name that somebody else made is refused too.
func TestEmbeddedForeign(t *testing.T) {
	t.Parallel()
	for field, config := range map[string]jetstream.StreamConfig{
		"deny_delete": {
			Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, MaxMsgSize: 68 << 10, DenyPurge: true,
		},
		"persist_mode": {
			Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, MaxMsgSize: 68 << 10,
			DenyPurge: true, DenyDelete: true, PersistMode: jetstream.AsyncPersistMode,
		},
	} {
		t.Run(field, func(t *testing.T) {
			c := embedded.Config{Dir: t.TempDir(), Keys: "k1"}
			config.Name, config.Subjects = queue.Incidents, []string{"incidents.>"}
			config.Metadata = map[string]string{"stanch_keys": "k1"}
			tamper(t, c.Dir, func(js jetstream.JetStream) error {
				_, err := js.CreateStream(t.Context(), config)
				return err
			})
			wantRefused(t, c, queue.Incidents, field)
		})
	}
}

// tamper changes a closed store with a server of its own.
func tamper(t *testing.T, dir string, change func(jetstream.JetStream) error) {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, JetStream: true, StoreDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server is not ready")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := change(js); err != nil {
		t.Fatalf("tampering: %v", err)
	}
}

// TestEmbeddedUnreadableStream: a stream on disk that the server cannot read is not created, because that would delete it.
func TestEmbeddedUnreadableStream(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir()}
	stored(t, c)
	dir := filepath.Join(c.Dir, "jetstream", "$G", "streams", queue.Incidents)
	meta := filepath.Join(dir, "meta.inf")
	good, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(meta, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, c, queue.Incidents, "cannot read it")
	if err := os.WriteFile(meta, good, 0o600); err != nil {
		t.Fatal(err)
	}
	wantStep(t, c)
}

// takeOne settles one alert.
func takeOne(t *testing.T, s queue.Store) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var data string
	err := s.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "engine"},
		func(_ context.Context, m queue.Message) error {
			data = string(m.Data)
			cancel()
			return nil
		})
	if err != nil {
		t.Fatalf("working: %v", err)
	}
	return data
}

// TestWorkLogsNoPanicValue: the value that a handler panics with may be a secret.
func TestWorkLogsNoPanicValue(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	s, err := embedded.Open(t.Context(), embedded.Config{
		Dir: t.TempDir(), Log: slog.New(slog.NewJSONHandler(&text, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	queuetest.Append(t, s, queue.Message{Subject: "alerts.gh", Data: []byte("1")})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = s.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "engine"}, func(context.Context, queue.Message) error {
		cancel()
		panic("planted-token")
	})
	if err != nil {
		t.Errorf("working: %v", err)
	}
	mustClose(t, s)
	for want, there := range map[string]bool{"handler panicked": true, `"type":"string"`: true, "planted-token": false} {
		if got := strings.Contains(text.String(), want); got != there {
			t.Errorf("the log has %q: %v, want %v: %s", want, got, there, text.String())
		}
	}
}
