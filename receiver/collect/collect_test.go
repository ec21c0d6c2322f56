package collect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
	"stanch/receiver/seal"
)

const planted = "planted-0123456789"

// vendor is a source's API in memory, for tests in fake time.
type vendor struct {
	mu       sync.Mutex
	alerts   map[string]*alert
	fault    func(op string) error
	calls    map[string]int // by op and ref
	comments []string
}

type alert struct {
	contents []leak.Content
	open     bool
	updated  time.Time
}

func newVendor() *vendor { return &vendor{alerts: map[string]*alert{}, calls: map[string]int{}} }

func (v *vendor) add(ref string, places ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	a := &alert{open: true, updated: time.Now()}
	for _, place := range places {
		a.contents = append(a.contents, leak.Content{
			Secret: leak.NewSecret(planted + ref), Type: "acme_key", URL: place, Place: "commit", Ref: ref,
		})
	}
	v.alerts[ref] = a
}

func (v *vendor) spoil(fault func(op string) error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fault = fault
}

func (v *vendor) count(call string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[call]
}

func (v *vendor) call(op, ref string, do func(a *alert)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls[op+" "+ref]++
	if v.fault != nil {
		if err := v.fault(op); err != nil {
			return err
		}
	}
	a := v.alerts[ref]
	if a == nil {
		return fmt.Errorf("asking: %w", collect.ErrGone)
	}
	do(a)
	return nil
}

func (v *vendor) Fetch(_ context.Context, ref string) (found []leak.Content, err error) {
	err = v.call("fetch", ref, func(a *alert) { found = a.contents })
	return found, err
}

func (v *vendor) Open(_ context.Context, since time.Time) iter.Seq2[collect.Listed, error] {
	return func(yield func(collect.Listed, error) bool) {
		v.mu.Lock()
		var list []collect.Listed
		for ref, a := range v.alerts {
			if a.open && !a.updated.Before(since) {
				list = append(list, collect.Listed{Ref: ref, UpdatedAt: a.updated})
			}
		}
		v.mu.Unlock()
		slices.SortFunc(list, func(a, b collect.Listed) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
		for _, l := range list {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func (v *vendor) Resolve(_ context.Context, ref, comment string) error {
	return v.call("resolve", ref, func(a *alert) { a.open = false; v.comments = append(v.comments, comment) })
}

func (v *vendor) Reopen(_ context.Context, ref, comment string) error {
	return v.call("reopen", ref, func(a *alert) { a.open = true; v.comments = append(v.comments, comment) })
}

// world is a collector's surroundings.
type world struct {
	t      *testing.T
	store  queue.Store
	vendor *vendor
	to     *seal.Recipient
	ids    *seal.Identities
	reg    *prometheus.Registry
}

func inFakeTime(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := seal.Ensure(dir); err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, store: memory.New(), vendor: newVendor()}
		var err error
		if w.to, err = seal.LoadRecipient(dir); err != nil {
			t.Fatal(err)
		}
		if w.ids, err = seal.LoadIdentities(dir); err != nil {
			t.Fatal(err)
		}
		test(w)
	})
}

// start runs a collector until stop.
func (w *world) start(sweep time.Duration) (c *collect.Collector, stop func()) {
	w.t.Helper()
	w.reg = prometheus.NewRegistry()
	c = collect.New(collect.Config{
		Store: w.store, Seal: w.to, Registerer: w.reg, ExternalURL: "https://stanch.example/",
		Sources: map[string]collect.Source{"acme": {Vendor: w.vendor, Sweep: sweep}},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := c.Run(ctx); err != nil {
			w.t.Errorf("running the collector: %v", err)
		}
	})
	return c, func() {
		cancel()
		group.Wait()
	}
}

func (w *world) work(d time.Duration) {
	w.t.Helper()
	_, stop := w.start(0)
	time.Sleep(d)
	stop()
}

func (w *world) append(subject string, v any) {
	w.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Append(context.Background(), queue.Message{Subject: subject, Data: data}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) point(ref string) {
	w.t.Helper()
	w.append(queue.PointerSubject("acme"), leak.Pointer{V: 1, Source: "acme", Ref: ref, Event: "created", ReceivedAt: time.Now()})
}

// queued takes the alerts for the engine off the queue.
func (w *world) queued() (alerts []leak.Alert) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var mu sync.Mutex
	_ = w.store.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "test"}, func(_ context.Context, m queue.Message) error {
		var a leak.Alert
		if err := json.Unmarshal(m.Data, &a); err != nil {
			w.t.Error(err)
		}
		if strings.Contains(string(m.Data), planted) {
			w.t.Error("a secret is in clear in the queue")
		}
		mu.Lock()
		defer mu.Unlock()
		alerts = append(alerts, a)
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	return alerts
}

func (w *world) dead() (letters []leak.DeadLetter) {
	w.t.Helper()
	for m, err := range w.store.Scan(context.Background(), "dead.>") {
		if err != nil {
			w.t.Fatal(err)
		}
		var l leak.DeadLetter
		if err := json.Unmarshal(m.Data, &l); err != nil {
			w.t.Fatal(err)
		}
		letters = append(letters, l)
	}
	return letters
}

func TestPointersAreFollowed(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.vendor.add("acme/app/1", "https://example.com/a", "https://example.com/b")
		w.point("acme/app/1")
		w.point("acme/app/404")
		w.work(time.Minute)
		alerts := w.queued()
		if len(alerts) != 2 || alerts[0].ID == alerts[1].ID || alerts[0].Fingerprint != alerts[1].Fingerprint {
			w.t.Fatalf("got %d alerts, want two of one key", len(alerts))
		}
		content, err := w.ids.Open(alerts[1])
		if err != nil || content.Secret.Reveal() != planted+"acme/app/1" || content.URL != "https://example.com/b" || content.Ref != "acme/app/1" {
			w.t.Errorf("got %+v, %v", content, err)
		}
		if n := w.vendor.count("fetch acme/app/404"); n != 1 || len(w.dead()) != 0 {
			w.t.Errorf("what is gone was asked for %d times, %d dead letters", n, len(w.dead()))
		}
		w.wantSeries("stanch_fetches_total", "gone", 1)
	})
}

