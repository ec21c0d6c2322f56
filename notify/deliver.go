package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

const (
	// notifyTimeout bounds one attempt: a channel that has not answered by then is slower than a new attempt.
	notifyTimeout = 30 * time.Second
	// lookupTimeout bounds the search for sightings. A notice without them is worth more than a late one.
	lookupTimeout = 5 * time.Second

	// A notice that was not delivered is tried again after firstDelay, doubled each time up to lastDelay. A channel that
	// asks for more is left alone for that long, up to longestPause.
	firstDelay   = time.Second
	lastDelay    = 10 * time.Minute
	longestPause = time.Hour
)

// handle tells one notifier of one entry of the log. The queue brings the entry back as the error says.
func (d *Dispatcher) handle(ctx context.Context, name string, m queue.Message) error {
	terms := d.current.Load()
	route, ok := terms.routes[name]
	if !ok {
		return errGone
	}
	entry, ok := decode(m.Data)
	if !ok {
		// The error would quote the entry, so it is not logged.
		d.log.Error("entry of the log is unreadable, nobody is told of it", "notifier", name, "seq", m.Seq)
		d.metrics.count(name, unreadable)
		return nil
	}
	if _, ok := outcome(entry); !ok {
		return nil
	}
	if route.When != nil && !route.When(entry.Incident) {
		d.metrics.count(name, skipped)
		return nil
	}
	notice, _ := Compose(entry, d.lookUp(ctx, entry.Incident), terms.externalURL)
	if err := d.attempt(ctx, route.Notifier, notice); err != nil {
		d.metrics.count(name, retried)
		return &queue.Later{Delay: delay(m.Delivered, err), Err: fmt.Errorf("telling notifier %s: %w", name, err)}
	}
	d.metrics.count(name, delivered)
	return nil
}

// errGone keeps a notice in the notifier's consumer, for when there is a notifier of that name again.
var errGone = errors.New("the notifier is gone")

func decode(data []byte) (leak.Entry, bool) {
	var entry leak.Entry
	err := json.Unmarshal(data, &entry)
	return entry, err == nil && entry.V == 1
}

// lookUp finds where the key was seen; nil when that cannot be had now, which is no reason to stay silent.
func (d *Dispatcher) lookUp(ctx context.Context, i leak.Incident) []leak.Sighting {
	if d.sightings == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	seen, err := d.sightings(ctx, i)
	if err != nil {
		d.log.Warn("sightings are not available, the notice goes without", "incident", i.ID, "err", err)
		return nil
	}
	if seen == nil {
		return []leak.Sighting{}
	}
	return seen
}

// attempt tries once. A notifier that panics has not delivered; of the panic's value, which may hold anything, only the
// type is told.
func (d *Dispatcher) attempt(ctx context.Context, n Notifier, notice Notice) (err error) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("the notifier panicked with a %T", value)
			d.log.Error("notifier panicked", "incident", notice.Incident.ID, "err", err, "stack", string(debug.Stack()))
		}
	}()
	return n.Notify(ctx, notice)
}

// delay is how long a notice waits after the nth attempt did not succeed. Up to a fifth is added, so that what was
// refused together does not come back together; a channel that asked for more time gets it.
func delay(attempts int, err error) time.Duration {
	wait := lastDelay
	if n := max(attempts, 1) - 1; n < 10 {
		wait = min(firstDelay<<n, lastDelay)
	}
	if throttled, ok := errors.AsType[*leak.Throttled](err); ok {
		wait = max(wait, min(throttled.After, longestPause))
	}
	return wait + rand.N(wait/5)
}
