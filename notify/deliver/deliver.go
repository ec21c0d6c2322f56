// Package deliver tells notifiers of what is news in the log: it routes each entry to those that want it, with a durable
// consumer, retry and backoff of its own for each, so that a dead channel delays no other. A notice is delivered at least
// once; what comes faster than people can read is told as one.
package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"stanch/notify"
	"stanch/notify/compose"
	"stanch/notify/deliver/lease"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Route is one notifier and what it wants to hear of.
type Route struct {
	Notifier notify.Notifier
	// When reports whether the notifier is told of an incident as it stands after the step; nil: of every one. When it
	// cannot tell, the notifier is told.
	When func(leak.Incident) (bool, error)
	// Words are the operator's own templates; where there is none, notices are as they are composed.
	Words compose.Words
	// Burst is how many notices a minute are told one by one before what comes beyond becomes a group, which is one notice; 0: ten.
	Burst int
}

// Config is what a [Dispatcher] works with.
type Config struct {
	Store    queue.Store
	Settings Settings // to begin with
	// Sightings returns where an incident's key was seen; nil: notices say that this is not available.
	Sightings func(context.Context, leak.Incident) ([]leak.Sighting, error)
	// Shared means that other processes serve the same notifiers on the store. Each is served by one at a time then, and by
	// another one within half a minute when that dies.
	Shared     bool
	Log        *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is measured
	Tracer     trace.Tracer          // nil: nothing is traced
}

// Dispatcher delivers the notices of the log's entries to each notifier. Each notifier has a durable consumer of its
// own, so that its notices survive a restart and a dead channel delays no other; a notifier that is new hears of what
// comes, not of what has been.
//
// A channel is told one notice at a time and stays calm: past so many a minute, what comes is gathered into one notice
// that says how much there is (see [notify.Notice].Members). Nothing is acknowledged before it was told.
//
// A notice is delivered at least once. After a crash, or an answer that was lost, one a notifier may come again, under the
// same id. Notices of one incident may overtake each other; their times tell the order.
type Dispatcher struct {
	store     queue.Store
	sightings func(context.Context, leak.Incident) ([]leak.Sighting, error)
	shared    bool
	log       *slog.Logger
	metrics   *metrics
	tracer    trace.Tracer
	first     *settings
	current   atomic.Pointer[settings]
	next      chan *settings // to Run
}

// New returns a Dispatcher that does nothing until Run.
func New(c Config) *Dispatcher {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		store: c.Store, sightings: c.Sightings, shared: c.Shared, log: c.Log, metrics: newMetrics(c.Registerer), tracer: c.Tracer,
		first: newSettings(c.Settings), next: make(chan *settings),
	}
	d.adopt(d.first)
	if len(c.Settings.Routes) == 0 {
		d.first.settled()
	}
	return d
}

// Ready is closed when the consumer of every notifier that the Dispatcher was made with exists: what is logged from then
// on reaches each of them. Nothing may be logged before that at the first start. It is never closed if Run ends before,
// so wait for both.
func (d *Dispatcher) Ready() <-chan struct{} { return d.first.ready }

// workers is how many entries a notifier takes at once: so many that while the channel is slow to take those that are told
// alone, somebody gathers the rest.
const workers = defaultBurst + 2

// Consumer is the durable consumer of the log that the notifier of a configured name has.
func Consumer(name string) queue.Consumer {
	return queue.Consumer{Stream: queue.Incidents, Name: "notify-" + name, Workers: workers, New: true}
}

// Run delivers notices, and runs what notifiers run of their own, until ctx ends, and then returns nil. Call it once.
func (d *Dispatcher) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		servers := map[string]server{}
		for t := d.first; ; {
			d.start(ctx, group, servers, t)
			select {
			case <-ctx.Done():
				return nil
			case t = <-d.next:
				d.adopt(t)
			}
		}
	})
	return group.Wait()
}

// serve serves one notifier until ctx ends.
func (d *Dispatcher) serve(ctx context.Context, name string, exists func()) error {
	err := d.store.Prepare(ctx, Consumer(name))
	if err == nil {
		exists()
		err = d.alone(ctx, name, func(ctx context.Context) error { return d.travel(ctx, name) })
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving notifier %s: %w", name, err)
	}
	return nil
}

// alone has a notifier served while no other process does.
func (d *Dispatcher) alone(ctx context.Context, name string, serve func(context.Context) error) error {
	if !d.shared {
		return serve(ctx)
	}
	lease.New(d.store, queue.LeaseSubject(name), d.log.With("notifier", name)).Hold(ctx, serve)
	return nil
}

// travel opens a lane and has it travelled, and runs what the notifier runs of its own.
func (d *Dispatcher) travel(ctx context.Context, name string) error {
	l, err := d.newLane(ctx, name)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.run(ctx) })
	group.Go(func() error { return d.store.Work(ctx, Consumer(name), l.handle) })
	group.Go(func() error { d.runOwn(ctx, name); return nil })
	return group.Wait()
}
