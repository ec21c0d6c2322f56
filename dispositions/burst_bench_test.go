package dispositions_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/dispositions/ibmcloud"
	"stanch/dispositions/ibmfake"
	"stanch/dispositions/ledger"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/memory"
	"stanch/receiver/seal"
)

// burst is one delivery that tells of many keys, and an IAM that takes its time.
type burst struct {
	alerts   int
	inFlight int // reconciles
	latency  time.Duration
	limit    int     // calls a second that IAM takes; 0: all
	rate     float64 // reconciles a second that the engine is configured to
	memory   bool    // the store is in memory
}

// BenchmarkBurst measures how long it takes until every key of a large delivery is dead, where IAM takes 50 ms a call: as
// a ratio to the calls that it takes, evenly spread over the reconciles in flight. The store in memory shows what the disk adds.
//
//	go test -run - -bench Burst -benchtime 1x ./dispositions
func BenchmarkBurst(b *testing.B) {
	const latency = 50 * time.Millisecond
	b.Run("disk", burst{alerts: 10_000, inFlight: 512, latency: latency}.run)
	b.Run("memory", burst{alerts: 10_000, inFlight: 512, latency: latency, memory: true}.run)
	b.Run("disk/default", burst{alerts: 2_000, inFlight: dispositions.DefaultWorkers, latency: latency}.run)
}

// BenchmarkBurstAtLimit does so where IAM answers 429 to more than 200 calls a second: with a rate that is configured to fit, and
// with none. The ratio is to what IAM takes.
func BenchmarkBurstAtLimit(b *testing.B) {
	at := burst{alerts: 2_000, inFlight: 512, latency: 50 * time.Millisecond, limit: 200}
	b.Run("unpaced", at.run)
	at.rate = 38 // keys of five calls
	b.Run("paced", at.run)
}

func (s burst) run(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		w := s.world(b)
		s.report(b, w, w.contain(s))
		b.StartTimer()
	}
}

// report compares the time with the one that IAM itself needs.
func (s burst) report(b *testing.B, w *burstWorld, elapsed time.Duration) {
	calls := 0
	for _, n := range w.iam.Requests() {
		calls += n
	}
	least := time.Duration(calls) * s.latency / time.Duration(s.inFlight)
	if s.limit > 0 {
		least = max(least, time.Duration(calls)*time.Second/time.Duration(s.limit))
	}
	b.ReportMetric(elapsed.Seconds(), "s/burst")
	b.ReportMetric(elapsed.Seconds()/least.Seconds(), "ratio")
	b.ReportMetric(float64(calls)/float64(s.alerts), "calls/key")
	b.ReportMetric(float64(w.iam.Refused()), "429s")
}

// burstWorld is an engine, what it runs on, and the alerts to come.
type burstWorld struct {
	b         *testing.B
	keys      string // directory
	log       *slog.Logger
	iam       *ibmfake.Server
	store     queue.Store
	recipient *seal.Recipient
	ids       []string        // of the keys at IAM
	alerts    []queue.Message // as the receiver stores them
}

func (s burst) world(b *testing.B) *burstWorld {
	b.Helper()
	w := &burstWorld{b: b, keys: b.TempDir(), log: slog.New(slog.DiscardHandler), store: memory.New()}
	w.check(seal.Ensure(w.keys))
	var err error
	w.iam, err = ibmfake.Start(ibmfake.Options{})
	w.check(err)
	b.Cleanup(w.iam.Close)
	w.iam.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Delay: s.latency})
	w.iam.SetLimit(s.limit)
	if !s.memory {
		store, err := embedded.Open(b.Context(), embedded.Config{Dir: b.TempDir(), Keys: "burst", Log: w.log})
		w.check(err)
		b.Cleanup(func() { _ = store.Close() })
		w.store = store
	}
	w.leak(s.alerts)
	return w
}

func (w *burstWorld) check(err error) {
	w.b.Helper()
	if err != nil {
		w.b.Fatal(err)
	}
}

// leak makes keys and the alerts that tell of them.
func (w *burstWorld) leak(n int) {
	w.b.Helper()
	var err error
	w.recipient, err = seal.LoadRecipient(w.keys)
	w.check(err)
	for range n {
		id, value := w.iam.AddKey(ibmfake.Key{Setting: "disable"})
		a, err := w.recipient.Seal("gh", time.Now(), leak.Content{Secret: value, Type: tokenType, URL: "https://example.com/1"})
		w.check(err)
		data, err := json.Marshal(a)
		w.check(err)
		w.ids = append(w.ids, id)
		w.alerts = append(w.alerts, queue.Message{Subject: queue.AlertSubject(a.Source), Data: data})
	}
}

// contain runs an engine from the delivery of the alerts until every key is proved dead.
func (w *burstWorld) contain(s burst) time.Duration {
	w.b.Helper()
	engine, journal := w.engine(s), ledger.New(w.store)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var group errgroup.Group
	group.Go(func() error { return engine.Run(ctx) })
	begun := time.Now()
	w.check(w.store.Append(ctx, w.alerts...))
	dead, left := make(chan struct{}), len(w.alerts)
	group.Go(func() error {
		return journal.Follow(ctx, time.Time{}, func() {}, func(e leak.Entry) {
			if e.Incident.State == leak.Contained {
				left--
			}
			if left == 0 {
				close(dead)
			}
		})
	})
	<-dead
	elapsed := time.Since(begun)
	cancel()
	w.check(group.Wait())
	for _, id := range w.ids {
		if key, _ := w.iam.Key(id); !key.Disabled {
			w.b.Fatal("a key is said to be dead, and works")
		}
	}
	return elapsed
}

func (w *burstWorld) engine(s burst) *dispositions.Engine {
	w.b.Helper()
	identities, err := seal.LoadIdentities(w.keys)
	w.check(err)
	chosen, faults := policy.New(policy.Config{})
	if len(faults) > 0 {
		w.b.Fatal(faults)
	}
	return dispositions.New(dispositions.Config{
		Store: w.store, Ledger: ledger.New(w.store), Sightings: ledger.NewSightings(w.store, w.recipient, identities), Identities: identities,
		Log: w.log, Registerer: prometheus.NewRegistry(),
		Settings: dispositions.Settings{
			Issuers: []dispositions.Configured{{
				Name: "ibm", Issuer: w.issuer(), TokenTypes: []string{tokenType}, Rate: admit.Rate{Times: s.rate}, InFlight: s.inFlight,
			}},
			Policy: chosen, Fuse: admit.FuseLimit{Max: s.alerts, Per: time.Hour},
		},
	})
}

func (w *burstWorld) issuer() dispositions.Issuer {
	w.b.Helper()
	_, own := w.iam.AddKey(ibmfake.Key{Name: "stanch", IAMID: "iam-ServiceId-1", Administrator: true})
	file := filepath.Join(w.keys, "apikey")
	w.check(os.WriteFile(file, []byte(own.Reveal()), 0o600))
	config := ibmcloud.Config{URL: w.iam.URL(), Auth: ibmcloud.Auth{APIKeyFile: file}}
	issuer, err := config.Open("ibm", w.log)
	w.check(err)
	return issuer
}
