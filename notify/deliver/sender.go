package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"stanch/notify"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

const (
	// defaultBurst is how many notices a minute a channel is told one by one, unless its route says otherwise.
	defaultBurst = 10
	// calm is for how long nothing may have been gathered before notices are told one by one again.
	calm = time.Minute
	// firstWindow is how long the first gathering of a flood takes in entries; each that follows takes twice as long, up
	// to lastWindow. A critical entry waits for criticalWindow at most.
	firstWindow    = 10 * time.Second
	lastWindow     = 5 * time.Minute
	criticalWindow = 30 * time.Second
	// maxGathered is how many entries a gathering holds; fullDelay, how long those wait at least that found it full.
	maxGathered = 1000
	fullDelay   = 30 * time.Second
	// returnWindow is how long a gathering that a crash cut off is waited for: its entries come back when their
	// acknowledgement is overdue, a minute after they were handed out.
	returnWindow = 90 * time.Second
)

// lane is the way to one notifier. It tells one notice at a time and notes each on disk before the next, so that a crash
// repeats one at most; and it gathers what is too much to tell one by one.
type lane struct {
	*Dispatcher
	name string
	turn chan struct{} // held by whoever tells

	noting sync.Mutex // held while progress changes, until it is on disk

	mu       sync.Mutex
	progress progress          // changed by note only
	alone    map[uint64]*tries // entries that are told one by one and not yet told
	limiter  *rate.Limiter     // of these
	open     *gathering        // takes in what is too much; nil: nothing is
	cut      *gathering        // is full, or was cut off by a crash or a failure; nothing is gathered to the end before it is told
	aside    []*gathering      // were refused and are tried again, or were full while another was told
	window   time.Duration     // of the newest gathering
	stirred  time.Time         // when something was gathered last
	changed  chan struct{}     // tells that a gathering is due at another time
}

func (d *Dispatcher) newLane(ctx context.Context, name string) (*lane, error) {
	p, err := loadProgress(ctx, d.store, name)
	if err != nil {
		return nil, err
	}
	l := &lane{
		Dispatcher: d, name: name, turn: make(chan struct{}, 1), progress: p, alone: map[uint64]*tries{},
		limiter: rate.NewLimiter(0, 0), changed: make(chan struct{}, 1),
	}
	if p.Announced != nil {
		l.cut = newGathering(time.Now().Add(returnWindow))
		l.cut.announced = p.Announced
	}
	return l, nil
}

// burst is how many notices a minute the channel is told one by one.
func (r Route) burst() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return defaultBurst
}

// take decides whether an entry is told alone. Otherwise it is gathered, and the verdict comes when the gathering was
// told; without a verdict there was no room.
func (l *lane) take(seq uint64, e gathered, burst int) (alone *tries, verdict <-chan error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.cut != nil && l.cut.expects(seq):
		waiting := !l.cut.complete()
		verdict = l.cut.add(seq, e)
		if waiting && l.cut.complete() {
			l.cut.due = time.Now()
		}
	case l.alone[seq] != nil:
		return l.alone[seq], nil
	case l.open == nil && l.calm(burst):
		l.alone[seq] = new(tries)
		return l.alone[seq], nil
	default:
		verdict = l.gather(seq, e)
	}
	l.poke()
	return nil, verdict
}

// calm reports whether one more may be told alone, and counts it. The lock is held.
func (l *lane) calm(burst int) bool {
	if l.limiter.Burst() != burst { // the first time, or the configuration has changed
		l.limiter = rate.NewLimiter(rate.Limit(float64(burst)/time.Minute.Seconds()), burst)
	}
	return time.Since(l.stirred) >= calm && len(l.alone) < burst && l.limiter.Allow()
}