func (w *world) wantSeries(name, result string, want float64) {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetName() == "result" && l.GetValue() == result {
					if got := m.GetCounter().GetValue(); got != want {
						w.t.Errorf("%s of %s is %v, want %v", name, result, got, want)
					}
					return
				}
			}
		}
	}
	w.t.Errorf("there is no %s of %s", name, result)
}

func TestPointersThatCannotBeFollowed(t *testing.T) {
	for name, err := range map[string]error{
		"down":      errors.New("status 503"),
		"refused":   collect.ErrRefused,
		"throttled": &leak.Throttled{After: 10 * 24 * time.Hour, Err: errors.New("status 429")},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.t = t
				w.vendor.add("acme/app/1", "https://example.com/a")
				w.vendor.spoil(func(string) error { return err })
				w.point("acme/app/1")
				w.work(24 * time.Hour)
				if n := w.vendor.count("fetch acme/app/1"); n < 20 || n > 400 {
					t.Errorf("asked %d times in a day", n)
				}
				w.vendor.spoil(nil)
				w.work(2 * time.Hour)
				if n := len(w.queued()); n != 1 {
					t.Errorf("got %d alerts once it works, want 1", n)
				}
				w.vendor.spoil(func(string) error { return err })
				w.point("acme/app/1")
				w.work(4 * 24 * time.Hour)
				letters := w.dead()
				if len(letters) != 1 || letters[0].Pointer == nil || letters[0].Pointer.Ref != "acme/app/1" {
					t.Errorf("got the dead letters %+v, want the pointer after three days", letters)
				}
			})
		})
	}
}

