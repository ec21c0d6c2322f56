package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/notify"
	"stanch/notify/deliver"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// run runs a dispatcher until the test ends.
func run(t *testing.T, c deliver.Config) *deliver.Dispatcher {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	d, ended := deliver.New(c), make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("got %v from Run, want nil when its context ends", err)
		}
	})
	<-d.Ready()
	return d
}

func use(t *testing.T, d *deliver.Dispatcher, channels map[string]*channel, url string) {
	t.Helper()
	if err := d.Use(t.Context(), deliver.Settings{Routes: routes(channels), ExternalURL: url}); err != nil {
		t.Fatal(err)
	}
}

// TestUse: a notifier whose name stays misses nothing and hears nothing twice, whatever object serves it; a new one
// hears of what comes; one that is gone hears no more, until its name is there again.
func TestUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, reg := memory.New(), prometheus.NewRegistry()
		stays, before, after, gone, fresh := &channel{}, &channel{}, &channel{}, &channel{}, &channel{}
		first := map[string]*channel{"stays": stays, "changes": before, "gone": gone}
		d := run(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: routes(first), ExternalURL: "https://old.example"}, Registerer: reg})
		log(t, store, news("1"))
		synctest.Wait()
		use(t, d, map[string]*channel{"stays": stays, "changes": after, "fresh": fresh}, "https://new.example/")
		log(t, store, news("2"))
		synctest.Wait()
		for _, row := range []struct {
			name string
			c    *channel
			want []string
		}{
			{"stays", stays, []string{"1", "2"}},
			{"changes, before", before, []string{"1"}},
			{"changes, after", after, []string{"2"}},
			{"gone", gone, []string{"1"}},
			{"fresh", fresh, []string{"2"}},
		} {
			if got := row.c.ids(); !slices.Equal(got, row.want) {
				t.Errorf("%s: got %v, want %v", row.name, got, row.want)
			}
		}
		if got := after.told[0].Link; !strings.HasPrefix(got, "https://new.example/incidents/") {
			t.Errorf("got the link %q to the old URL", got)
		}
		if got := notifiersOf(t, reg); !slices.Equal(got, []string{"changes", "fresh", "stays"}) {
			t.Errorf("got series of %v", got)
		}
		use(t, d, map[string]*channel{"gone": gone}, "")
		synctest.Wait()
		if got := gone.ids(); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("got %v when its name was there again, want the second as well", got)
		}
	})
}

// notifiersOf are the notifiers that have series.
func notifiersOf(t *testing.T, reg prometheus.Gatherer) []string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "notifier" {
					names = append(names, l.GetValue())
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestUseUnderWay: what a notifier has under way when it goes is ended, and its metrics do not come back.
func TestUseUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, reg := memory.New(), prometheus.NewRegistry()
		var finished atomic.Bool
		slow := &channel{answer: func(ctx context.Context, _ int) error {
			time.Sleep(5 * time.Second)
			finished.Store(ctx.Err() == nil)
			return ctx.Err()
		}}
		d := run(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: routes(map[string]*channel{"slow": slow})}, Registerer: reg})
		log(t, store, news("1"))
		synctest.Wait()
		use(t, d, nil, "")
		log(t, store, news("2"))
		time.Sleep(time.Hour)
		if got := slow.ids(); !slices.Equal(got, []string{"1"}) || !finished.Load() {
			t.Errorf("got %v, the first finished: %v", got, finished.Load())
		}
		if got := notifiersOf(t, reg); len(got) > 0 {
			t.Errorf("got series of %v, which are gone", got)
		}
	})
}

// TestUseBeforeReady: a consumer that does not come into being keeps nobody waiting once its notifier is gone.
func TestUseBeforeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &stalled{Store: memory.New(), consumer: "notify-stuck"}
		stuck := map[string]deliver.Route{"stuck": {Notifier: &channel{}}}
		d := deliver.New(deliver.Config{Store: store, Settings: deliver.Settings{Routes: stuck}})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Use(short, deliver.Settings{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v without a Run to take notice", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		synctest.Wait()
		select {
		case <-d.Ready():
			t.Error("it is ready without a consumer")
		default:
		}
		use(t, d, map[string]*channel{"c": {}}, "")
		<-d.Ready()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("got %v from Run", err)
		}
	})
}

// stalled is a store that does not come to make one consumer.
type stalled struct {
	*memory.Store
	consumer string
}

func (s *stalled) Prepare(ctx context.Context, c queue.Consumer) error {
	if c.Name == s.consumer {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Prepare(ctx, c)
}

// TestUseLosesNothing changes everything again and again on the real store while entries are logged: the notifier whose
// name stays hears of each.
func TestUseLosesNothing(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "store"))
	var told sync.Map
	var left atomic.Int64
	left.Store(200)
	all := make(chan struct{})
	tell := deliver.Route{Burst: 1000, Notifier: teller(func(n notify.Notice) {
		if _, again := told.LoadOrStore(n.ID, true); !again && left.Add(-1) == 0 {
			close(all)
		}
	})}
	d := run(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: map[string]deliver.Route{"always": tell}}})
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for i := range 200 {
			log(t, store, news(fmt.Sprint(i)))
		}
	}()
	for i, over := 0, false; !over; i++ {
		route := tell
		route.When = func(leak.Incident) (bool, error) { return true, nil } // a change
		next := map[string]deliver.Route{"always": route}
		if i%2 == 0 {
			next["sometimes"] = deliver.Route{Notifier: &channel{}}
		}
		if err := d.Use(t.Context(), deliver.Settings{Routes: next}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-logged:
			over = true
		default:
		}
	}
	<-all
}

type teller func(notify.Notice)

func (f teller) Notify(_ context.Context, n notify.Notice) error { f(n); return nil }