// gather takes an entry into the gathering that is open. The lock is held.
func (l *lane) gather(seq uint64, e gathered) <-chan error {
	now := time.Now()
	if l.open != nil && len(l.open.members) == maxGathered {
		if l.cut != nil {
			return nil
		}
		l.open.due = now
		l.cut, l.open = l.open, nil
	}
	if l.open == nil {
		if now.Sub(l.stirred) >= calm {
			l.window = firstWindow / 2
		}
		l.window = min(2*l.window, lastWindow)
		l.open = newGathering(now.Add(l.window))
	}
	l.stirred = now
	if soon := now.Add(criticalWindow); e.entry.Incident.Severity == leak.Critical && soon.Before(l.open.due) {
		l.open.due = soon
	}
	return l.open.add(seq, e)
}

// poke has the times at which gatherings are due looked at again.
func (l *lane) poke() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// run tells gatherings when they are due, until ctx ends.
func (l *lane) run(ctx context.Context) error {
	for ctx.Err() == nil {
		g, wait := l.due()
		if g != nil {
			l.tellGathering(ctx, g)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// due takes a gathering that is due, or says how long none will be. One that was cut off goes before the one that is open.
func (l *lane) due() (*gathering, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, wait := &l.open, time.Hour
	if l.cut != nil {
		next = &l.cut
	}
	if g := *next; g != nil {
		if wait = time.Until(g.due); wait <= 0 {
			*next = nil
			return g, 0
		}
	}
	for i, g := range l.aside {
		if time.Until(g.due) <= 0 {
			l.aside = slices.Delete(l.aside, i, i+1)
			return g, 0
		}
		wait = min(wait, time.Until(g.due))
	}
	return nil, wait
}

// told reports whether an entry was told already, so that it only has to be acknowledged.
func (l *lane) told(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.progress.has(seq)
}

// exclusively has something told when it is its turn.
func (l *lane) exclusively(ctx context.Context, tell func() error) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
		return tell()
	case <-ctx.Done():
		return fmt.Errorf("waiting for notices before: %w", ctx.Err())
	}
}

// note changes how far the notifier has come, on disk. A failure is logged only: what it risks is a notice that comes
// again.
func (l *lane) note(ctx context.Context, change func(*progress)) {
	l.noting.Lock()
	defer l.noting.Unlock()
	l.mu.Lock()
	change(&l.progress)
	p := l.progress
	l.mu.Unlock()
	if err := p.save(ctx, l.store, l.name); err != nil {
		l.log.ErrorContext(ctx, "a notice may come again", "notifier", l.name, "err", err)
	}
}

// tellAlone tells the notice of one entry, once.
func (l *lane) tellAlone(ctx context.Context, seq uint64, t *tries, route Route, notice notify.Notice) error {
	err := l.exclusively(ctx, func() error {
		if l.told(seq) {
			return nil
		}
		if err := l.attempt(ctx, route.Notifier, notice); err != nil {
			return err
		}
		l.metrics.count(l.name, delivered)
		l.note(ctx, func(p *progress) { p.add(time.Now(), seq) })
		return nil
	})
	wait, gone := t.after(err)
	if err == nil || gone {
		l.mu.Lock()
		delete(l.alone, seq)
		l.mu.Unlock()
	}
	switch {
	case err == nil:
		return nil
	case gone:
		l.dropped(ctx, notice, err)
		return nil
	}
	l.metrics.count(l.name, retried)
	return &queue.Later{Delay: wait, Err: fmt.Errorf("telling notifier %s: %w", l.name, err)}
}

// dropped tells of a notice that is given up.
func (l *lane) dropped(ctx context.Context, n notify.Notice, err error) {
	l.metrics.count(l.name, dropped)
	l.log.ErrorContext(ctx, "notice given up, the channel refuses it",
		"notifier", l.name, "incident", n.Incident.ID, "count", n.Count, "err", err)
}

// tries is how often something was tried in vain.
type tries struct{ failed, refused int }

// refusedDelays is how long a notice that was refused waits before each further try; after the last it is given up.
var refusedDelays = []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 16 * time.Hour}

// after says how long to wait after a try, or that no further one is worth it.
func (t *tries) after(err error) (wait time.Duration, gone bool) {
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