// TestPointersToTooMuch: a token that no message can hold becomes a dead letter at once, instead of being fetched for ever.
// A long place costs nothing: it is cut.
func TestPointersToTooMuch(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.vendor.add("acme/app/1", "https://example.com/"+strings.Repeat("x", queue.MaxAlertSize))
		long := strings.Repeat("1", queue.MaxAlertSize) // the token ends with its ref
		w.vendor.add(long, "https://example.com/a")
		w.vendor.alerts["acme/app/2"] = w.vendor.alerts[long]
		w.point("acme/app/1")
		w.work(time.Hour)
		if n := len(w.queued()); n != 1 || w.vendor.count("fetch acme/app/1") != 1 {
			w.t.Errorf("got %d alerts with a long place, want 1", n)
		}
		w.point("acme/app/2")
		w.work(24 * time.Hour)
		letters := w.dead()
		if n := w.vendor.count("fetch acme/app/2"); n != 1 || len(letters) != 1 || letters[0].Pointer == nil {
			w.t.Errorf("fetched %d times, got %d dead letters, want one of the pointer", n, len(letters))
		}
	})
}

func TestDamagedAndForeignPointers(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.append(queue.PointerSubject("acme"), "not a pointer")
		w.append(queue.PointerSubject("old"), leak.Pointer{V: 1, Source: "old", Ref: "x"})
		w.work(time.Minute)
		if n := len(w.dead()); n != 2 {
			w.t.Errorf("got %d dead letters, want 2", n)
		}
	})
}

// log appends an entry, as the engine does.
func (w *world) log(i leak.Incident, steps ...leak.Step) {
	w.t.Helper()
	w.append(queue.IncidentSubject(i.ID), leak.Entry{V: 1, Steps: steps, Incident: i})
}

func seen(ref string) leak.Step { return leak.Step{Step: leak.Seen, Source: "acme", Ref: ref} }

func step(name leak.StepName) leak.Step { return leak.Step{Step: name} }

func contained() leak.Incident {
	return leak.Incident{
		ID: "aa", State: leak.Contained, Issuer: "ibm", Rule: "key", ContainedAt: time.Now(),
		TokensLiveUntil: time.Now().Add(time.Hour), Key: leak.Key{ID: "ApiKey-1", Name: "ci", Disabled: true},
	}
}

func TestSweepsFindWhatIsMissed(t *testing.T) {
	inFakeTime(t, func(w *world) {
		for n := range 10 {
			w.vendor.add(fmt.Sprintf("acme/app/%d", n), "https://example.com/a")
		}
		left := leak.Incident{ID: "aa", State: leak.Left}
		w.log(left, seen("acme/app/3"), step(leak.Spared))
		c, stop := w.start(0)
		defer stop()
		told := 0
		for _, test := range []struct {
			sweep  collect.Sweep
			missed int
		}{
			{collect.Sweep{DryRun: true}, 9},
			{collect.Sweep{Grace: time.Hour}, 0},
			{collect.Sweep{Progress: func(collect.Swept) { told++ }}, 9},
			{collect.Sweep{}, 0},
		} {
			swept, err := c.Sweep(context.Background(), "acme", test.sweep)
			if err != nil || swept.Listed != 10 || swept.Missed != test.missed {
				w.t.Errorf("%+v: got %+v, %v; want %d missed", test.sweep, swept, err, test.missed)
			}
			time.Sleep(time.Second)
		}
		if told != 10 {
			w.t.Errorf("told of progress %d times", told)
		}
		alerts := w.queued()
		if len(alerts) != 9 {
			w.t.Errorf("got %d alerts", len(alerts))
		}
		content, err := w.ids.Open(alerts[0])
		if err != nil || !content.Swept {
			w.t.Errorf("got %+v, %v; want it marked", content, err)
		}
		if got := testutil.CollectAndCount(w.reg, "stanch_missed_alerts_total"); got != 1 {
			w.t.Errorf("got %d series", got)
		}
		w.vendor.add("acme/app/5", "https://example.com/b") // it changed
		if swept, err := c.Sweep(context.Background(), "acme", collect.Sweep{}); swept.Missed != 1 || err != nil {
			w.t.Errorf("got %+v, %v; want the changed one again, which no incident knows", swept, err)
		}
		if _, err := c.Sweep(context.Background(), "other", collect.Sweep{}); !errors.Is(err, collect.ErrNoSource) {
			w.t.Errorf("got %v", err)
		}
	})
}

