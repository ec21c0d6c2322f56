package collect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// TestNoSecret: the pointer becomes a dead letter at once, and is not fetched again.
func TestNoSecret(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.vendor.add("acme/app/1", "https://example.com/a")
		w.vendor.spoil(func(string) error { return fmt.Errorf("fetching the alert: %w", collect.ErrNoSecret) })
		w.point("acme/app/1")
		w.work(time.Minute)
		letters := w.dead()
		if len(letters) != 1 || letters[0].Pointer == nil || !strings.Contains(letters[0].Reason, "no secret") {
			w.t.Errorf("got the dead letters %+v, want the pointer with the reason", letters)
		}
		w.work(24 * time.Hour)
		if n := w.vendor.count("fetch acme/app/1"); n != 1 {
			w.t.Errorf("asked %d times, want once", n)
		}
	})
}

// TestNothingFound: a pointer may lead to no leak at all, such as the report of a scan that found none.
func TestNothingFound(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.vendor.add("acme/app/1")
		w.point("acme/app/1")
		w.work(time.Hour)
		if asked, alerts := w.vendor.count("fetch acme/app/1"), len(w.queued()); asked != 1 || alerts+len(w.dead()) > 0 {
			w.t.Errorf("asked %d times, got %d alerts and %d dead letters, want once and none", asked, alerts, len(w.dead()))
		}
	})
}

// caused is a vendor that notes the chain of its calls.
type caused struct {
	collect.Vendor
	chains chan string
}

func (c caused) Fetch(ctx context.Context, ref string) ([]leak.Content, error) {
	c.chains <- collect.Cause(ctx)
	return c.Vendor.Fetch(ctx, ref)
}

// TestCause: an alert is fetched in the chain of its pointer.
func TestCause(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.vendor.add("acme/app/1", "https://example.com/a")
		v := caused{w.vendor, make(chan string, 1)}
		c, stop := w.start(0)
		defer stop()
		c.Use(map[string]collect.Source{"acme": {Vendor: v}}, "")
		w.append(queue.PointerSubject("acme"), leak.Pointer{
			V: 1, Source: "acme", Ref: "acme/app/1", Cause: "chain-1", ReceivedAt: time.Now(),
		})
		if got := <-v.chains; got != "chain-1" {
			w.t.Errorf("got the chain %q, want chain-1", got)
		}
	})
	if got := collect.Cause(t.Context()); got != "" {
		t.Errorf("got the chain %q of no pointer", got)
	}
}

// redeliverer is a vendor that keeps deliveries.
type redeliverer struct {
	*vendor
	result error
}

func (r *redeliverer) Redeliver(context.Context, time.Time) (int, error) { return 0, r.result }

// TestSwitchedOff: a source that has stopped delivering is logged and measured until it is known to deliver again.
func TestSwitchedOff(t *testing.T) {
	inFakeTime(t, func(w *world) {
		v := &redeliverer{vendor: w.vendor}
		c, stop := w.start(0)
		defer stop()
		c.Use(map[string]collect.Source{"acme": {Vendor: v}}, "")
		for n, row := range []struct {
			result error
			want   float64
		}{
			{nil, 0},
			{fmt.Errorf("%w: until noon", collect.ErrSwitchedOff), 1},
			{errors.New("status 503"), 1},
			{nil, 0},
			{errors.New("status 503"), 0},
		} {
			v.result = row.result
			swept, err := c.Sweep(context.Background(), "acme", collect.Sweep{})
			if err != nil || (swept.Problem == "") != (row.result == nil) {
				w.t.Errorf("sweep %d: got the problem %q and error %v", n, swept.Problem, err)
			}
			if got := w.gauge("stanch_hook_switched_off"); got != row.want {
				w.t.Errorf("sweep %d: the gauge is %v, want %v", n, got, row.want)
			}
		}
	})
}

// gauge is the value of the one series of a gauge.
func (w *world) gauge(name string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) == 1 {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	w.t.Fatalf("there is not one series of %s", name)
	return 0
}
