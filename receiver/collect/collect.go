package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Source is a source that the collector works for.
type Source struct {
	Vendor Vendor
	// Sweep is how often the source is asked which alerts are open; 0: only on request.
	Sweep time.Duration
}

// sealer seals what an alert says, as soon as it is known.
type sealer interface {
	Seal(source string, at time.Time, c leak.Content) (leak.Alert, error)
}

// Config is what a Collector needs. Fields are required unless they say otherwise.
type Config struct {
	Store       queue.Store
	Seal        sealer
	Sources     map[string]Source     // by configured name; none: nothing is collected
	ExternalURL string                // of the private listener, for the links in comments; empty: no link
	Log         *slog.Logger          // nil: nothing is logged
	Registerer  prometheus.Registerer // nil: nothing is measured
	Tracer      trace.Tracer          // nil: nothing is traced
}

// Collector follows pointers, reports outcomes to the sources, and sweeps. Several may run on one store. It is safe for
// concurrent use.
type Collector struct {
	store    queue.Store
	seal     sealer
	log      *slog.Logger
	metrics  *metrics
	tracer   trace.Tracer
	settings atomic.Pointer[settings]
	changed  chan struct{} // a signal that settings has
	known    *refs
}

// settings are the configuration in force, swapped as a whole.
type settings struct {
	sources     map[string]Source
	externalURL string
}

// New makes a Collector that does nothing until Run. It panics when its metrics are registered already: the wiring is
// wrong then.
func New(c Config) *Collector {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	collector := &Collector{
		store: c.Store, seal: c.Seal, log: c.Log, metrics: newMetrics(c.Registerer), tracer: c.Tracer,
		changed: make(chan struct{}, 1), known: newRefs(),
	}
	collector.Use(c.Sources, c.ExternalURL)
	return collector
}

// Use makes the Collector work for these sources from now on. Work under way ends under the old settings.
func (c *Collector) Use(sources map[string]Source, externalURL string) {
	for name := range sources {
		c.metrics.zero(name)
	}
	c.settings.Store(&settings{maps.Clone(sources), externalURL})
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// The durable consumers that all collectors share, and how many messages each collector handles at once.
const (
	pointersConsumer = "collector"
	reportsConsumer  = "reports"
	workers          = 8
)

// Run collects until ctx ends, and then returns nil. Call it once.
func (c *Collector) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.known.follow(ctx, c.store) })
	group.Go(func() error {
		return c.store.Work(ctx, queue.Consumer{Stream: queue.Pointers, Name: pointersConsumer, Workers: workers}, c.follow)
	})
	group.Go(func() error {
		return c.store.Work(ctx, queue.Consumer{Stream: queue.Incidents, Name: reportsConsumer, Workers: workers}, c.report)
	})
	group.Go(func() error { return c.sweeps(ctx) })
	return group.Wait()
}

// How long a call may take, and how long failures are retried before we give up.
const (
	callTimeout = time.Minute
	giveUpAfter = 3 * 24 * time.Hour
)

// longestPause bounds how long a source can ask us to wait.
const longestPause = time.Hour

// retryLater returns the error by which a message is delivered again: after the time that the source asked for, or after a
// growing one.
func retryLater(err error) error {
	if throttled, ok := errors.AsType[*leak.Throttled](err); ok {
		return &queue.Later{Delay: min(max(throttled.After, time.Second), longestPause), Err: err}
	}
	return err
}

// encode makes the message of a value.
func encode(subject string, v any) (queue.Message, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return queue.Message{}, fmt.Errorf("encoding for %s: %w", subject, err)
	}
	return queue.Message{Subject: subject, Data: data}, nil
}