func TestSweepsOnSchedule(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.vendor.add("acme/app/1", "https://example.com/a")
		time.Sleep(time.Hour) // older than the grace
		_, stop := w.start(time.Hour)
		defer stop()
		time.Sleep(time.Minute)
		if n := len(w.queued()); n != 1 {
			w.t.Fatalf("got %d alerts from the sweep at the start", n)
		}
		w.vendor.add("acme/app/2", "https://example.com/a")
		time.Sleep(3 * time.Hour)
		if n := len(w.queued()); n != 1 {
			w.t.Errorf("got %d alerts from later sweeps, want the new one", n)
		}
		w.wantSeries("stanch_sweeps_total", "failed", 0)
	})
}

// TestReports is the specification of what a source is told, entry by entry.
func TestReports(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.vendor.add("acme/app/1")
		w.vendor.add("acme/app/2")
		_, stop := w.start(0)
		defer stop()
		want := func(what string, resolved, reopened, reports int) {
			w.t.Helper()
			time.Sleep(time.Minute)
			got := w.queued()
			if r, o := w.vendor.count("resolve acme/app/1"), w.vendor.count("reopen acme/app/1"); r != resolved || o != reopened || len(got) != reports {
				w.t.Errorf("%s: resolved %d, reopened %d times, %d reports; want %d, %d, %d", what, r, o, len(got), resolved, reopened, reports)
			}
			for _, a := range got { // the engine puts them into the log
				head := w.head(a.Fingerprint)
				w.log(head, leak.Step{Step: leak.Reported, Source: a.Source, Ref: a.Report.Ref, Text: a.Report.Text})
			}
		}
		i := contained()
		i.State = leak.Open
		w.log(i, seen("acme/app/1"), step(leak.Located), step(leak.Decided), step(leak.Intended))
		want("not proved yet", 0, 0, 0)
		w.log(contained(), step(leak.Proved))
		want("proved", 1, 0, 1)
		if comment := w.vendor.comments[0]; !strings.Contains(comment, `"ci" (ApiKey-1) of ibm is disabled, proved`) ||
			!strings.Contains(comment, "Rule: key") || !strings.Contains(comment, "https://stanch.example/incidents/aa") {
			w.t.Errorf("got the comment %q", comment)
		}
		w.log(contained(), seen("acme/app/1"))
		want("seen again", 1, 0, 0)
		w.log(contained(), seen("acme/app/2"))
		want("an alert more of the dead key", 1, 0, 1)

		works := contained()
		works.State, works.Rule, works.Key.Disabled, works.ContainedAt = leak.Closed, "undo", false, time.Time{}
		w.log(works, step(leak.Undone))
		want("undone", 1, 1, 2)
		w.log(contained(), seen("acme/app/1"), step(leak.Proved))
		want("dead again", 2, 1, 2)
		works.State, works.Rule = leak.Failed, "key"
		w.log(works, seen("acme/app/1"), step(leak.Failure))
		want("alive, and it failed to die", 2, 2, 2)
		closed := contained()
		closed.State = leak.Closed
		w.log(closed, step(leak.Ended))
		want("closed by a person", 2, 2, 0)
	})
}

func (w *world) head(id leak.Fingerprint) leak.Incident {
	w.t.Helper()
	m, err := w.store.Last(context.Background(), queue.IncidentSubject(id))
	if err != nil {
		w.t.Fatal(err)
	}
	var e leak.Entry
	if err := json.Unmarshal(m.Data, &e); err != nil {
		w.t.Fatal(err)
	}
	return e.Incident
}

func TestReportsThatFail(t *testing.T) {
	for name, test := range map[string]struct {
		err     error
		most    int
		reports int // that are logged
	}{
		"refused": {collect.ErrRefused, 1, 1},
		"gone":    {collect.ErrGone, 1, 1},
		"down":    {errors.New("status 503"), 2000, 1}, // after three days
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.t = t
				w.vendor.add("acme/app/1")
				w.vendor.spoil(func(string) error { return test.err })
				w.log(contained(), seen("acme/app/1"), step(leak.Proved))
				w.work(4 * 24 * time.Hour)
				if n := w.vendor.count("resolve acme/app/1"); n < 1 || n > test.most {
					t.Errorf("tried %d times", n)
				}
				if n := len(w.queued()); n != test.reports {
					t.Errorf("got %d reports, want %d", n, test.reports)
				}
			})
		})
	}
}
