// Package dispositions is the engine: it takes alerts off the queue, finds out whose key leaked, lets policy decide,
// announces the action in the log, acts, and asks the issuer whether it worked. What it has not proved it does not say.
// Every turn reads the state first and can be taken again, so the process may stop between any two.
package dispositions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"stanch/dispositions/admit"
	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// Config is what an Engine runs on. Everything is required unless it says otherwise.
type Config struct {
	Store      queue.Store
	Ledger     *ledger.Ledger
	Sightings  *ledger.Sightings
	Identities Opener
	Mandate    Mandate        // to begin with
	Requests   queue.Requests // by which the receiver asks for labels; nil: nobody does
	Workers    int            // turns at once, at an issuer that does not say how many it takes; 0: DefaultWorkers
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Tracer     trace.Tracer // nil: nothing is traced
}

// Opener opens sealed alerts; seal.Identities is the one.
type Opener interface {
	Open(a leak.Alert) (leak.Content, error)
}

// DefaultWorkers is how many turns run at once at an issuer: most of a turn is waiting for it.
const DefaultWorkers = 64

// The durable consumers that every engine shares: of alerts, of what persons ordered, of dead keys to look at again, and of
// unfinished incidents to take up again.
const (
	alertsConsumer = "engine"
	ordersConsumer = "orders"
	looksConsumer  = "looks"
	parkedConsumer = "parked"
)

// Engine takes the turns of every incident. Several may run on one store.
type Engine struct {
	Config
	mandate  atomic.Pointer[Mandate]
	over     context.Context // ends with Run
	end      context.CancelFunc
	metrics  *metrics
	fuse     *admit.Fuse
	busy     keyLock
	attempts admit.Attempts
	labels   labels
}

// New returns an engine that does nothing until Run.
func New(c Config) *Engine {
	if c.Workers == 0 {
		c.Workers = DefaultWorkers
	}
	e := &Engine{Config: c, metrics: newMetrics(c.Registerer), fuse: admit.NewFuse(c.Mandate.Fuse)}
	e.over, e.end = context.WithCancel(context.Background())
	e.Use(c.Mandate)
	return e
}

// Use replaces what the engine is told to do. Turns under way end with what they began with; those that wait for a place at
// an issuer begin again.
func (e *Engine) Use(m Mandate) {
	if m.Fuse == (admit.FuseLimit{}) {
		m.Fuse = admit.DefaultFuse
	}
	m.Issuers = anchored(m.Issuers)
	m.over, m.retire = context.WithCancel(e.over)
	m.assign(e.Workers)
	e.metrics.zero(m)
	e.fuse.Use(m.Fuse)
	if before := e.mandate.Swap(&m); before != nil {
		before.retire()
	}
}

// Run works off the queue until ctx ends. It first reads back what the fuse must know.
func (e *Engine) Run(stopped context.Context) error {
	defer e.end()
	defer context.AfterFunc(stopped, e.end)()
	group, ctx := errgroup.WithContext(stopped)
	read := make(chan struct{})
	group.Go(func() error {
		since := time.Now().Add(-e.mandate.Load().Fuse.Per)
		return e.Ledger.Follow(ctx, since, func() { close(read) }, func(entry leak.Entry) {
			e.fuse.Note(entry)
			e.labels.note(entry)
		})
	})
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-read:
		}
		return e.work(ctx)
	})
	if err := group.Wait(); err != nil && stopped.Err() == nil {
		return fmt.Errorf("running the engine: %w", err)
	}
	return nil
}

func (e *Engine) work(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		c := queue.Consumer{Stream: queue.Retries, Name: parkedConsumer, Workers: e.Workers}
		return e.Store.Work(ctx, c, e.lookAgain)
	})
	if e.Requests != nil {
		group.Go(func() error { return e.answerLabels(ctx) })
	}
	group.Go(func() error { return e.workAlerts(ctx) })
	group.Go(func() error {
		c := queue.Consumer{Stream: queue.Incidents, Name: ordersConsumer, Workers: e.Workers}
		return e.Store.Work(ctx, c, e.carryOut)
	})
	group.Go(func() error {
		c := queue.Consumer{Stream: queue.Incidents, Name: looksConsumer, Workers: lookWorkers}
		return e.Store.Work(ctx, c, e.lookLater)
	})
	return group.Wait()
}

// workAlerts takes alerts off the queue, so many at once as the mandate says.
func (e *Engine) workAlerts(ctx context.Context) error {
	for ctx.Err() == nil {
		hands := e.mandate.Load().hands
		crew, dismiss := context.WithCancel(ctx)
		go func() {
			e.waitForOther(crew, hands)
			dismiss()
		}()
		err := e.Store.Work(crew, queue.Consumer{Stream: queue.Alerts, Name: alertsConsumer, Workers: hands}, e.handle)
		dismiss()
		if err != nil {
			return err
		}
	}
	return nil
}

