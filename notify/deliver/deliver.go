// Package deliver tells notifiers of what is news in the log: it routes each entry to those that want it, with a durable
// consumer, retry and backoff of its own for each, so that a dead channel delays no other. A notice is delivered at least
// once; what comes faster than people can read is told as one.
package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"stanch/notify"
	"stanch/notify/deliver/lease"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Config is what a [Dispatcher] works with.
type Config struct {
	Store    queue.Store
	Settings Settings // to begin with
	// Sightings returns where an incident's key was seen; nil: notices say that this is not available.
	Sightings func(context.Context, leak.Incident) ([]leak.Sighting, error)
	// Shared means that other processes serve the same notifiers on the store. One at a time then serves each, and when it
	// dies another one takes over within half a minute.
	Shared     bool
	Log        *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: nothing is measured
	Tracer     trace.Tracer          // nil: nothing is traced
}

// Dispatcher delivers the notices of the log's entries to each notifier. Each notifier has a durable consumer of its
// own, so that its notices survive a restart and a dead channel delays no other; a new notifier hears of what comes, not
// of what has been.
//
// A channel is told one notice at a time and stays calm: past so many a minute, what comes becomes a group, one notice
// that says how much there is (see [notify.Notice].Members). Nothing is acknowledged before it was told.
//
// A notice is delivered at least once. After a crash, or when an answer was lost, one notice for each notifier may come
// again, under the same id. Notices of one incident may overtake each other; their times tell the order.
type Dispatcher struct {
	store     queue.Store
	sightings func(context.Context, leak.Incident) ([]leak.Sighting, error)
	shared    bool
	log       *slog.Logger
	metrics   *metrics
	tracer    trace.Tracer
	first     *inForce
	current   atomic.Pointer[inForce]
	next      chan *inForce // to Run
}

// New returns a Dispatcher that does nothing until Run.
func New(c Config) *Dispatcher {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		store: c.Store, sightings: c.Sightings, shared: c.Shared, log: c.Log, metrics: newMetrics(c.Registerer), tracer: c.Tracer,
		first: newInForce(c.Settings), next: make(chan *inForce),
	}
	d.adopt(d.first)
	if len(c.Settings.Routes) == 0 {
		d.first.markReady()
	}
	return d
}

// Ready is closed when the consumer of every notifier that the Dispatcher was made with exists: whatever is logged from
// then on reaches each of them. At the first start, nothing may be logged before. If Run ends first, Ready is never closed,
// so wait for both.
func (d *Dispatcher) Ready() <-chan struct{} { return d.first.ready }

// Use makes a running Dispatcher work by other settings. A notifier whose name stays goes on where it was, with its new
// route from the next notice on; one that is gone finishes what it has under way and is told no more; a new one hears of
// what is logged after Use has returned. An error means that ctx ended before Run took notice, and that nothing changes.
// When ctx ends after that, Use returns as well, and new notifiers hear of what comes later.
func (d *Dispatcher) Use(ctx context.Context, next Settings) error {
	s := newInForce(next)
	select {
	case d.next <- s:
	case <-ctx.Done():
		return fmt.Errorf("changing the notifiers: %w", ctx.Err())
	}
	select {
	case <-s.ready:
	case <-ctx.Done():
	}
	return nil
}

// Run delivers notices, and runs what notifiers run of their own, until ctx ends, and then returns nil. Call it once.
func (d *Dispatcher) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		servers := map[string]server{}
		for s := d.first; ; {
			d.start(ctx, group, servers, s)
			select {
			case <-ctx.Done():
				return nil
			case s = <-d.next:
				d.adopt(s)
			}
		}
	})
	return group.Wait()
}

// adopt puts settings in force. A notifier that remembers is given its memory before it is told anything.
func (d *Dispatcher) adopt(s *inForce) {
	d.metrics.use(slices.Sorted(maps.Keys(s.routes)))
	before := d.current.Load()
	for name, route := range s.routes {
		if r, ok := route.Notifier.(notify.Remembering); ok && (before == nil || !same(before.routes[name].Notifier, route.Notifier)) {
			r.Remember(newMemory(d.store, name))
		}
	}
	d.current.Store(s)
	if before != nil {
		close(before.replaced)
	}
}

// server is one notifier that is being served, or was the last of its name to be.
type server struct {
	exists chan struct{} // closed when its consumer does
	ended  <-chan struct{}
	stop   context.CancelFunc
	left   chan struct{} // closed when nothing of it is under way any more
}

