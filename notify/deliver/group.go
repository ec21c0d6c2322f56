package deliver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"stanch/notify"
	"stanch/notify/compose"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// gathering is what is told in one notice of many. While a lane holds it, its lock guards it.
type gathering struct {
	due       time.Time
	members   map[uint64]gathered // by sequence
	announced *announced          // nil: it was not yet
	tries     tries
}

// gathered is one entry that waits for its gathering to be told.
type gathered struct {
	entry   leak.Entry
	origin  trace.SpanContext // of the turn that made it
	verdict chan error
}

func newGathering(due time.Time) *gathering {
	return &gathering{due: due, members: map[uint64]gathered{}}
}

// add takes an entry in. One that comes again, because its acknowledgement was overdue, replaces itself.
func (g *gathering) add(seq uint64, member gathered) <-chan error {
	member.verdict = make(chan error, 1)
	g.members[seq] = member
	return member.verdict
}

// expects reports whether an entry belongs to what was announced before a crash.
func (g *gathering) expects(seq uint64) bool {
	return g.announced != nil && slices.Contains(g.announced.Seqs, seq)
}

// complete reports whether everything has come back that was announced.
func (g *gathering) complete() bool {
	return g.announced == nil || len(g.members) == len(g.announced.Seqs)
}

// conclude settles every member.
func (g *gathering) conclude() {
	for _, m := range g.members {
		m.verdict <- nil
	}
}

// newest are the entries of a gathering, the newest of each incident, by its sequence.
func (g *gathering) newest() []leak.Entry {
	last := map[leak.Fingerprint]uint64{}
	for seq, m := range g.members {
		last[m.entry.Incident.ID] = max(last[m.entry.Incident.ID], seq)
	}
	var entries []leak.Entry
	for _, seq := range slices.Sorted(maps.Values(last)) {
		entries = append(entries, g.members[seq].entry)
	}
	return entries
}

// origins are where the traces of the members stood.
func (g *gathering) origins() []trace.SpanContext {
	var all []trace.SpanContext
	for _, seq := range slices.Sorted(maps.Keys(g.members)) {
		if origin := g.members[seq].origin; origin.IsValid() {
			all = append(all, origin)
		}
	}
	return all
}

// announcement names the members, under an id that is the same whenever the same are gathered.
func (g *gathering) announcement() *announced {
	seqs := slices.Sorted(maps.Keys(g.members))
	ids := make([]string, len(seqs))
	for i, seq := range seqs {
		ids[i] = g.members[seq].entry.ID
	}
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return &announced{ID: hex.EncodeToString(sum[:]), Seqs: seqs}
}

// tellGathering tells a gathering, once, and puts it back when it is to be tried again.
func (l *lane) tellGathering(ctx context.Context, g *gathering) {
	notice, err := l.tryGathering(ctx, g)
	wait, gone := g.tries.after(err)
	switch {
	case err == nil:
		g.conclude()
	case gone:
		l.dropped(ctx, notice, err)
		g.conclude()
	default:
		l.metrics.count(l.name, retried)
		l.log.DebugContext(ctx, "gathered notices are told later", "notifier", l.name, "count", len(g.members), "after", wait, "err", err)
		l.putBack(g, err, wait)
	}
}

// putBack has a gathering wait. Those after it wait with it, because the channel is probably dead for them as well; one that
// was refused is put aside instead, because the channel is probably well. It was not told, so that its announcement may
// go.
func (l *lane) putBack(g *gathering, err error, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g.due = time.Now().Add(wait)
	if _, refused := errors.AsType[*notify.Refused](err); refused {
		l.aside = append(l.aside, g)
		return
	}
	if l.cut != nil { // one that was full meanwhile
		l.aside = append(l.aside, l.cut)
	}
	l.cut = g
}

// tryGathering tells a gathering once. It is announced on disk before, so that the same entries make the same notice after
// a crash, and noted as told after.
func (l *lane) tryGathering(ctx context.Context, g *gathering) (notice notify.Notice, err error) {
	settings := l.current.Load()
	route, ok := settings.routes[l.name]
	if !ok {
		return notice, errGone
	}
	err = l.exclusively(ctx, func() error {
		l.settleTold(g)
		if len(g.members) > 0 {
			trying, cancel := outlive(ctx)
			defer cancel()
			l.announce(trying, g)
			notice = l.written(trying, route, l.gathered(trying, settings.audience(route.Notifier), g))
			if err := l.attempt(trying, route.Notifier, notice, g.origins()...); err != nil {
				return err
			}
			l.metrics.count(l.name, delivered)
		}
		l.note(ctx, func(p *progress) {
			p.add(time.Now(), slices.Sorted(maps.Keys(g.members))...)
			p.Announced = nil
		})
		return nil
	})
	return notice, err
}

// gathered composes the notice of a gathering. One incident alone has a notice of its own.
func (l *lane) gathered(ctx context.Context, a compose.Audience, g *gathering) notify.Notice {
	entries := g.newest()
	if len(entries) > 1 {
		return a.Group(g.announced.ID, entries)
	}
	notice, _ := a.Notice(entries[0], l.lookUp(ctx, entries[0].Incident))
	return notice
}

// announce notes on disk what is about to be told together.
func (l *lane) announce(ctx context.Context, g *gathering) {
	if g.announced == nil {
		g.announced = g.announcement()
		l.note(ctx, func(p *progress) { p.Announced = g.announced })
	}
}

// settleTold takes out of a gathering what was told meanwhile: what was handed out again because its acknowledgement was
// overdue.
func (l *lane) settleTold(g *gathering) {
	for seq, m := range g.members {
		if l.told(seq) {
			m.verdict <- nil
			delete(g.members, seq)
		}
	}
}

// outlive returns a context that lasts a little longer than ctx, so that what was begun can end.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(queue.DrainTimeout, cancel) })
	return lasting, func() { stop(); cancel() }
}
