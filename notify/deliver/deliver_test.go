package deliver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stanch/notify"
	"stanch/notify/compose"
	"stanch/notify/deliver"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// channel is a notifier that notes when it was told what, and answers as the test says; nil: all is well.
type channel struct {
	answer func(ctx context.Context, attempt int) error

	mu   sync.Mutex
	told []notify.Notice
	when []time.Time
}

func (c *channel) Notify(ctx context.Context, n notify.Notice) error {
	c.mu.Lock()
	c.told, c.when = append(c.told, n), append(c.when, time.Now())
	attempt := len(c.told)
	c.mu.Unlock()
	if c.answer == nil {
		return nil
	}
	return c.answer(ctx, attempt)
}

func (c *channel) ids() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for _, n := range c.told {
		ids = append(ids, n.ID)
	}
	return ids
}

// gaps is how long the channel was left alone between attempts.
func (c *channel) gaps() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var gaps []time.Duration
	for i := 1; i < len(c.when); i++ {
		gaps = append(gaps, c.when[i].Sub(c.when[i-1]))
	}
	return gaps
}

var errDead = errors.New("the channel does not answer")

// start runs a dispatcher and waits until it is ready. The returned func ends it and checks that it ended well.
func start(t *testing.T, c deliver.Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d := deliver.New(c)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	select {
	case <-d.Ready():
	case err := <-ended:
		t.Fatalf("Run ended before it was ready: %v", err)
	}
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v from Run, want nil when its context ends", err)
		}
	}
}

// log appends an entry to the log.
func log(t *testing.T, store queue.Store, e leak.Entry) {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Append(t.Context(), queue.Message{Subject: queue.IncidentSubject(e.Incident.ID), Data: data}); err != nil {
		t.Fatal(err)
	}
}

// news is an entry that is worth telling, with an id of its own.
func news(id string) leak.Entry {
	e := entry(incident(leak.Contained), leak.Proved, provedDisabled)
	e.ID = id
	return e
}

// routes tell every notice alone.
func routes(channels map[string]*channel) map[string]deliver.Route {
	r := map[string]deliver.Route{}
	for name, c := range channels {
		r[name] = deliver.Route{Notifier: c, Burst: 1000}
	}
	return r
}

// TestBackoff: one second, doubled up to ten minutes, and up to a fifth more.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const attempts = 14
		store := memory.New()
		c := &channel{answer: func(_ context.Context, attempt int) error {
			if attempt < attempts {
				return errDead
			}
			return nil
		}}
		stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: routes(map[string]*channel{"c": c})}})
		log(t, store, news("one"))
		time.Sleep(24 * time.Hour)
		stop()
		if got := len(c.ids()); got != attempts {
			t.Fatalf("got %d attempts, want %d", got, attempts)
		}
		want := time.Second
		for i, gap := range c.gaps() {
			if gap < want || gap > want*6/5 {
				t.Errorf("pause %d: got %v, want %v and up to a fifth more", i+1, gap, want)
			}
			want = min(2*want, 10*time.Minute)
		}
	})
}

func TestThrottled(t *testing.T) {
	for name, row := range map[string]struct{ after, min, max time.Duration }{
		"honoured":            {5 * time.Minute, 5 * time.Minute, 6 * time.Minute},
		"bounded by an hour":  {240 * time.Hour, time.Hour, 72 * time.Minute},
		"never under our own": {time.Millisecond, time.Second, 1200 * time.Millisecond},
		"less than nothing":   {-time.Hour, time.Second, 1200 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := memory.New()
			c := &channel{answer: func(_ context.Context, attempt int) error {
				if attempt == 1 {
					return fmt.Errorf("posting: %w", &leak.Throttled{After: row.after, Err: errDead})
				}
				return nil
			}}
			stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: routes(map[string]*channel{"c": c})}})
			log(t, store, news("one"))
			time.Sleep(24 * time.Hour)
			stop()
			if gaps := c.gaps(); len(gaps) != 1 || gaps[0] < row.min || gaps[0] > row.max {
				t.Errorf("%s: got pauses %v, want one of %v to %v", name, gaps, row.min, row.max)
			}
		})
	}
}

