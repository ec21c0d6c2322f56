package notify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// terms are what a Dispatcher works by, and change as one. A notice that is under way ends by those that it began with.
type terms struct {
	routes      map[string]Route
	externalURL string
	ready       chan struct{} // closed when the consumer of every route exists
	settled     func()        // closes it
}

func newTerms(routes map[string]Route, externalURL string) *terms {
	ready := make(chan struct{})
	return &terms{
		routes: maps.Clone(routes), externalURL: strings.TrimRight(externalURL, "/"),
		ready: ready, settled: sync.OnceFunc(func() { close(ready) }),
	}
}

// Use makes a running Dispatcher tell other notifiers, and link to another URL. A notifier whose name stays goes on
// where it was, with its new route from the next notice on; one that is gone ends what it has under way and is told no
// more; a new one hears of what is logged after Use has returned. An error means that ctx ended before Run took notice,
// and that nothing changes. When ctx ends after that Use returns as well, and new notifiers hear of what comes later.
func (d *Dispatcher) Use(ctx context.Context, routes map[string]Route, externalURL string) error {
	t := newTerms(routes, externalURL)
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

func (d *Dispatcher) adopt(t *terms) {
	d.metrics.use(slices.Sorted(maps.Keys(t.routes)))
	d.current.Store(t)
}

// server is one notifier that is being served.
type server struct {
	exists chan struct{} // closed when its consumer does
	ended  <-chan struct{}
	stop   context.CancelFunc
}

// start stops serving the notifiers that are gone and starts serving the new ones.
func (d *Dispatcher) start(ctx context.Context, group *errgroup.Group, running map[string]server, t *terms) {
	maps.DeleteFunc(running, func(name string, s server) bool {
		_, stays := t.routes[name]
		if !stays {
			s.stop()
		}
		return !stays
	})
	for name := range t.routes {
		if _, runs := running[name]; runs {
			continue
		}
		serving, stop := context.WithCancel(ctx)
		s := server{make(chan struct{}), serving.Done(), stop}
		running[name] = s
		group.Go(func() error { return d.serve(serving, name, func() { close(s.exists) }) })
	}
	servers := slices.Collect(maps.Values(running))
	group.Go(func() error { return t.settle(ctx, servers) })
}

// settle says when the terms are ready. A notifier that is gone meanwhile is not waited for.
func (t *terms) settle(ctx context.Context, servers []server) error {
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
