package dispositions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/dispositions/ledger"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue/soak"
)

// settings are to act for some issuers, with a fuse that stands in nobody's way.
func (w *world) settings(issuers ...dispositions.Configured) dispositions.Settings {
	w.t.Helper()
	chosen, faults := policy.New(policy.Config{})
	if len(faults) > 0 {
		w.t.Fatal(faults)
	}
	return dispositions.Settings{Issuers: issuers, Policy: chosen, Fuse: admit.FuseLimit{Max: 10_000, Per: time.Hour}}
}

// issuers starts an engine on some issuers, which takes eight reconciles at once at each that does not say.
func (w *world) issuers(issuers ...dispositions.Configured) (e *dispositions.Engine, stop func()) {
	w.t.Helper()
	e = dispositions.New(dispositions.Config{
		Store: w.store, Ledger: ledger.New(w.store), Sightings: w.sightings(), Identities: w.ids,
		Settings: w.settings(issuers...), Workers: 8, Log: w.logger, Registerer: prometheus.NewRegistry(),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := e.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	return e, func() {
		cancel()
		group.Wait()
	}
}

// TestASlowIssuerHoldsUpNoOther floods an issuer that takes ten seconds a call, and then another one.
func TestASlowIssuerHoldsUpNoOther(t *testing.T) {
	inFakeTime(t, func(w *world) {
		slow, quick := newCloud(), newCloud()
		slow.latency = func() time.Duration { return 5 * time.Second }
		_, stop := w.issuers(
			dispositions.Configured{Name: "slow", Issuer: slow, TokenTypes: []string{"slow_key"}},
			dispositions.Configured{Name: "quick", Issuer: quick, TokenTypes: []string{"quick_key"}},
		)
		defer stop()
		for n := range 200 {
			w.reportType(slow.add(leak.Key{ID: fmt.Sprintf("slow-%d", n)}), "https://example.com/1", "slow_key")
		}
		time.Sleep(5 * time.Second)
		var ids []leak.Fingerprint
		for n := range 50 {
			ids = append(ids, w.reportType(quick.add(leak.Key{ID: fmt.Sprintf("quick-%d", n)}), "https://example.com/1", "quick_key"))
		}
		time.Sleep(30 * time.Second)
		for _, id := range ids {
			if i := w.incident(id); i.State != leak.Contained {
				w.t.Errorf("an incident of the quick issuer is %q while the slow one is busy", i.State)
			}
		}
		if n := slow.most(); n > 8 {
			w.t.Errorf("the slow issuer was asked %d things at once, want 8 at most", n)
		}
		time.Sleep(time.Hour)
		if n := slow.touched(); n != 200 {
			w.t.Errorf("%d of the slow issuer's keys were acted on in an hour, want 200", n)
		}
		slow.mu.Lock()
		slow.latency = nil // what is under way can end
		slow.mu.Unlock()
		time.Sleep(time.Minute)
	})
}

// TestRate gives an issuer ten reconciles a second.
func TestRate(t *testing.T) {
	inFakeTime(t, func(w *world) {
		paced, other := newCloud(), newCloud()
		_, stop := w.issuers(
			dispositions.Configured{Name: "paced", Issuer: paced, TokenTypes: []string{"paced_key"}, Rate: admit.Rate{Times: 10}},
			dispositions.Configured{Name: "other", Issuer: other, TokenTypes: []string{"other_key"}},
		)
		defer stop()
		all := soak.Size(250, 600)
		for n := range all {
			w.reportType(paced.add(leak.Key{ID: fmt.Sprintf("paced-%d", n)}), "https://example.com/1", "paced_key")
		}
		time.Sleep(20 * time.Second)
		if n := paced.touched(); n < 100 || n > 230 {
			w.t.Errorf("%d keys were acted on in 20 seconds at 10 a second", n)
		}
		time.Sleep(10 * time.Minute)
		if n := paced.touched(); n != all {
			w.t.Errorf("%d keys were acted on in the end, want %d", n, all)
		}
	})
}

// TestACrowdIsNoFailure keeps an alert waiting for a place, again and again, and then lets one call about its key fail: nobody is
// paged for that.
func TestACrowdIsNoFailure(t *testing.T) {
	inFakeTime(t, func(w *world) {
		crowded, other := newCloud(), newCloud()
		crowded.latency = func() time.Duration { return time.Minute }
		_, stop := w.issuers(
			dispositions.Configured{Name: "crowded", Issuer: crowded, TokenTypes: []string{"crowded_key"}, InFlight: 1},
			dispositions.Configured{Name: "other", Issuer: other, TokenTypes: []string{"other_key"}},
		)
		defer stop()
		w.reportType(crowded.add(leak.Key{ID: "first"}), "https://example.com/1", "crowded_key")
		time.Sleep(time.Second)
		waits := w.reportType(crowded.add(leak.Key{ID: "waits"}), "https://example.com/1", "crowded_key")
		time.Sleep(2 * time.Minute)
		var failed atomic.Bool
		crowded.mu.Lock()
		crowded.latency = nil
		crowded.fault = func(op string, _ bool) error {
			if op != "locate" || failed.Swap(true) {
				return nil
			}
			return errors.New("a hiccup")
		}
		crowded.mu.Unlock()
		time.Sleep(time.Hour)
		if !failed.Load() || w.incident(waits).State != leak.Contained {
			w.t.Errorf("the call failed: %t; the incident is %q", failed.Load(), w.incident(waits).State)
		}
		if steps := w.steps(waits); strings.Contains(steps, string(leak.Failure)) {
			w.t.Errorf("somebody was paged: %s", steps)
		}
	})
}
