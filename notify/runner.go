package notify

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// runner is a notifier that does work of its own.
type runner struct {
	notifier Notifier
	stop     context.CancelFunc
}

// startRunners stops the work of notifiers that are gone, or that others have taken the place of, and starts that of the
// new ones.
func (d *Dispatcher) startRunners(ctx context.Context, group *errgroup.Group, runners map[string]runner, t *terms) {
	maps.DeleteFunc(runners, func(name string, r runner) bool {
		stays := same(t.routes[name].Notifier, r.notifier)
		if !stays {
			r.stop()
		}
		return !stays
	})
	for name, route := range t.routes {
		work, ok := route.Notifier.(Runner)
		if _, runs := runners[name]; runs || !ok {
			continue
		}
		running, stop := context.WithCancel(ctx)
		runners[name] = runner{route.Notifier, stop}
		group.Go(func() error {
			defer stop()
			if err := guarded(running, work); err != nil {
				d.log.Error("own work of a notifier has ended", "notifier", name, "err", err)
			}
			return nil // a channel that fails does not end what contains keys
		})
	}
}

// guarded runs a notifier's own work. Of the value of a panic, which may hold anything, only the type is told.
func guarded(ctx context.Context, r Runner) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("it panicked with a %T at %s", value, debug.Stack())
		}
	}()
	return r.Run(ctx)
}
