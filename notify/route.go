package notify

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Route is one notifier and what it wants to hear of.
type Route struct {
	Notifier Notifier
	// When reports whether the notifier is told of an incident as it stands after the step; nil: of every one.
	When func(leak.Incident) bool
}

// Config is what a [Dispatcher] works with.
type Config struct {
	Store  queue.Store
	Routes map[string]Route // by configured name of the notifier; none: nobody is told
	// Sightings returns where an incident's key was seen; nil: notices say that this is not available.
	Sightings   func(context.Context, leak.Incident) ([]leak.Sighting, error)
	ExternalURL string                // of the private listener; empty: notices have no link
	Log         *slog.Logger          // nil: nothing is logged
	Registerer  prometheus.Registerer // nil: nothing is measured
}

// Dispatcher delivers the notices of the log's entries to each notifier. Each notifier has a durable consumer of its
// own, so that its notices survive a restart and a dead channel delays no other; a notifier that is new hears of what
// comes, not of what has been.
//
// A notice is delivered at least once: after a crash, or an answer that was lost, it may come again under the same id.
// Notices of one incident may overtake each other; their times tell the order.
type Dispatcher struct {
	store     queue.Store
	sightings func(context.Context, leak.Incident) ([]leak.Sighting, error)
	log       *slog.Logger
	metrics   *metrics
	first     *terms
	current   atomic.Pointer[terms]
	next      chan *terms // to Run
}

// NewDispatcher returns a Dispatcher that does nothing until Run.
func NewDispatcher(c Config) *Dispatcher {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		store: c.Store, sightings: c.Sightings, log: c.Log, metrics: newMetrics(c.Registerer),
		first: newTerms(c.Routes, c.ExternalURL), next: make(chan *terms),
	}
	d.adopt(d.first)
	if len(c.Routes) == 0 {
		d.first.settled()
	}
	return d
}

// Ready is closed when the consumer of every notifier that the Dispatcher was made with exists: what is logged from then
// on reaches each of them. Nothing may be logged before that at the first start. It is never closed if Run ends before,
// so wait for both.
func (d *Dispatcher) Ready() <-chan struct{} { return d.first.ready }

// workers is how many notices a notifier is given at once: enough that a few slow answers do not hold up a flood, few
// enough that a channel is not flooded itself.
const workers = 4

// Run delivers notices until ctx ends, and then returns nil. Call it once.
func (d *Dispatcher) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		running := map[string]server{}
		for t := d.first; ; {
			d.start(ctx, group, running, t)
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

// serve delivers one notifier's notices until ctx ends.
func (d *Dispatcher) serve(ctx context.Context, name string, exists func()) error {
	consumer := queue.Consumer{
		Stream: queue.Incidents, Name: "notify-" + name, Workers: workers, New: true, Ready: exists,
	}
	err := d.store.Work(ctx, consumer, func(ctx context.Context, m queue.Message) error {
		return d.handle(ctx, name, m)
	})
	if err != nil {
		return fmt.Errorf("serving notifier %s: %w", name, err)
	}
	return nil
}