// start stops serving the notifiers that are gone and starts serving the new ones. One whose name is there again waits
// for what was under way under the name.
func (d *Dispatcher) start(ctx context.Context, group *errgroup.Group, servers map[string]server, s *inForce) {
	var all []server
	for name, running := range servers {
		if _, stays := s.routes[name]; !stays {
			running.stop()
		}
	}
	for name := range s.routes {
		last, known := servers[name]
		if !known || isOver(last.ended) {
			servers[name] = d.launch(ctx, group, name, last.left)
		}
		all = append(all, servers[name])
	}
	group.Go(func() error { return awaitConsumers(ctx, s, all) })
}

func (d *Dispatcher) launch(ctx context.Context, group *errgroup.Group, name string, before <-chan struct{}) server {
	serving, stop := context.WithCancel(ctx)
	s := server{make(chan struct{}), serving.Done(), stop, make(chan struct{})}
	group.Go(func() error {
		defer close(s.left)
		if before != nil {
			<-before
		}
		return d.serve(serving, name, func() { close(s.exists) })
	})
	return s
}

func isOver(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// awaitConsumers marks settings as ready once every consumer exists. It does not wait for a notifier that is gone
// meanwhile.
func awaitConsumers(ctx context.Context, s *inForce, servers []server) error {
	for _, one := range servers {
		select {
		case <-one.exists:
		case <-one.ended:
		}
	}
	if ctx.Err() == nil {
		s.markReady()
	}
	return nil
}

// workers is how many entries a notifier takes at once: enough that while the channel is slow to take those that are told
// alone, one worker is free to put the rest into a group.
const workers = defaultBurst + 2

// Consumer is the durable consumer of the log that the notifier of a configured name has.
func Consumer(name string) queue.Consumer {
	return queue.Consumer{Stream: queue.Incidents, Name: "notify-" + name, Workers: workers, New: true}
}

// serve serves one notifier until ctx ends: alone, where other processes could as well.
func (d *Dispatcher) serve(ctx context.Context, name string, exists func()) error {
	err := d.store.Prepare(ctx, Consumer(name))
	if err == nil {
		exists()
		if d.shared {
			held := lease.New(d.store, queue.LeaseSubject(name), d.log.With("notifier", name))
			held.Hold(ctx, func(ctx context.Context) error { return d.send(ctx, name) })
		} else {
			err = d.send(ctx, name)
		}
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving notifier %s: %w", name, err)
	}
	return nil
}

// send tells one notifier what it wants to hear of, and runs what the notifier runs of its own.
func (d *Dispatcher) send(ctx context.Context, name string) error {
	r, err := loadRecord(ctx, d.store, name)
	if err != nil {
		return err
	}
	s := newSender(&teller{
		name: name, store: d.store, current: &d.current, sightings: d.sightings, log: d.log, metrics: d.metrics, tracer: d.tracer,
		record: r, telling: make(chan struct{}, 1),
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.run(ctx) })
	group.Go(func() error { return d.store.Work(ctx, Consumer(name), s.handle) })
	group.Go(func() error { d.runOwn(ctx, name); return nil })
	return group.Wait()
}

// runOwn runs the work that the notifier of a name has of its own, until ctx ends. When another notifier takes the name,
// its work takes the place.
func (d *Dispatcher) runOwn(ctx context.Context, name string) {
	for ctx.Err() == nil {
		s := d.current.Load()
		notifier := s.routes[name].Notifier
		running, stop := context.WithCancel(ctx)
		var work sync.WaitGroup
		work.Go(func() { d.work(running, name, notifier) })
		for stays := true; stays && ctx.Err() == nil; stays = same(s.routes[name].Notifier, notifier) {
			select {
			case <-s.replaced:
				s = d.current.Load()
			case <-ctx.Done():
			}
		}
		stop()
		work.Wait()
	}
}

// work runs a notifier's own work. When that ends in an error, only the log says so: a channel that fails does not end what
// contains keys.
func (d *Dispatcher) work(ctx context.Context, name string, n notify.Notifier) {
	work, ok := n.(notify.Runner)
	if !ok {
		return
	}
	if err := guarded(ctx, work); err != nil {
		d.log.Error("own work of a notifier has ended", "notifier", name, "err", err)
	}
}

// guarded runs a notifier's own work. Of the value of a panic, which may hold anything, only the type is told.
func guarded(ctx context.Context, r notify.Runner) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("it panicked with a %T at %s", value, debug.Stack())
		}
	}()
	return r.Run(ctx)
}
