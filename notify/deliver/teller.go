package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"stanch/notify"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
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

// teller tells one notifier, one notice at a time, and records each on disk before the next, so that a crash repeats one at
// most.
type teller struct {
	name      string
	store     queue.Store
	current   *atomic.Pointer[inForce]
	sightings func(context.Context, leak.Incident) ([]leak.Sighting, error)
	log       *slog.Logger
	metrics   *metrics
	tracer    trace.Tracer

	record  *record
	telling chan struct{} // held by whoever tells
}

// errGone keeps a notice in the notifier's consumer, for when there is a notifier of that name again.
var errGone = errors.New("the notifier is gone")

func (t *teller) count(r result) { t.metrics.count(t.name, r) }

// unreadable says that nobody is told of an entry of the log.
func (t *teller) unreadable(ctx context.Context, seq uint64) {
	t.log.ErrorContext(ctx, "entry of the log is unreadable, nobody is told of it", "notifier", t.name, "seq", seq)
	t.count(unreadable)
}

// one tells the notice of one entry by the settings given, unless it was told already. An error means that it is to be tried
// again after the wait.
func (t *teller) one(ctx context.Context, seq uint64, so *tries, settings *inForce, e leak.Entry) (wait time.Duration, err error) {
	route := settings.routes[t.name]
	notice, _ := settings.audience(route.Notifier).Notice(e, t.lookUp(ctx, e.Incident))
	notice = t.written(ctx, route, notice)
	err = t.exclusively(ctx, func() error {
		if t.record.has(seq) {
			return nil
		}
		if err := t.attempt(ctx, route.Notifier, notice); err != nil {
			return err
		}
		t.count(delivered)
		t.note(ctx, func(p *progress) { p.add(time.Now(), seq) })
		return nil
	})
	return t.settle(ctx, so, notice, err)
}

// many tells a group, as far as it was not told already. It is announced on disk before, so that the same entries make
// the same notice after a crash, and noted as told after. An error means that it is to be tried again after the wait.
func (t *teller) many(ctx context.Context, g *group) (wait time.Duration, err error) {
	settings := t.current.Load()
	route, ok := settings.routes[t.name]
	if !ok {
		return t.settle(ctx, &g.tries, notify.Notice{}, errGone)
	}
	var notice notify.Notice
	err = t.exclusively(ctx, func() error {
		g.release(t.record.has)
		if len(g.members) > 0 {
			trying, cancel := queue.Draining(ctx)
			defer cancel()
			t.announce(trying, g)
			notice = t.written(trying, route, t.compose(trying, settings, route, g))
			if err := t.attempt(trying, route.Notifier, notice, g.origins()...); err != nil {
				return err
			}
			t.count(delivered)
		}
		t.note(ctx, func(p *progress) {
			p.add(time.Now(), g.seqs()...)
			p.Announced = nil
		})
		return nil
	})
	return t.settle(ctx, &g.tries, notice, err)
}

// exclusively has something told when nothing else is.
func (t *teller) exclusively(ctx context.Context, tell func() error) error {
	select {
	case t.telling <- struct{}{}:
		defer func() { <-t.telling }()
		return tell()
	case <-ctx.Done():
		return fmt.Errorf("waiting for notices before: %w", ctx.Err())
	}
}

// announce notes on disk what is about to be told together.
func (t *teller) announce(ctx context.Context, g *group) {
	if g.announced == nil {
		g.announced = g.announcement()
		t.note(ctx, func(p *progress) { p.Announced = g.announced })
	}
}

// note changes the record. A failure is logged only: what it risks is a notice that comes again.
func (t *teller) note(ctx context.Context, change func(*progress)) {
	if err := t.record.change(ctx, change); err != nil {
		t.log.ErrorContext(ctx, "a notice may come again", "notifier", t.name, "err", err)
	}
}

// settle counts what became of a try. An error means that there is to be another one after the wait.
func (t *teller) settle(ctx context.Context, so *tries, n notify.Notice, err error) (wait time.Duration, again error) {
	wait, over := so.after(err)
	switch {
	case err == nil:
		return 0, nil
	case over:
		t.count(dropped)
		t.log.ErrorContext(ctx, "notice given up, the channel refuses it",
			"notifier", t.name, "incident", n.Incident.ID, "count", n.Count, "err", err)
		return 0, nil
	}
	t.count(retried)
	return wait, err
}

// tries is how often telling a notice has failed so far.
type tries struct{ failed, refused int }

// refusedDelays is how long a notice that was refused waits before each further try; after the last it is given up.
var refusedDelays = []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 16 * time.Hour}

// after says how long to wait after a try, or that it is over: no further try is worth it.
func (t *tries) after(err error) (wait time.Duration, over bool) {
	if err == nil {
		return 0, false
	}
	t.failed++
	if _, ok := errors.AsType[*notify.Refused](err); !ok {
		return delay(t.failed, err), false
	}
	t.refused++
	if t.refused > len(refusedDelays) {
		return 0, true
	}
	return refusedDelays[t.refused-1], false
}

// delay is how long a notice waits after the nth try has failed. Up to a fifth is added, so that what was refused together
// does not come back together; a channel that asked for more time gets it.
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

// compose makes the notice of a group. One incident alone gets a notice of its own.
func (t *teller) compose(ctx context.Context, s *inForce, route Route, g *group) notify.Notice {
	audience, entries := s.audience(route.Notifier), g.newest()
	if len(entries) > 1 {
		return audience.Group(g.announced.ID, entries)
	}
	notice, _ := audience.Notice(entries[0], t.lookUp(ctx, entries[0].Incident))
	return notice
}

// written is a notice in the operator's own words, where there are some and they work.
func (t *teller) written(ctx context.Context, route Route, n notify.Notice) notify.Notice {
	own, err := route.Words.Write(n)
	if err != nil {
		t.log.WarnContext(ctx, "template of a notifier does not work, the notice goes without",
			"notifier", t.name, "incident", n.Incident.ID, "err", err)
		t.metrics.countUnsure(t.name)
		return n
	}
	return own
}

// lookUp finds where the key was seen; nil when that cannot be had now, which is no reason to stay silent.
func (t *teller) lookUp(ctx context.Context, i leak.Incident) []leak.Sighting {
	if t.sightings == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	seen, err := t.sightings(ctx, i)
	if err != nil {
		t.log.WarnContext(ctx, "sightings are not available, the notice goes without", "incident", i.ID, "err", err)
		return nil
	}
	if seen == nil {
		return []leak.Sighting{}
	}
	return seen
}

// attempt tries once, in the trace of the reconcile that it tells of, or with links to those of several. A notifier that
// panics has not delivered; of the panic's value, which may hold anything, only the type is told.
func (t *teller) attempt(ctx context.Context, n notify.Notifier, notice notify.Notice, origins ...trace.SpanContext) (err error) {
	ctx, s := span.Continue(ctx, t.tracer, "notice", origins...)
	t.trace(s, notice)
	defer func() { s.End(err) }()
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("the notifier panicked with a %T", value)
			t.log.ErrorContext(ctx, "notifier panicked",
				"notifier", t.name, "incident", notice.Incident.ID, "err", err, "stack", string(debug.Stack()))
		}
	}()
	return n.Notify(ctx, notice)
}

// trace says in its span what a notice is about. A group has no incident of the log.
func (t *teller) trace(s span.Span, n notify.Notice) {
	s.Set(span.Notifier, t.name)
	if n.Count > 0 {
		s.SetInt(span.Count, n.Count)
		return
	}
	s.Set(span.Incident, string(n.Incident.ID))
	s.Set(span.State, string(n.Incident.State))
}
