package deliver

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"stanch/notify"
)

// runOwn runs the work that the notifier of a name has of its own, until ctx ends. When another notifier takes the name,
// its work takes the place.
func (d *Dispatcher) runOwn(ctx context.Context, name string) {
	for ctx.Err() == nil {
		t := d.current.Load()
		notifier := t.routes[name].Notifier
		running, stop := context.WithCancel(ctx)
		var work sync.WaitGroup
		work.Go(func() { d.work(running, name, notifier) })
		for stays := true; stays && ctx.Err() == nil; stays = same(t.routes[name].Notifier, notifier) {
			select {
			case <-t.replaced:
				t = d.current.Load()
			case <-ctx.Done():
			}
		}
		stop()
		work.Wait()
	}
}

// work runs a notifier's own work. That it ends is told: a channel that fails does not end what contains keys.
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
