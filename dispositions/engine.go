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
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"stanch/dispositions/ledger"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Configured is an issuer with what the operator says of it.
type Configured struct {
	Name   string
	Issuer Issuer
	// TokenTypes and Pattern say which secrets may be shown to the issuer: those that a source calls by one of the
	// types, and those whose whole value matches. With neither it is shown none.
	TokenTypes []string
	Pattern    *regexp.Regexp
	// Accounts are those whose keys may be acted on; empty: any.
	Accounts []string
}

// Config is what an Engine runs on. Everything is required unless it says otherwise.
type Config struct {
	Store      queue.Store
	Ledger     *ledger.Ledger
	Sightings  *ledger.Sightings
	Identities Opener
	Issuers    []Configured // asked in this order
	Policy     *policy.Policy
	Fuse       Fuse // the zero Fuse is DefaultFuse
	Workers    int  // turns at once; 0: DefaultWorkers
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Opener opens sealed alerts; seal.Identities is the one.
type Opener interface {
	Open(a leak.Alert) (leak.Content, error)
}

// DefaultWorkers is how many turns run at once: most of a turn is waiting for the issuer.
const DefaultWorkers = 64

// consumerName is the durable consumer that every engine shares.
const consumerName = "engine"

// attemptsBeforePaging is how often a turn is tried from the queue, within some seconds, before the incident is marked
// failed and somebody is paged. It goes on being tried after that.
const attemptsBeforePaging = 4

// Engine takes the turns of every incident. Several may run on one store.
type Engine struct {
	Config
	metrics *metrics
	fuse    *fuse
	busy    keyLock
	parked  *parked
}

// New returns an engine that does nothing until Run.
func New(c Config) *Engine {
	if c.Workers == 0 {
		c.Workers = DefaultWorkers
	}
	if c.Fuse == (Fuse{}) {
		c.Fuse = DefaultFuse
	}
	c.Issuers = anchored(c.Issuers)
	return &Engine{
		Config:  c,
		metrics: newMetrics(c.Registerer, c.Issuers),
		fuse:    newFuse(c.Fuse),
		parked:  newParked(),
	}
}

// Run works off the queue until ctx ends. It first reads back what the fuse must know.
func (e *Engine) Run(stopped context.Context) error {
	group, ctx := errgroup.WithContext(stopped)
	read := make(chan struct{})
	group.Go(func() error {
		since := time.Now().Add(-e.Fuse.Per)
		return e.Ledger.Follow(ctx, since, func() { close(read) }, e.fuse.note)
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
	if err := e.recall(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.lookAgain(ctx) })
	group.Go(func() error {
		c := queue.Consumer{Stream: queue.Alerts, Name: consumerName, Workers: e.Workers}
		return e.Store.Work(ctx, c, e.handle)
	})
	return group.Wait()
}

// handle takes one alert off the queue. A nil error settles it: whatever is left to do then is in the log and in SEALED.
func (e *Engine) handle(ctx context.Context, m queue.Message) error {
	var alert leak.Alert
	if err := json.Unmarshal(m.Data, &alert); err != nil {
		return e.bury(ctx, "the queued alert is damaged", leak.Alert{Sealed: m.Data})
	}
	content, err := e.Identities.Open(alert)
	if err != nil {
		return e.bury(ctx, err.Error(), alert)
	}
	return e.turn(ctx, alert, content, m.Delivered >= attemptsBeforePaging)
}

// bury puts what no retry can help to the dead letters, before it leaves the queue.
func (e *Engine) bury(ctx context.Context, reason string, alert leak.Alert) error {
	data, err := json.Marshal(leak.DeadLetter{V: 1, Reason: reason, Alert: alert, At: time.Now()})
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
	e.Log.Error("alert became a dead letter", "source", source, "reason", reason)
	return nil
}

// turn takes an alert as far as it goes. When somebody else wrote to the incident meanwhile it starts again.
func (e *Engine) turn(ctx context.Context, a leak.Alert, c leak.Content, lastTry bool) error {
	defer e.busy.lock(a.Fingerprint)()
	for {
		err := e.takeTurn(ctx, a, c, lastTry)
		if !errors.Is(err, ledger.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}

// candidates are the issuers that a secret may be shown to.
func (e *Engine) candidates(c leak.Content) []Configured {
	var found []Configured
	for _, issuer := range e.Issuers {
		byType := slices.Contains(issuer.TokenTypes, c.Type)
		byPattern := issuer.Pattern != nil && issuer.Pattern.MatchString(c.Secret.Reveal())
		if byType || byPattern {
			found = append(found, issuer)
		}
	}
	return found
}

// anchored makes every pattern match a whole value or nothing.
func anchored(issuers []Configured) []Configured {
	issuers = slices.Clone(issuers)
	for i, issuer := range issuers {
		if issuer.Pattern != nil {
			issuers[i].Pattern = regexp.MustCompile(`\A(?:` + issuer.Pattern.String() + `)\z`) // it compiled without
		}
	}
	return issuers
}

func (e *Engine) issuer(name string) (Configured, bool) {
	i := slices.IndexFunc(e.Issuers, func(c Configured) bool { return c.Name == name })
	if i < 0 {
		return Configured{}, false
	}
	return e.Issuers[i], true
}

// keyLock lets one turn at a time at each key; turns of different keys do not wait for each other.
type keyLock struct {
	mu    sync.Mutex
	taken map[leak.Fingerprint]*waiting
}

type waiting struct {
	sync.Mutex
	count int
}

func (l *keyLock) lock(f leak.Fingerprint) (unlock func()) {
	l.mu.Lock()
	if l.taken == nil {
		l.taken = map[leak.Fingerprint]*waiting{}
	}
	w := l.taken[f]
	if w == nil {
		w = &waiting{}
		l.taken[f] = w
	}
	w.count++
	l.mu.Unlock()
	w.Lock()
	return func() {
		w.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if w.count--; w.count == 0 {
			delete(l.taken, f)
		}
	}
}
