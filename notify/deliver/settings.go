package deliver

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"stanch/notify"
	"stanch/notify/compose"
	"stanch/receiver/leak"
)

// Settings are what a [Dispatcher] works by, and change as one.
type Settings struct {
	Routes      map[string]Route // by configured name of the notifier; none: nobody is told
	ExternalURL string           // of the private listener; empty: notices have no link
	// Partner reports whether a source, by its configured name, is a partner's: where its alerts saw a key is not told to an
	// [notify.Outsider]. Nil: no source is.
	Partner func(source string) bool
}

// settings are those in force. A notice that is under way ends by those that it began with.
type settings struct {
	Settings
	routes   map[string]Route
	ready    chan struct{} // closed when the consumer of every route exists
	settled  func()        // closes it
	replaced chan struct{} // closed when others are in force
}

func newSettings(t Settings) *settings {
	ready := make(chan struct{})
	return &settings{
		Settings: t, routes: maps.Clone(t.Routes), ready: ready, settled: sync.OnceFunc(func() { close(ready) }),
		replaced: make(chan struct{}),
	}
}

// audience is whom notices for a notifier are composed for.
func (s Settings) audience(n notify.Notifier) compose.Audience {
	a := compose.Audience{ExternalURL: s.ExternalURL}
	if o, ok := n.(notify.Outsider); ok && o.Outside() {
		a.Withholds = s.Partner
	}
	return a
}

// Preview returns the notice of an incident that a notifier would be told now, of its newest step that is news; empty: a
// notifier of our own without templates. It reports false when none of the steps is. The error is that of [compose.Words.Write].
func (s Settings) Preview(notifier string, i leak.Incident, steps []leak.Step, seen []leak.Sighting) (notify.Notice, bool, error) {
	route := s.Routes[notifier]
	for at := range slices.Backward(steps) {
		e := leak.Entry{V: 1, ID: "preview", Steps: steps[at : at+1], Incident: i}
		if n, ok := s.audience(route.Notifier).Notice(e, seen); ok {
			n, err := route.Words.Write(n)
			return n, true, err
		}
	}
	return notify.Notice{}, false, nil
}

// Use makes a running Dispatcher work by other settings. A notifier whose name stays goes on where it was, with its new
// route from the next notice on; one that is gone ends what it has under way and is told no more; a new one hears of what
// is logged after Use has returned. An error means that ctx ended before Run took notice, and that nothing changes. When
// ctx ends after that Use returns as well, and new notifiers hear of what comes later.
func (d *Dispatcher) Use(ctx context.Context, next Settings) error {
	t := newSettings(next)
	select {
	case d.next <- t:
	case <-ctx.Done():
		return fmt.Errorf("changing the notifiers: %w", ctx.Err())
	}
	select {
	case <-t.ready:
	case <-ctx.Done():
	}
	return nil
}

// adopt puts settings in force. A notifier that remembers is given its memory before it is told anything.
func (d *Dispatcher) adopt(t *settings) {
	d.metrics.use(slices.Sorted(maps.Keys(t.routes)))
	before := d.current.Load()
	for name, route := range t.routes {
		if r, ok := route.Notifier.(notify.Remembering); ok && (before == nil || !same(before.routes[name].Notifier, route.Notifier)) {
			r.Remember(newMemory(d.store, name))
		}
	}
	d.current.Store(t)
	if before != nil {
		close(before.replaced)
	}
}

// same reports whether two notifiers are one.
func same(a, b notify.Notifier) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
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
func (d *Dispatcher) start(ctx context.Context, group *errgroup.Group, servers map[string]server, t *settings) {
	var all []server
	for name, s := range servers {
		if _, stays := t.routes[name]; !stays {
			s.stop()
		}
	}
	for name := range t.routes {
		last, known := servers[name]
		if !known || isOver(last.ended) {
			servers[name] = d.launch(ctx, group, name, last.left)
		}
		all = append(all, servers[name])
	}
	group.Go(func() error { return t.settle(ctx, all) })
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

// settle says when the settings are ready. A notifier that is gone meanwhile is not waited for.
func (t *settings) settle(ctx context.Context, servers []server) error {
	for _, s := range servers {
		select {
		case <-s.exists:
		case <-s.ended:
		}
	}
	if ctx.Err() == nil {
		t.settled()
	}
	return nil
}