// TestDeadChannel: neither a channel that refuses, nor one that never answers, nor one that panics delays another, and
// nothing of theirs is lost when they recover.
func TestDeadChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var recovered bool // changed and read while everything else in the bubble rests, or by handlers after that
		var mu sync.Mutex
		ill := func(do func(context.Context) error) func(context.Context, int) error {
			return func(ctx context.Context, _ int) error {
				mu.Lock()
				well := recovered
				mu.Unlock()
				if well {
					return nil
				}
				return do(ctx)
			}
		}
		channels := map[string]*channel{
			"well":     {},
			"refusing": {answer: ill(func(context.Context) error { return errDead })},
			"silent":   {answer: ill(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })},
			"panicky":  {answer: ill(func(context.Context) error { panic("s3cret") })},
		}
		var logged bytes.Buffer
		store, reg := memory.New(), prometheus.NewRegistry()
		stop := start(t, deliver.Config{
			Store: store, Settings: deliver.Settings{Routes: routes(channels)}, Registerer: reg, Log: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprintf("entry-%02d", i))
			log(t, store, news(want[i]))
		}
		synctest.Wait() // no time has passed
		if got := slices.Sorted(slices.Values(channels["well"].ids())); !slices.Equal(got, want) {
			t.Errorf("got %v delivered at once beside dead channels, want all of %v", got, want)
		}
		if got := failing(t, reg); !slices.Equal(got, []string{"panicky", "refusing"}) {
			t.Errorf("%v are said to fail", got)
		}
		mu.Lock()
		recovered = true
		mu.Unlock()
		time.Sleep(time.Hour)
		stop()
		if got := failing(t, reg); len(got) > 0 {
			t.Errorf("%v are said to fail in the end", got)
		}
		for name, c := range channels {
			if got := slices.Compact(slices.Sorted(slices.Values(c.ids()))); !slices.Equal(got, want) {
				t.Errorf("%s: got %v in the end, want all of %v", name, got, want)
			}
			if got := count(t, reg, name, "delivered"); got != 20 {
				t.Errorf("%s: got %v delivered, want 20", name, got)
			}
			if retries := count(t, reg, name, "retried"); (retries == 0) != (name == "well") {
				t.Errorf("%s: got %v retried", name, retries)
			}
		}
		if text := logged.String(); strings.Contains(text, "s3cret") || !strings.Contains(text, "notifier panicked") {
			t.Errorf("got the log %q, want the panic in it, without its value", text)
		}
	})
}

// failing are the notifiers whose last attempt is said to have failed.
func failing(t *testing.T, reg prometheus.Gatherer) (names []string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "stanch_notifier_failing" && m.GetGauge().GetValue() == 1 {
				names = append(names, m.GetLabel()[0].GetValue())
			}
		}
	}
	return slices.Sorted(slices.Values(names))
}

// count is the value of one series of the notices counted.
func count(t *testing.T, reg prometheus.Gatherer, notifier, result string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["notifier"] == notifier && labels["result"] == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no series for %s, %s", notifier, result)
	return 0
}

func TestRouting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, reg := memory.New(), prometheus.NewRegistry()
		all, critical := &channel{}, &channel{}
		stop := start(t, deliver.Config{Store: store, Registerer: reg, Settings: deliver.Settings{Routes: map[string]deliver.Route{
			"all": {Notifier: all},
			"critical": {Notifier: critical, When: func(i leak.Incident) (bool, error) {
				return i.Severity == leak.Critical, nil
			}},
		}}})
		page := entry(incident(leak.Left), leak.Spared, "nothing was done: the key is listed in policy.protect")
		page.ID, page.Incident.Severity = "page", leak.Critical
		log(t, store, news("calm"))
		log(t, store, page)
		log(t, store, entry(incident(leak.Contained), leak.Seen, "seen again"))
		synctest.Wait()
		stop()
		if got := slices.Sorted(slices.Values(all.ids())); !slices.Equal(got, []string{"calm", "page"}) {
			t.Errorf("got %v, want both notices and no third", got)
		}
		if got := critical.ids(); !slices.Equal(got, []string{"page"}) {
			t.Errorf("got %v, want the critical one only", got)
		}
		if got := count(t, reg, "critical", "skipped"); got != 1 {
			t.Errorf("got %v skipped, want 1", got)
		}
	})
}

