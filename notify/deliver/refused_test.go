package deliver_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/notify"
	"stanch/notify/deliver"
	"stanch/receiver/queue/memory"
)

// TestRefused: a notice that the channel refuses is tried for a day, and then given up, once.
func TestRefused(t *testing.T) {
	for name, n := range map[string]int{"alone": 1, "grouped": 100} {
		synctest.Test(t, func(t *testing.T) {
			store, reg := memory.New(), prometheus.NewRegistry()
			c := &channel{answer: func(context.Context, int) error {
				return fmt.Errorf("posting: %w", &notify.Refused{Err: errDead})
			}}
			stop := start(t, deliver.Config{Store: store, Registerer: reg, Settings: calmSettings(map[string]*channel{"c": c})})
			begun := time.Now()
			logAll(t, store, burst(n, nil)...)
			time.Sleep(100 * time.Hour)
			stop()
			notices := min(n, 11)
			if got := count(t, reg, "c", "dropped"); got != float64(notices) || len(c.ids()) != 6*notices {
				t.Errorf("%s: got %v given up after %d tries, want %d after %d", name, got, len(c.ids()), notices, 6*notices)
			}
			if lasted := c.when[len(c.when)-1].Sub(begun); lasted < 20*time.Hour || lasted > 25*time.Hour {
				t.Errorf("%s: tried for %v, want about a day", name, lasted)
			}
		})
	}
}

// TestRefusedAside: a group that the channel refuses keeps no other back.
func TestRefusedAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, took := memory.New(), &channel{}
		poison := newsOf(50, nil).Incident.ID
		picky := judge(func(n notify.Notice) error {
			if slices.ContainsFunc(n.Members, func(m notify.Member) bool { return m.Incident.ID == poison }) {
				return &notify.Refused{Err: errDead}
			}
			return took.Notify(t.Context(), n)
		})
		stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: map[string]deliver.Route{"c": {Notifier: picky}}}})
		entries := burst(200, nil)
		logAll(t, store, entries[:100]...)
		time.Sleep(time.Minute)
		logAll(t, store, entries[100:]...)
		time.Sleep(time.Hour)
		stop()
		told := took.incidents()
		for _, e := range entries[100:] {
			if told[e.Incident.ID] != 1 {
				t.Fatalf("got %s told %d times beside a group that is refused", e.Incident.ID.Short(), told[e.Incident.ID])
			}
		}
		if len(told) != 110 {
			t.Errorf("got %d incidents told, want 110", len(told))
		}
	})
}

// judge is a notifier that looks at the notice.
type judge func(notify.Notice) error

func (f judge) Notify(_ context.Context, n notify.Notice) error { return f(n) }
