// Package dispositions is the engine: it takes alerts off the queue, finds out whose key leaked, lets policy decide,
// announces the action in the log, acts, and asks the issuer whether it worked. What it has not proved it does not say.
// Everything that happens to an incident is one call of [Engine.reconcile], which reads the state first and can be repeated, so
// the process may stop between any two.
package dispositions

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"stanch/dispositions/admit"
	"stanch/dispositions/labels"
	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Config is what an Engine runs on. Everything is required unless it says otherwise.
type Config struct {
	Store      queue.Store
	Ledger     *ledger.Ledger
	Sightings  *ledger.Sightings
	Identities Opener
	Settings   Settings       // to begin with
	Requests   queue.Requests // by which the receiver asks for labels; nil: nobody does
	Workers    int            // reconciles at once, at an issuer that does not say how many it takes; 0: DefaultWorkers
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Tracer     trace.Tracer // nil: nothing is traced
}

// Opener opens sealed alerts; seal.Identities is the one.
type Opener interface {
	Open(a leak.Alert) (leak.Content, error)
}

// DefaultWorkers is how many reconciles run at once at an issuer: most of one is waiting for it.
const DefaultWorkers = 64

// Engine reconciles every incident. Several may run on one store. It is safe for concurrent use.
type Engine struct {
	config   Config
	settings atomic.Pointer[inForce]
	over     context.Context // ends with Run
	end      context.CancelFunc
	metrics  *metrics
	fuse     *admit.Fuse
	attempts admit.Attempts
	labels   *labels.Labels
	busy     keyLock
	halves   halves
}

// New returns an engine that does nothing until Run.
func New(c Config) *Engine {
	if c.Workers == 0 {
		c.Workers = DefaultWorkers
	}
	e := &Engine{
		config: c, metrics: newMetrics(c.Registerer), fuse: admit.NewFuse(c.Settings.Fuse), labels: labels.New(c.Ledger, c.Workers),
	}
	e.over, e.end = context.WithCancel(context.Background())
	e.Use(c.Settings)
	return e
}

// Use replaces the settings. Reconciles under way end with what they began with; those that wait for an issuer's slot begin
// again.
func (e *Engine) Use(s Settings) {
	if s.Fuse == (admit.FuseLimit{}) {
		s.Fuse = admit.DefaultFuse
	}
	e.metrics.zero(s)
	e.fuse.Use(s.Fuse)
	if before := e.settings.Swap(connect(e.over, s, e.config.Workers)); before != nil {
		before.retire()
	}
}

// Run works off the queues until ctx ends. It first reads back what the fuse must know.
func (e *Engine) Run(stopped context.Context) error {
	defer e.end()
	defer context.AfterFunc(stopped, e.end)()
	group, ctx := errgroup.WithContext(stopped)
	read := make(chan struct{})
	group.Go(func() error {
		return e.config.Ledger.Follow(ctx, time.Now().Add(-e.settings.Load().remembers()), func() { close(read) }, func(entry leak.Entry) {
			e.fuse.Note(entry)
			e.labels.Note(entry)
			e.halves.note(entry)
		})
	})
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-read:
		}
		return e.work(ctx)
	})
	if err := group.Wait(); err != nil && stopped.Err() == nil {
		return fmt.Errorf("running the engine: %w", err)
	}
	return nil
}

// The durable consumers that every engine shares.
const (
	alertsConsumer  = "engine"   // of alerts
	ordersConsumer  = "orders"   // of the log, for what persons ordered
	recheckConsumer = "rechecks" // of the log, for dead keys to look at again
	retryConsumer   = "retries"  // of unfinished incidents to take up again
)

// recheckWorkers is how many rechecks run at once: nobody waits for them.
const recheckWorkers = 4

// workAlerts takes alerts off the queue, as many at once as the settings in force say.
func (e *Engine) workAlerts(ctx context.Context) error {
	for ctx.Err() == nil {
		pool := e.settings.Load().pool
		sized, resize := context.WithCancel(ctx)
		go func() {
			e.waitForOtherPool(sized, pool)
			resize()
		}()
		err := e.config.Store.Work(sized, queue.Consumer{Stream: queue.Alerts, Name: alertsConsumer, Workers: pool}, e.handleAlert)
		resize()
		if err != nil {
			return err
		}
	}
	return nil
}

// waitForOtherPool waits until the settings want another size of pool, or until ctx ends.
func (e *Engine) waitForOtherPool(ctx context.Context, pool int) {
	for s := e.settings.Load(); s.pool == pool; s = e.settings.Load() {
		select {
		case <-ctx.Done():
			return
		case <-s.over.Done():
		}
		if e.over.Err() != nil {
			return
		}
	}
}

func (e *Engine) work(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	consume := func(stream, name string, workers int, handle func(context.Context, queue.Message) error) {
		group.Go(func() error {
			return e.config.Store.Work(ctx, queue.Consumer{Stream: stream, Name: name, Workers: workers}, handle)
		})
	}
	consume(queue.Retries, retryConsumer, e.config.Workers, e.handleRetry)
	consume(queue.Incidents, ordersConsumer, e.config.Workers, e.handleOrder)
	consume(queue.Incidents, recheckConsumer, recheckWorkers, e.handleRecheck)
	group.Go(func() error { return e.workAlerts(ctx) })
	if e.config.Requests != nil {
		group.Go(func() error { return e.labels.Run(ctx, e.config.Requests) })
	}
	return group.Wait()
}
