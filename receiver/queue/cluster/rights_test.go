package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"stanch/receiver/queue"
	"stanch/receiver/queue/cluster"
	"stanch/receiver/queue/natstest"
	"stanch/receiver/queue/streams"
)

// secured is a cluster with the configuration of deploy/nats.
type secured struct{ *natstest.Secured }

func newSecured(t *testing.T) *secured {
	return &secured{natstest.NewSecured(t, t.TempDir(), filepath.Join("..", "..", "..", "deploy", "nats", "nats.conf"))}
}

func (s *secured) config(user string) cluster.Config {
	return cluster.Config{URL: s.URLs(), NKeyFile: s.Seed(user), CAFile: s.CA, Role: user}
}

// connect connects as a user, beside the store.
func (s *secured) connect(t *testing.T, user string) *nats.Conn {
	t.Helper()
	nkey, err := nats.NkeyOptionFromSeed(s.Seed(user))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(s.URLs(), nkey, nats.RootCAs(s.CA), nats.CustomInboxPrefix("_INBOX_"+user),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// TestRights: with the configuration of deploy/nats each role can do what it does, and nothing else.
func TestRights(t *testing.T) {
	s := newSecured(t)
	t.Run("before the streams are there", func(t *testing.T) { testNoStreams(t, s) })
	openCluster(t, s.config("operator"))
	t.Run("engine", func(t *testing.T) { testEngineRights(t, openCluster(t, s.config("engine"))) })
	t.Run("receiver", func(t *testing.T) { testReceiverRights(t, s) })
	t.Run("collector", func(t *testing.T) { testCollectorRights(t, openCluster(t, s.config("collector"))) })
	t.Run("notifier", func(t *testing.T) { testNotifierRights(t, s) })
	t.Run("all in one", func(t *testing.T) {
		all := openCluster(t, s.config("stanch"))
		testEngineRights(t, all)
		must(t, all.Append(t.Context(), message("pointers.gh")))
		testCollectorRights(t, all)
	})
	t.Run("quickly refused", func(t *testing.T) { testRefusedQuickly(t, s) })
	t.Run("inboxes", func(t *testing.T) { testInboxes(t, s) })
	t.Run("everything else", func(t *testing.T) { testEverythingElse(t, s) })
}

// testNoStreams: a role is told at once what is missing, and who makes it.
func testNoStreams(t *testing.T, s *secured) {
	for _, user := range natstest.Users[:5] {
		c := s.config(user)
		c.Keys, c.Log = "test", slog.New(slog.DiscardHandler)
		_, err := cluster.Open(t.Context(), c)
		if !errors.Is(err, queue.ErrForbidden) || !strings.Contains(err.Error(), "$JS.API.STREAM.CREATE.ALERTS") ||
			!strings.Contains(err.Error(), "stanch streams create") {
			t.Errorf("%s: got error %v, want one that says what is missing", user, err)
		}
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Errorf("%d: %v", i+1, err)
		}
	}
}

func message(subject string) queue.Message {
	return queue.Message{Subject: subject, ID: subject + time.Now().String(), Data: []byte("x")}
}

// messages are more than go one by one.
func messages(subject string) (many []queue.Message) {
	for range 20 {
		many = append(many, queue.Message{Subject: subject, Data: []byte("x")})
	}
	return many
}

func seen(t *testing.T, s queue.Store, filter string) {
	t.Helper()
	n := 0
	for _, err := range s.Scan(t.Context(), filter) {
		if err != nil {
			t.Errorf("scanning %s: %v", filter, err)
			return
		}
		n++
	}
	if n == 0 {
		t.Errorf("scanning %s: nothing there", filter)
	}
}

// worked takes one message of a consumer.
func worked(t *testing.T, s queue.Store, stream, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	took := false
	err := s.Work(ctx, queue.Consumer{Stream: stream, Name: name}, func(context.Context, queue.Message) error {
		took = true
		cancel()
		return nil
	})
	if err != nil || !took {
		t.Errorf("working on %s as %s: took %v, error %v", stream, name, took, err)
	}
}

// followed reads the log from its beginning.
func followed(t *testing.T, s queue.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	must(t, s.Follow(ctx, queue.AllIncidents, time.Time{}, cancel, func(queue.Message) error { return nil }))
}

// probed waits until the store probe has written.
func probed(t *testing.T, s queue.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := queue.NewProbe(s, true)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	for end := time.Now().Add(time.Minute); p.Ready() != nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	must(t, p.Ready())
	cancel()
	must(t, <-ended)
}

// after appends to a subject by compare-and-swap.
func after(t *testing.T, s queue.Store, subject string) {
	t.Helper()
	last, err := s.Last(t.Context(), subject)
	if err != nil && !errors.Is(err, queue.ErrNoMessage) {
		t.Errorf("reading %s: %v", subject, err)
	}
	if _, err := s.AppendAfter(t.Context(), message(subject), last.Seq); err != nil {
		t.Errorf("appending to %s: %v", subject, err)
	}
}

func testEngineRights(t *testing.T, s queue.Store) {
	ctx := t.Context()
	for _, subject := range []string{"incidents.f", "days.2026-11-21", "checkpoints.log"} {
		after(t, s, subject)
	}
	must(t, s.Append(ctx, message("sealed.f")), s.Append(ctx, message("sealed.g")),
		s.Append(ctx, message("sightings.f.1")), s.Append(ctx, message("dead.gh")), s.Append(ctx, message("alerts.gh")))
	for _, filter := range []string{
		queue.AllIncidents, "incidents.f", queue.AllRetries, "sightings.f.*", queue.AllDays, "checkpoints.log", queue.AllDead,
	} {
		seen(t, s, filter)
	}
	followed(t, s)
	worked(t, s, queue.Alerts, "engine")
	worked(t, s, queue.Incidents, "orders")
	worked(t, s, queue.Incidents, "rechecks")
	worked(t, s, queue.Retries, "retries")
	must(t, s.Remove(ctx, "sealed.g"), s.Discard(ctx, queue.Dead, 1), s.Discard(ctx, queue.Days, 1))
	_, err := s.Stats(ctx, queue.Pointers)
	must(t, err)
	probed(t, s)
}

func testReceiverRights(t *testing.T, s *secured) {
	r, e := openCluster(t, s.config("receiver")), openCluster(t, s.config("engine"))
	ctx := t.Context()
	must(t, r.Append(ctx, message("alerts.gh")), r.Append(ctx, messages("alerts.gh")...),
		r.Append(ctx, messages("pointers.gh")...), r.Append(ctx, message("dead.gh")))
	probed(t, r)
	asked(t, r, e, queue.LabelRequests)
}

// asked sends a request from one process to another.
func asked(t *testing.T, who, whom queue.Requests, subject string) {
	t.Helper()
	answering, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- whom.Reply(answering, subject, func(_ context.Context, q []byte) []byte { return q })
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := who.Request(ctx, subject, []byte("question"))
	if err != nil || string(got) != "question" {
		t.Errorf("asking on %s: got %q, %v", subject, got, err)
	}
	stop()
	must(t, <-ended)
}

func testCollectorRights(t *testing.T, s queue.Store) {
	ctx := t.Context()
	worked(t, s, queue.Pointers, "collector")
	worked(t, s, queue.Incidents, "reports")
	followed(t, s)
	seen(t, s, queue.AllIncidents)
	seen(t, s, "incidents.f")
	must(t, s.Append(ctx, messages("alerts.gh")...), s.Append(ctx, message("dead.gh")))
	probed(t, s)
}

func testNotifierRights(t *testing.T, s *secured) {
	n, e := openCluster(t, s.config("notifier")), openCluster(t, s.config("engine"))
	ctx := t.Context()
	worked(t, n, queue.Incidents, "notify-oncall")
	must(t, n.Append(ctx, message("told.oncall")), n.Append(ctx, message("told.oncall.f")),
		n.Append(ctx, message("told.oncall.lease.holder")))
	for _, filter := range []string{"told.oncall", "told.oncall.*", "incidents.f"} {
		seen(t, n, filter)
	}
	must(t, n.Remove(ctx, "told.oncall.f"))
	probed(t, n)
	asked(t, n, e, queue.SightingRequests)
}

// testRefusedQuickly: whatever a role may not do is an error that names the subject, and nobody waits for a timeout.
func testRefusedQuickly(t *testing.T, s *secured) {
	r, n := openCluster(t, s.config("receiver")), openCluster(t, s.config("notifier"))
	ctx := t.Context()
	work := func(s queue.Store, c queue.Consumer) error {
		return s.Work(ctx, c, func(context.Context, queue.Message) error { return nil })
	}
	scan := func(s queue.Store, filter string) (err error) {
		for _, err = range s.Scan(ctx, filter) {
		}
		return err
	}
	_, appended := r.AppendAfter(ctx, message("incidents.f"), 0)
	_, last := r.Last(ctx, "incidents.f")
	_, ask := n.Request(ctx, queue.LabelRequests, nil)
	for subject, err := range map[string]error{
		"incidents.f":                              appended,
		"told.f":                                   r.Append(ctx, messages("told.f")...),
		"sealed.f":                                 n.Append(ctx, message("sealed.f")),
		"dead.gh":                                  n.Append(ctx, messages("dead.gh")...),
		"$JS.API.STREAM.MSG.GET.INCIDENTS":         last,
		"$JS.API.STREAM.MSG.GET.SEALED":            scan(n, "sealed.f"),
		"$JS.API.CONSUMER.CREATE.INCIDENTS":        scan(n, "incidents.>"),
		"$JS.API.STREAM.PURGE.SEALED":              n.Remove(ctx, "sealed.f"),
		"$JS.API.STREAM.MSG.DELETE.DEAD":           n.Discard(ctx, queue.Dead, 2),
		"$JS.API.CONSUMER.INFO.ALERTS.engine":      work(r, queue.Consumer{Stream: queue.Alerts, Name: "engine"}),
		"$JS.API.CONSUMER.INFO.INCIDENTS.rechecks": work(n, queue.Consumer{Stream: queue.Incidents, Name: "rechecks"}),
		"ask.labels":                               ask,
		"ask.sightings": r.Reply(ctx, queue.SightingRequests, func(context.Context, []byte) []byte {
			return nil
		}),
	} {
		if !errors.Is(err, queue.ErrForbidden) || !strings.Contains(err.Error(), subject) {
			t.Errorf("%s: got error %v, want %v", subject, err, queue.ErrForbidden)
		}
		if errors.Is(err, queue.ErrConflict) {
			t.Errorf("%s: got error %v: nothing was stored, for certain", subject, err)
		}
	}
}

// testInboxes: no role can listen to the requests or replies of another.
func testInboxes(t *testing.T, s *secured) {
	for _, user := range natstest.Users {
		conn := s.connect(t, user)
		for _, subject := range append(inboxes(), ">", "_INBOX.>", "_INBOX_*.>", "incidents.>", "alerts.>", "$JS.>", "*.*") {
			own := subject == "_INBOX_"+user+".>"
			sub, err := conn.SubscribeSync(subject)
			if err != nil {
				t.Fatal(err)
			}
			if got := refused(t, conn, subject); got == own {
				t.Errorf("%s subscribes to %s: refused %v, want %v", user, subject, got, !own)
			}
			_ = sub.Unsubscribe()
		}
	}
}

func inboxes() (all []string) {
	for _, user := range natstest.Users {
		all = append(all, "_INBOX_"+user+".>")
	}
	return all
}

// refused reports whether the server refused what was last sent about a subject.
func refused(t *testing.T, conn *nats.Conn, subject string) bool {
	t.Helper()
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	err := conn.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`)
}

// testEverythingElse tries every subject of the API and of the store as each role. Those that are allowed must be those that
// are listed.
func testEverythingElse(t *testing.T, s *secured) {
	const list = "testdata/rights.txt"
	var got strings.Builder
	for _, user := range natstest.Users[:5] {
		conn := s.connect(t, user)
		fmt.Fprintf(&got, "%s\n", user)
		for _, subject := range universe() {
			if err := conn.Publish(subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			if !refused(t, conn, subject) {
				fmt.Fprintf(&got, "  %s\n", subject)
			}
		}
	}
	want, err := os.ReadFile(list)
	if err != nil || got.String() != string(want) {
		t.Errorf("allowed is what follows, and not what is in %s (%v):\n%s", list, err, &got)
	}
}

// universe is all subjects that somebody could try.
func universe() (all []string) {
	consumers := map[string][]string{
		queue.Alerts: {"engine"}, queue.Pointers: {"collector"}, queue.Retries: {"retries"},
		queue.Incidents: {"orders", "rechecks", "reports", "notify-oncall"},
	}
	for _, row := range streams.All() {
		stream := row.Name
		for _, verb := range []string{
			"STREAM.INFO", "STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.GET",
			"STREAM.MSG.DELETE", "STREAM.SNAPSHOT", "STREAM.RESTORE", "STREAM.PEER.REMOVE", "STREAM.LEADER.STEPDOWN",
			"DIRECT.GET", "CONSUMER.CREATE", "CONSUMER.LIST", "CONSUMER.NAMES",
		} {
			all = append(all, "$JS.API."+verb+"."+stream)
		}
		prefix := strings.ToLower(stream)
		for _, name := range append(consumers[stream], "new") {
			for _, verb := range []string{
				"INFO", "CREATE", "DELETE", "DURABLE.CREATE", "MSG.NEXT", "PAUSE", "RESET", "UNPIN", "LEADER.STEPDOWN",
			} {
				all = append(all, "$JS.API.CONSUMER."+verb+"."+stream+"."+name)
			}
			all = append(all, "$JS.API.CONSUMER.CREATE."+stream+"."+name+"."+prefix+".>",
				"$JS.API.CONSUMER.CREATE."+stream+"."+name+"."+prefix+".f", "$JS.ACK."+stream+"."+name+".1.1.1.1.1")
		}
		all = append(all, prefix+".f", prefix+".f.1")
	}
	slices.Sort(all)
	return append(all, "probes.store", "checkpoints.log", "ask.labels", "ask.sightings", "_INBOX_engine.x", "$JS.API.INFO",
		"$JS.API.STREAM.LIST", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.ACCOUNT.PURGE.STANCH", "$SYS.REQ.SERVER.PING",
		"$JS.EVENT.ADVISORY.x", "elsewhere")
}
