package dispositions_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/receiver/leak"
	"stanch/receiver/queue/soak"
)

// one starts an engine on one issuer, which is configured so.
func (w *world) one(configured dispositions.Configured) (e *dispositions.Engine, stop func()) {
	w.t.Helper()
	return w.issuers(w.only(configured))
}

func (w *world) only(configured dispositions.Configured) dispositions.Configured {
	configured.Name, configured.Issuer, configured.TokenTypes = "ibm", w.cloud, []string{tokenType}
	return configured
}

// flood reports so many keys.
func (w *world) flood(n int) (ids []leak.Fingerprint) {
	w.t.Helper()
	for range n {
		k := leak.Key{ID: fmt.Sprintf("flood-%d", w.cloud.size())}
		ids = append(ids, w.report(w.cloud.add(k), "https://example.com/1"))
	}
	return ids
}

// wantContained checks that every key is dead and that nobody was paged.
func (w *world) wantContained(ids []leak.Fingerprint) {
	w.t.Helper()
	for _, id := range ids {
		i := w.incident(id)
		if i.State != leak.Contained || i.Severity != leak.Warning {
			w.t.Fatalf("an incident is %s, %s: %s", i.State, i.Severity, i.Failure)
		}
	}
}

// TestInFlight: an issuer is given as many reconciles at once as it is configured for, and another number at once when that changes.
func TestInFlight(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.cloud.latency = func() time.Duration { return time.Second }
		e, stop := w.one(dispositions.Configured{InFlight: 3})
		defer stop()
		ids := w.flood(500)
		time.Sleep(20 * time.Second)
		if n := w.cloud.most(); n != 3 {
			t.Errorf("%d calls were under way at once, want 3", n)
		}
		e.Use(w.settings(w.only(dispositions.Configured{InFlight: 200})))
		time.Sleep(time.Minute)
		if n := w.cloud.most(); n != 200 {
			t.Errorf("%d calls were under way at once, want 200", n)
		}
		time.Sleep(10 * time.Minute)
		w.wantContained(ids)
	})
}

// TestAskedTooMuch: an issuer that answers more than 50 calls a second with 429 hears of few more, its keys die about as quickly
// as that allows, and nobody is paged.
func TestAskedTooMuch(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.cloud.latency = func() time.Duration { return 25 * time.Millisecond }
		limit, calls, refused := rate.NewLimiter(50, 50), 0, 0
		w.cloud.spoil(func(_ string, after bool) error {
			if after {
				return nil
			}
			if calls++; limit.Allow() {
				return nil
			}
			refused++
			return &leak.Throttled{After: time.Second, Err: errors.New("status 429")}
		})
		_, stop := w.one(dispositions.Configured{InFlight: 512})
		defer stop()
		keys := soak.Size(600, 2000)
		ids := w.flood(keys)
		time.Sleep(time.Duration(keys) * 4 * time.Second / 50) // a key takes three calls
		w.wantContained(ids)
		w.cloud.mu.Lock()
		defer w.cloud.mu.Unlock()
		if share := soak.Size(10, 20); refused == 0 || refused > calls/share { // most of them while the limit is found
			t.Errorf("%d of %d calls were refused, want some, and one in %d at most", refused, calls, share)
		}
	})
}

// TestAskedTooMuchForLong: an issuer that refuses everything for an hour is failing, and somebody is told; then its keys die.
func TestAskedTooMuchForLong(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.cloud.spoil(func(string, bool) error { return &leak.Throttled{After: time.Hour, Err: errors.New("status 429")} })
		_, stop := w.one(dispositions.Configured{})
		defer stop()
		ids := w.flood(1)
		time.Sleep(time.Hour)
		if i := w.incident(ids[0]); i.State != leak.Failed || i.Severity != leak.Critical {
			t.Errorf("an incident is %s, %s after an hour, want failed, critical", i.State, i.Severity)
		}
		w.cloud.spoil(nil)
		time.Sleep(20 * time.Minute)
		w.wantContained(ids)
	})
}

// TestStopsWhileReconcilesWait: an engine whose reconciles wait for the rate of their issuer ends at once.
func TestStopsWhileReconcilesWait(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, stop := w.one(dispositions.Configured{Rate: admit.Rate{Times: 36, Per: time.Hour}})
		ids := w.flood(20)
		time.Sleep(time.Second)
		begun := time.Now()
		stop()
		if took := time.Since(begun); took > 0 { // of fake time, which passes while everybody waits
			t.Errorf("the engine took %s to end", took)
		}
		_, stop = w.one(dispositions.Configured{})
		time.Sleep(time.Hour)
		w.wantContained(ids)
		stop()
	})
}
