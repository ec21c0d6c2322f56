package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"stanch/notify"
	"stanch/notify/compose"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

const (
	// defaultBurst is how many notices a minute a channel is told one by one, unless its route says otherwise.
	defaultBurst = 10
	// quiet is how long nothing may have joined a group before notices are told one by one again.
	quiet = time.Minute
	// firstWindow is how long the first group of a flood takes in entries; each that follows takes twice as long, up
	// to lastWindow. A critical entry waits for criticalWindow at most.
	firstWindow    = 10 * time.Second
	lastWindow     = 5 * time.Minute
	criticalWindow = 30 * time.Second
	// maxGroup is how many entries a group holds. An entry that finds no room waits for fullDelay at least.
	maxGroup  = 1000
	fullDelay = 30 * time.Second
	// returnWindow is how long a group that a crash interrupted waits for its entries: they come back when their
	// acknowledgement is overdue, a minute after they were handed out.
	returnWindow = 90 * time.Second
)

// sender decides what one notifier is told one by one, and what is too much and waits for a group. It has the teller tell
// each when it is due.
type sender struct {
	tell *teller

	mu          sync.Mutex
	alone       map[uint64]*tries // entries that are told one by one and not yet told
	limiter     *rate.Limiter     // of these
	open        *group            // takes in what is too much; nil: nothing is
	closed      *group            // goes first: it is full, or a crash or a failure interrupted it; while there is one, open is not told
	aside       []*group          // were refused and are tried again, or were full while another was told
	window      time.Duration     // of the newest group
	lastGrouped time.Time         // when an entry joined a group last
	changed     chan struct{}     // says that a group is due at another time
}

// newSender returns a sender that goes on with the group that was about to be told when the notifier was served last.
func newSender(t *teller) *sender {
	s := &sender{tell: t, alone: map[uint64]*tries{}, limiter: rate.NewLimiter(0, 0), changed: make(chan struct{}, 1)}
	if announced := t.record.announced(); announced != nil {
		s.closed = newGroup(time.Now().Add(returnWindow))
		s.closed.announced = announced
	}
	return s
}

// handle tells the notifier of one entry of the log, or leaves it to a group. The queue brings the entry back as the
// error says.
func (s *sender) handle(ctx context.Context, m queue.Message) error {
	settings := s.tell.current.Load()
	route, ok := settings.routes[s.tell.name]
	if !ok {
		return errGone
	}
	entry, err := leak.Read[leak.Entry](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return queue.LeftToNewer(err)
	case err != nil:
		s.tell.unreadable(ctx, m.Seq)
		return nil
	}
	if s.tell.record.has(m.Seq) || !s.wants(ctx, route, entry) {
		return nil
	}
	alone, done := s.take(m.Seq, member{entry: entry, origin: trace.SpanContextFromContext(ctx)}, route.burst())
	switch {
	case alone != nil:
		return s.tellAlone(ctx, m.Seq, alone, settings, entry)
	case done != nil:
		s.tell.count(grouped)
		return &queue.Postponed{Verdict: done}
	}
	return &queue.Later{Delay: max(fullDelay, delay(m.Delivered, nil)), Err: errFull}
}

// errFull keeps an entry in the notifier's consumer until a group has room.
var errFull = errors.New("no group has room")

// wants reports whether an entry is news for the notifier: its condition says so, or it remembers the incident, so that
// whoever was told how it began is told how it goes on, and what was opened is settled. A condition that cannot be
// evaluated keeps nothing from it: a notice too many is better than none.
func (s *sender) wants(ctx context.Context, route Route, e leak.Entry) bool {
	if !compose.News(e) || e.Incident.State == leak.Open && !follows(route.Notifier) {
		return false
	}
	if route.When == nil {
		return true
	}
	wanted, err := route.When(e.Incident)
	if err != nil {
		s.tell.log.WarnContext(ctx, "condition of a notifier cannot be evaluated, the notice goes",
			"notifier", s.tell.name, "incident", e.Incident.ID, "err", err)
		s.tell.metrics.countUnsure(s.tell.name)
		return true
	}
	if wanted || s.remembers(ctx, route.Notifier, e.Incident.ID) {
		return true
	}
	s.tell.count(skipped)
	return false
}

// remembers reports whether a notifier knows of an incident. When that cannot be found out, it counts as known.
func (s *sender) remembers(ctx context.Context, n notify.Notifier, incident leak.Fingerprint) bool {
	if _, ok := n.(notify.Remembering); !ok {
		return false
	}
	text, err := newMemory(s.tell.store, s.tell.name).Load(ctx, incident)
	return err != nil || text != ""
}