// TestUnreadable: what is damaged is counted and logged once, without what it holds, what a newer program wrote is left to
// one, and neither holds up anything.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		store, reg, c := memory.New(), prometheus.NewRegistry(), &channel{}
		stop := start(t, deliver.Config{
			Store: store, Settings: deliver.Settings{Routes: routes(map[string]*channel{"c": c})}, Registerer: reg,
			Log: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		future := news("from the future")
		future.V = 2
		log(t, store, future)
		broken := queue.Message{Subject: queue.IncidentSubject(id), Data: []byte(`{"v":1,"steps":[{"at":"pl4nted"}]}`)}
		if err := store.Append(t.Context(), broken); err != nil {
			t.Fatal(err)
		}
		log(t, store, news("good"))
		time.Sleep(time.Hour)
		stop()
		if got := c.ids(); !slices.Equal(got, []string{"good"}) {
			t.Errorf("got %v, want the readable entry only", got)
		}
		if got := count(t, reg, "c", "unreadable"); got != 1 {
			t.Errorf("got %v unreadable, want 1, once", got)
		}
		if text := logged.String(); strings.Contains(text, "pl4nted") || strings.Count(text, "unreadable") != 1 {
			t.Errorf("got the log %q, want a line without what it holds", text)
		}
		left := 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := store.Work(ctx, deliver.Consumer("c"), func(_ context.Context, m queue.Message) error {
			if strings.Contains(string(m.Data), `"v":2`) {
				left++
			}
			return nil
		})
		if err != nil || left != 1 {
			t.Errorf("a newer program got %d entries of its version, %v; want the one that was left to it", left, err)
		}
	})
}

func TestSightings(t *testing.T) {
	stuck := func(ctx context.Context, _ leak.Incident) ([]leak.Sighting, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, row := range map[string]struct {
		lookup func(context.Context, leak.Incident) ([]leak.Sighting, error)
		want   string
	}{
		"found": {
			func(context.Context, leak.Incident) ([]leak.Sighting, error) { return sightings, nil },
			"https://github.com/octo/app/",
		},
		"forgotten":     {func(context.Context, leak.Incident) ([]leak.Sighting, error) { return nil, nil }, "No longer kept"},
		"failing":       {func(context.Context, leak.Incident) ([]leak.Sighting, error) { return nil, errDead }, "Not available"},
		"stuck":         {stuck, "Not available"},
		"not connected": {nil, "Not available"},
	} {
		synctest.Test(t, func(t *testing.T) {
			store, c := memory.New(), &channel{}
			stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: routes(map[string]*channel{"c": c})}, Sightings: row.lookup})
			log(t, store, news("one"))
			time.Sleep(time.Minute)
			stop()
			if len(c.told) != 1 || !strings.HasPrefix(c.told[0].Facts[1].Text, row.want) {
				t.Errorf("%s: got %v, want one notice that was seen at %q", name, c.told, row.want)
			}
		})
	}
}

// TestWordsFail: a template that does not work on a notice costs nobody the notice.
func TestWordsFail(t *testing.T) {
	broken, err := compose.ParseTemplate(`{{if eq .Incident.Key.Name "ci-deploy"}}{{index .Facts 99}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		store, c := memory.New(), &channel{}
		words := compose.Words{Title: broken, Text: broken}
		stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{
			Routes: map[string]deliver.Route{"c": {Notifier: c, Words: words}},
		}})
		log(t, store, news("one"))
		synctest.Wait()
		stop()
		if want, _ := (compose.Audience{}).Notice(news("one"), nil); len(c.told) != 1 || c.told[0].Title != want.Title {
			t.Errorf("got %v, want the notice as it is composed", c.told)
		}
	})
}

// TestNobodyToTell: without notifiers the dispatcher is ready at once and runs until its context ends.
func TestNobodyToTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		d := deliver.New(deliver.Config{Store: memory.New()})
		<-d.Ready()
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("Run ended by itself: %v", err)
		default:
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v, want nil", err)
		}
	})
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	deliver.New(deliver.Config{
		Settings: deliver.Settings{Routes: routes(map[string]*channel{"oncall": {}})}, Registerer: reg,
	})
	if n, err := testutil.GatherAndCount(reg, "stanch_notices_total"); err != nil || n != 6 {
		t.Errorf("got %d series at start (%v), want one a result", n, err)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v from the linter of metrics", problems, err)
	}
}
