package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// Source is a source that the collector works for.
type Source struct {
	Vendor Vendor
	// Sweep is how often the source is asked what is open there; 0: only when somebody orders it.
	Sweep time.Duration
}

// sealer seals what an alert says; seal.Recipient is the one.
type sealer interface {
	Seal(source string, at time.Time, c leak.Content) (leak.Alert, error)
}

// Config is what a Collector works with. Everything is required unless it says otherwise.
type Config struct {
	Store       queue.Store
	Seal        sealer
	Sources     map[string]Source     // by configured name; none: nothing is collected
	ExternalURL string                // of the private listener, for comments; empty: they hold no link
	Log         *slog.Logger          // nil: nothing is logged
	Registerer  prometheus.Registerer // nil: nothing is measured
	Tracer      trace.Tracer          // nil: nothing is traced
}

// Collector follows pointers, reports outcomes and sweeps. Several may run on one store.
type Collector struct {
	store   queue.Store
	seal    sealer
	log     *slog.Logger
	metrics *metrics
	tracer  trace.Tracer
	terms   atomic.Pointer[terms]
	changed chan struct{} // the terms have
	known   *refs
}

// terms are what a Collector works by, and change as one.
type terms struct {
	sources     map[string]Source
	externalURL string
}

// New returns a collector that does nothing until Run.
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

// Use makes the collector work for other sources from now on. What is under way ends as it began.
func (c *Collector) Use(sources map[string]Source, externalURL string) {
	for name := range sources {
		c.metrics.zero(name)
	}
	c.terms.Store(&terms{maps.Clone(sources), externalURL})
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// The durable consumers that every collector shares, and how many messages each has in hand at once.
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

// How long a call may take, and how long what fails is tried again before it is given up.
const (
	callTimeout = time.Minute
	giveUpAfter = 3 * 24 * time.Hour
)

// longestPause bounds what a source that asks to be left alone can ask for.
const longestPause = time.Hour

// comeBack puts a message back: after the time that the source asked for, or after one that grows.
func comeBack(err error) error {
	if throttled, ok := errors.AsType[*leak.Throttled](err); ok {
		return &queue.Later{Delay: min(max(throttled.After, time.Second), longestPause), Err: err}
	}
	return err
}

// follow takes one pointer: it asks the source for the alert and queues it. A nil error settles it.
func (c *Collector) follow(ctx context.Context, m queue.Message) (err error) {
	ctx, s := span.Continue(ctx, c.tracer, "fetch")
	defer func() { s.End(failure(err)) }()
	p, err := leak.Read[leak.Pointer](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return queue.LeftToNewer(err)
	case err != nil:
		return c.bury(ctx, leak.Pointer{Source: "unknown"}, "the queued pointer is damaged")
	}
	s.Set(span.Source, p.Source)
	source, ok := c.terms.Load().sources[p.Source]
	if !ok {
		return c.bury(ctx, p, "its source is not configured any more")
	}
	asking, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if c.ours(asking, source.Vendor, p) {
		c.fetched(ctx, p.Source, resultOwn)
		return nil
	}
	found, err := source.Vendor.Fetch(WithCause(asking, p.Cause), p.Ref)
	switch {
	case err == nil:
		return c.queue(ctx, p, found)
	case errors.Is(err, ErrGone):
		c.fetched(ctx, p.Source, resultGone)
		c.log.InfoContext(ctx, "pointer leads nowhere", "source", p.Source, "ref", p.Ref)
		return nil
	case errors.Is(err, ErrNoSecret):
		return c.bury(ctx, p, err.Error())
	case time.Since(p.ReceivedAt) > giveUpAfter:
		return c.bury(ctx, p, fmt.Sprintf("asked for %d days: %v", giveUpAfter/(24*time.Hour), err))
	}
	c.fetched(ctx, p.Source, resultRetried)
	return comeBack(fmt.Errorf("fetching an alert of %s: %w", p.Source, err))
}

// ours reports whether a pointer tells of what we did ourselves. When nobody can tell it is followed: one request too many
// costs nothing.
func (c *Collector) ours(ctx context.Context, v Vendor, p leak.Pointer) bool {
	aware, ok := v.(Selfaware)
	if !ok || p.By == "" {
		return false
	}
	self, err := aware.Self(ctx)
	return err == nil && strings.EqualFold(self, p.By)
}

// queue seals what was found and queues it. All of it is on disk before the pointer is settled.
func (c *Collector) queue(ctx context.Context, p leak.Pointer, found []leak.Content) error {
	var messages []queue.Message
	for _, content := range found {
		content.Swept = p.Swept
		alert, err := c.seal.Seal(p.Source, p.ReceivedAt, content)
		if err != nil {
			return err
		}
		message, err := encode(queue.AlertSubject(p.Source), alert)
		if err != nil {
			return err
		}
		messages = append(messages, message)
	}
	if err := c.store.Append(ctx, messages...); err != nil {
		return fmt.Errorf("queueing a fetched alert: %w", err)
	}
	c.fetched(ctx, p.Source, resultQueued)
	c.log.InfoContext(ctx, "alert fetched", "source", p.Source, "ref", p.Ref, "event", p.Event, "sightings", len(found))
	return nil
}

// bury puts a pointer that no retry can help to the dead letters, before it leaves the queue.
func (c *Collector) bury(ctx context.Context, p leak.Pointer, reason string) error {
	message, err := encode(queue.DeadSubject(p.Source), leak.DeadLetter{V: leak.Version, Reason: reason, Pointer: &p, At: time.Now()})
	if err != nil {
		return err
	}
	if err := c.store.Append(ctx, message); err != nil {
		return fmt.Errorf("storing a dead letter: %w", err)
	}
	c.fetched(ctx, p.Source, resultDead)
	c.log.ErrorContext(ctx, "pointer became a dead letter", "source", p.Source, "ref", p.Ref, "reason", reason)
	return nil
}

// fetched counts what came of a pointer, and traces it.
func (c *Collector) fetched(ctx context.Context, source, result string) {
	c.metrics.fetched(source, result)
	span.Of(ctx).Set(span.Result, result)
}

// failure is what of an error makes the work one that failed: what comes back when its source wants it has not.
func failure(err error) error {
	if _, later := errors.AsType[*queue.Later](err); later {
		return nil
	}
	return err
}

func encode(subject string, v any) (queue.Message, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return queue.Message{}, fmt.Errorf("encoding for %s: %w", subject, err)
	}
	return queue.Message{Subject: subject, Data: data}, nil
}