func follows(n notify.Notifier) bool {
	f, ok := n.(notify.Follower)
	return ok && f.Follows()
}

// take decides whether an entry is told alone. Otherwise it joins a group, and done yields when the group was told;
// without either, no group has room.
func (s *sender) take(seq uint64, m member, burst int) (alone *tries, done <-chan error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed != nil && s.closed.expects(seq):
		waiting := !s.closed.complete()
		done = s.closed.add(seq, m)
		if waiting && s.closed.complete() {
			s.closed.due = time.Now()
		}
	case s.alone[seq] != nil:
		return s.alone[seq], nil
	case s.open == nil && s.calm(burst):
		s.alone[seq] = new(tries)
		return s.alone[seq], nil
	default:
		done = s.join(seq, m)
	}
	s.wake()
	return nil, done
}

// calm reports whether one more may be told alone, and counts it. The lock is held.
func (s *sender) calm(burst int) bool {
	if s.limiter.Burst() != burst { // the first time, or the configuration has changed
		s.limiter = rate.NewLimiter(rate.Limit(float64(burst)/time.Minute.Seconds()), burst)
	}
	return time.Since(s.lastGrouped) >= quiet && len(s.alone) < burst && s.limiter.Allow()
}

// join takes an entry into the open group, or returns nil when there is no room. The lock is held.
func (s *sender) join(seq uint64, m member) <-chan error {
	now := time.Now()
	if s.open != nil && len(s.open.members) == maxGroup {
		if s.closed != nil {
			return nil
		}
		s.open.due = now
		s.closed, s.open = s.open, nil
	}
	if s.open == nil {
		if now.Sub(s.lastGrouped) >= quiet {
			s.window = firstWindow / 2
		}
		s.window = min(2*s.window, lastWindow)
		s.open = newGroup(now.Add(s.window))
	}
	s.lastGrouped = now
	if soon := now.Add(criticalWindow); m.entry.Incident.Severity == leak.Critical && soon.Before(s.open.due) {
		s.open.due = soon
	}
	return s.open.add(seq, m)
}

// wake makes run look again when groups are due.
func (s *sender) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// run tells groups when they are due, until ctx ends.
func (s *sender) run(ctx context.Context) error {
	for ctx.Err() == nil {
		g, wait := s.due()
		if g != nil {
			s.tellGroup(ctx, g)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// due takes a group that is due, or says for how long none will be. A closed group goes before the open one.
func (s *sender) due() (*group, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, wait := &s.open, time.Hour
	if s.closed != nil {
		next = &s.closed
	}
	if g := *next; g != nil {
		if wait = time.Until(g.due); wait <= 0 {
			*next = nil
			return g, 0
		}
	}
	for i, g := range s.aside {
		if time.Until(g.due) <= 0 {
			s.aside = slices.Delete(s.aside, i, i+1)
			return g, 0
		}
		wait = min(wait, time.Until(g.due))
	}
	return nil, wait
}

// tellAlone has one entry told, and has the queue bring it back when it is to be tried again.
func (s *sender) tellAlone(ctx context.Context, seq uint64, t *tries, settings *inForce, e leak.Entry) error {
	if wait, err := s.tell.one(ctx, seq, t, settings, e); err != nil {
		return &queue.Later{Delay: wait, Err: fmt.Errorf("telling notifier %s: %w", s.tell.name, err)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.alone, seq)
	return nil
}

// tellGroup has a group told, and puts it back when it is to be tried again.
func (s *sender) tellGroup(ctx context.Context, g *group) {
	wait, err := s.tell.many(ctx, g)
	if err == nil {
		g.conclude()
		return
	}
	s.tell.log.DebugContext(ctx, "group of notices is told later",
		"notifier", s.tell.name, "count", len(g.members), "after", wait, "err", err)
	s.putBack(g, err, wait)
}

// putBack makes a group wait. Those after it wait as well, because the channel is probably dead for them too; one that was
// refused is put aside instead, because the channel is probably well.
func (s *sender) putBack(g *group, err error, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.due = time.Now().Add(wait)
	if _, refused := errors.AsType[*notify.Refused](err); refused {
		s.aside = append(s.aside, g)
		return
	}
	if s.closed != nil { // one that was full meanwhile
		s.aside = append(s.aside, s.closed)
	}
	s.closed = g
}