// waitForOther waits until the mandate has other than so many alerts in hand, or until ctx ends.
func (e *Engine) waitForOther(ctx context.Context, hands int) {
	for m := e.mandate.Load(); m.hands == hands; m = e.mandate.Load() {
		select {
		case <-ctx.Done():
			return
		case <-m.over.Done():
		}
		if e.over.Err() != nil {
			return
		}
	}
}

// handle takes one alert off the queue. A nil error settles it: whatever is left to do then is in the log and in SEALED.
func (e *Engine) handle(ctx context.Context, m queue.Message) error {
	alert, err := leak.Read[leak.Alert](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return queue.LeftToNewer(err)
	case err != nil:
		return e.bury(ctx, "the queued alert is damaged", leak.Alert{Sealed: m.Data})
	case alert.Report != nil:
		return e.reported(ctx, alert)
	}
	content, err := e.Identities.Open(alert)
	if err != nil {
		return e.bury(ctx, err.Error(), alert)
	}
	return e.attempts.Try(m, func(lastTry bool) error {
		return e.turn(ctx, report{Alert: alert, content: content, tries: m.Delivered}, lastTry)
	})
}

// reported puts into the log what a source was told. The collector says so by the queue of alerts, because it may not write
// to the log.
func (e *Engine) reported(ctx context.Context, a leak.Alert) error {
	return e.exclusively(ctx, spanReported, a.Fingerprint, func(ctx context.Context) error {
		t, err := e.newTurn(ctx, a.Fingerprint, false)
		if err != nil || !t.head.Exists() {
			return err
		}
		last := t.head.Steps[len(t.head.Steps)-1]
		if last.Step == leak.Reported && last.Source == a.Source && last.Ref == a.Report.Ref && last.Text == a.Report.Text {
			return nil // told twice, because an answer was lost
		}
		t.steps = append(t.steps, leak.Step{
			At: time.Now(), Step: leak.Reported, Text: a.Report.Text, By: "collector", Source: a.Source, Ref: a.Report.Ref,
		})
		return t.record(ctx)
	})
}

// bury puts what no retry can help to the dead letters, before it leaves the queue.
func (e *Engine) bury(ctx context.Context, reason string, alert leak.Alert) error {
	data, err := json.Marshal(leak.DeadLetter{V: leak.Version, Reason: reason, Alert: alert, At: time.Now()})
	if err != nil {
		return fmt.Errorf("encoding a dead letter: %w", err)
	}
	source := alert.Source
	if source == "" {
		source = "unknown"
	}
	if err := e.Store.Append(ctx, queue.Message{Subject: queue.DeadSubject(source), Data: data}); err != nil {
		return fmt.Errorf("storing a dead letter: %w", err)
	}
	e.Log.ErrorContext(ctx, "alert became a dead letter", "incident", alert.Fingerprint, "source", source, "reason", reason)
	return nil
}

// turn takes an alert as far as it goes.
func (e *Engine) turn(ctx context.Context, r report, lastTry bool) error {
	return e.exclusively(ctx, spanTurn, r.Fingerprint, func(ctx context.Context) error { return e.takeTurn(ctx, r, lastTry) })
}

// exclusively takes a turn while no other one is taken at the same incident here, and traces it under a name. When
// somebody else wrote to the incident meanwhile it starts again.
func (e *Engine) exclusively(
	ctx context.Context, name string, f leak.Fingerprint, take func(context.Context) error,
) (err error) {
	ctx, s := span.Continue(ctx, e.Tracer, name)
	s.Set(span.Incident, string(f))
	defer func() { s.End(failure(err)) }()
	unlock, err := e.busy.lock(ctx, f)
	if err != nil {
		return err
	}
	defer unlock()
	for {
		err := take(ctx)
		if !errors.Is(err, ledger.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}

// keyLock lets one turn at a time at each key; turns of different keys do not wait for each other.
type keyLock struct {
	mu    sync.Mutex
	taken map[leak.Fingerprint]*waiting
}

type waiting struct {
	turn  chan struct{} // holds one while nobody has it
	count int
}

// lock waits for the key until ctx ends.
func (l *keyLock) lock(ctx context.Context, f leak.Fingerprint) (unlock func(), err error) {
	w := l.join(f)
	select {
	case <-w.turn:
		return func() { w.turn <- struct{}{}; l.leave(f, w) }, nil
	case <-ctx.Done():
		l.leave(f, w)
		return nil, fmt.Errorf("waiting for another turn at the incident: %w", ctx.Err())
	}
}

func (l *keyLock) join(f leak.Fingerprint) *waiting {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken == nil {
		l.taken = map[leak.Fingerprint]*waiting{}
	}
	w := l.taken[f]
	if w == nil {
		w = &waiting{turn: make(chan struct{}, 1)}
		w.turn <- struct{}{}
		l.taken[f] = w
	}
	w.count++
	return w
}

func (l *keyLock) leave(f leak.Fingerprint, w *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.count--; w.count == 0 {
		delete(l.taken, f)
	}
}
