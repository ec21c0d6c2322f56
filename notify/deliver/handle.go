package deliver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/trace"

	"stanch/notify"
	"stanch/notify/compose"
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

// handle tells one notifier of one entry of the log, or leaves it to be told with others. The queue brings the entry back
// as the error says.
func (l *lane) handle(ctx context.Context, m queue.Message) error {
	settings := l.current.Load()
	route, ok := settings.routes[l.name]
	if !ok {
		return errGone
	}
	entry, err := leak.Read[leak.Entry](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return queue.LeftToNewer(err)
	case err != nil:
		l.log.ErrorContext(ctx, "entry of the log is unreadable, nobody is told of it", "notifier", l.name, "seq", m.Seq)
		l.metrics.count(l.name, unreadable)
		return nil
	}
	if l.told(m.Seq) || !l.wants(ctx, route, entry) {
		return nil
	}
	alone, verdict := l.take(m.Seq, gathered{entry: entry, origin: trace.SpanContextFromContext(ctx)}, route.burst())
	switch {
	case alone != nil:
		notice, _ := settings.audience(route.Notifier).Notice(entry, l.lookUp(ctx, entry.Incident))
		return l.tellAlone(ctx, m.Seq, alone, route, l.written(ctx, route, notice))
	case verdict != nil:
		l.metrics.count(l.name, gatherings)
		return &queue.Postponed{Verdict: verdict}
	}
	return &queue.Later{Delay: max(fullDelay, delay(m.Delivered, nil)), Err: errFull}
}

// wants reports whether an entry is news for the notifier: its condition says so, or it remembers the incident, so that
// who was told how it began is told how it goes on, and what was opened is settled. A condition that cannot be evaluated
// keeps nothing from it: a notice too many is better than none.
func (l *lane) wants(ctx context.Context, route Route, e leak.Entry) bool {
	if !compose.News(e) || e.Incident.State == leak.Open && !follows(route.Notifier) {
		return false
	}
	if route.When == nil {
		return true
	}
	wanted, err := route.When(e.Incident)
	if err != nil {
		l.log.WarnContext(ctx, "condition of a notifier cannot be evaluated, the notice goes",
			"notifier", l.name, "incident", e.Incident.ID, "err", err)
		l.metrics.countUnsure(l.name)
		return true
	}
	if wanted || l.remembers(ctx, route.Notifier, e.Incident.ID) {
		return true
	}
	l.metrics.count(l.name, skipped)
	return false
}

// remembers reports whether a notifier knows of an incident. When that cannot be found out, it is taken to.
func (l *lane) remembers(ctx context.Context, n notify.Notifier, incident leak.Fingerprint) bool {
	if _, ok := n.(notify.Remembering); !ok {
		return false
	}
	text, err := newMemory(l.store, l.name).Load(ctx, incident)
	return err != nil || text != ""
}

func follows(n notify.Notifier) bool {
	f, ok := n.(notify.Follower)
	return ok && f.Follows()
}

// written is a notice in the operator's own words, where there are some that can be had.
func (l *lane) written(ctx context.Context, route Route, n notify.Notice) notify.Notice {
	own, err := route.Words.Write(n)
	if err != nil {
		l.log.WarnContext(ctx, "template of a notifier does not work, the notice goes without",
			"notifier", l.name, "incident", n.Incident.ID, "err", err)
		l.metrics.countUnsure(l.name)
		return n
	}
	return own
}

// errFull keeps an entry in the notifier's consumer until there is room among what is gathered.
var errFull = errors.New("too much is gathered already")

// errGone keeps a notice in the notifier's consumer, for when there is a notifier of that name again.
var errGone = errors.New("the notifier is gone")

// lookUp finds where the key was seen; nil when that cannot be had now, which is no reason to stay silent.
func (d *Dispatcher) lookUp(ctx context.Context, i leak.Incident) []leak.Sighting {
	if d.sightings == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	seen, err := d.sightings(ctx, i)
	if err != nil {
		d.log.WarnContext(ctx, "sightings are not available, the notice goes without", "incident", i.ID, "err", err)
		return nil
	}
	if seen == nil {
		return []leak.Sighting{}
	}
	return seen
}

// attempt tries once, in the trace of the turn that is told of, or with links to those of several. A notifier that panics
// has not delivered; of the panic's value, which may hold anything, only the type is told.
func (l *lane) attempt(ctx context.Context, n notify.Notifier, notice notify.Notice, origins ...trace.SpanContext) (err error) {
	ctx, s := span.Continue(ctx, l.tracer, "notice", origins...)
	l.trace(s, notice)
	defer func() { s.End(err) }()
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("the notifier panicked with a %T", value)
			l.log.ErrorContext(ctx, "notifier panicked",
				"notifier", l.name, "incident", notice.Incident.ID, "err", err, "stack", string(debug.Stack()))
		}
	}()
	return n.Notify(ctx, notice)
}

// trace says in its span what a notice is about. One that gathers several has no incident of the log.
func (l *lane) trace(s span.Span, n notify.Notice) {
	s.Set(span.Notifier, l.name)
	if n.Count > 0 {
		s.SetInt(span.Count, n.Count)
		return
	}
	s.Set(span.Incident, string(n.Incident.ID))
	s.Set(span.State, string(n.Incident.State))
}

// delay is how long a notice waits after the nth try did not succeed. Up to a fifth is added, so that what was
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
