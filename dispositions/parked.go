package dispositions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// unknownAfter is when a key that no issuer knows is looked up again, counted from the first time: a fresh key can take
// a while to be known everywhere. After the last time its secret is wiped.
var unknownAfter = []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour}

// failedAfter is the pause before a failed or held incident is looked at again; it doubles up to failedAtMost.
const (
	failedAfter  = time.Minute
	failedAtMost = 5 * time.Minute
)

// parked is when to look again at each incident whose secret is kept. The secrets are in SEALED; this is only the clock,
// made again at every start.
type parked struct {
	mu   sync.Mutex
	due  map[leak.Fingerprint]*pause
	wake chan struct{}
}

type pause struct {
	at    time.Time
	since time.Time // when the secret was kept
	tries int
}

func newParked() *parked {
	return &parked{due: map[leak.Fingerprint]*pause{}, wake: make(chan struct{}, 1)}
}

// add waits for an incident from now on, unless it is waited for already.
func (p *parked) add(f leak.Fingerprint, since, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due[f] != nil {
		return
	}
	p.due[f] = &pause{at: at, since: since}
	p.changed()
}

// changed wakes who sleeps until the next incident is due: it may be another one now.
func (p *parked) changed() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *parked) drop(f leak.Fingerprint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.due, f)
}

// next takes an incident that is due, or says how long it is until one is.
func (p *parked) next(now time.Time) (f leak.Fingerprint, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = time.Hour
	for id, one := range p.due {
		if !one.at.After(now) {
			one.at = now.Add(time.Hour) // until again sets it
			return id, 0
		}
		wait = min(wait, one.at.Sub(now))
	}
	return "", wait
}

// again sets when an incident is looked at next. It reports false when there is no next time.
func (p *parked) again(f leak.Fingerprint, state leak.State, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed()
	one := p.due[f]
	if one == nil {
		return true // dropped meanwhile
	}
	one.tries++
	if state != leak.Unknown {
		one.at = now.Add(min(failedAfter<<min(one.tries, 8), failedAtMost))
		return true
	}
	for _, after := range unknownAfter {
		if at := one.since.Add(after); at.After(now) {
			one.at = at
			return true
		}
	}
	delete(p.due, f)
	return false
}

// park keeps the alert of an unfinished incident, secret included and sealed, and then records the turn: when the log
// says that an incident waits, what it waits with is on disk. A kept alert gives way only to one that raised the action:
// the decision is made again on what is kept.
func (t *turn) park(ctx context.Context) error {
	now := time.Now()
	kept := t.alert.ID != ""
	there, err := t.isKept(ctx)
	if err != nil {
		return err
	}
	if kept && (!there || t.incident.Action.Stronger(t.head.Action)) {
		data, err := json.Marshal(t.alert)
		if err != nil {
			return fmt.Errorf("encoding an alert: %w", err)
		}
		if err := t.Store.Append(ctx, queue.Message{Subject: queue.KeptSubject(t.incident.ID), Data: data}); err != nil {
			return fmt.Errorf("keeping a sealed secret: %w", err)
		}
	}
	if err := t.record(ctx); err != nil {
		return err
	}
	if kept {
		t.parked.add(t.incident.ID, now, now.Add(failedAfter))
	}
	return nil
}

// isKept reports whether the secret of the incident is kept. One that waited may have been given up since.
func (t *turn) isKept(ctx context.Context) (bool, error) {
	if !t.waited {
		return false, nil
	}
	_, err := t.Store.Last(ctx, queue.KeptSubject(t.incident.ID))
	if errors.Is(err, queue.ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}

// recall finds the incidents that were parked when the process stopped. They are due at once.
func (e *Engine) recall(ctx context.Context) error {
	for m, err := range e.Store.Scan(ctx, queue.AllKept) {
		if err != nil {
			return fmt.Errorf("reading kept secrets: %w", err)
		}
		var alert leak.Alert
		if json.Unmarshal(m.Data, &alert) == nil {
			e.parked.add(alert.Fingerprint, m.Time, time.Now())
		}
	}
	return nil
}

// lookAgain takes up parked incidents when they are due, until ctx ends.
func (e *Engine) lookAgain(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(e.Workers)
	defer func() { _ = group.Wait() }()
	for ctx.Err() == nil {
		f, wait := e.parked.next(time.Now())
		if f == "" {
			e.parked.sleep(ctx, wait)
			continue
		}
		group.Go(func() error {
			if err := e.retry(ctx, f); err != nil && ctx.Err() == nil {
				e.Log.Warn("taking up a parked incident", "incident", f, "err", err)
			}
			return nil
		})
	}
	return nil
}

func (p *parked) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-p.wake:
	}
}

// retry takes one turn at a parked incident, and says when the next is.
func (e *Engine) retry(ctx context.Context, f leak.Fingerprint) error {
	m, err := e.Store.Last(ctx, queue.KeptSubject(f))
	if errors.Is(err, queue.ErrNoMessage) {
		return e.expire(ctx, f)
	}
	if err == nil {
		err = e.retryKept(ctx, m)
	}
	head, readErr := e.Ledger.Read(ctx, f)
	if err := errors.Join(err, readErr); err != nil {
		e.parked.again(f, leak.Failed, time.Now())
		return err
	}
	if head.Finished() {
		return e.wipe(ctx, f)
	}
	if e.parked.again(f, head.State, time.Now()) {
		return nil
	}
	return e.giveUp(ctx, head)
}

func (e *Engine) retryKept(ctx context.Context, m queue.Message) error {
	alert, content, err := e.openKept(m)
	if err != nil {
		return err
	}
	return e.turn(ctx, report{Alert: alert, content: content, kept: true}, true)
}

func (e *Engine) openKept(m queue.Message) (leak.Alert, leak.Content, error) {
	var alert leak.Alert
	if err := json.Unmarshal(m.Data, &alert); err != nil {
		return leak.Alert{}, leak.Content{}, errors.New("reading a kept secret: it is damaged")
	}
	content, err := e.Identities.Open(alert)
	return alert, content, err
}

// expire records that the secret of an unfinished incident is not kept any more, because it has reached its age, and that it is
// not tried again.
func (e *Engine) expire(ctx context.Context, f leak.Fingerprint) error {
	e.parked.drop(f)
	head, err := e.Ledger.Read(ctx, f)
	if err != nil || head.Finished() || !head.Exists() || head.Steps[len(head.Steps)-1].Step == leak.Wiped {
		return err
	}
	return e.wiped(ctx, head, fmt.Sprintf("the sealed secret is not kept any more, %d days at most: the incident is not tried again",
		queue.MaxKeptAge/(24*time.Hour)))
}

// giveUp wipes the secret of a key that nobody knew in the end.
func (e *Engine) giveUp(ctx context.Context, head ledger.Head) error {
	text := fmt.Sprintf("looked up %d times within %s, and no issuer knows the key: its sealed secret is wiped",
		len(unknownAfter)+1, unknownAfter[len(unknownAfter)-1])
	if err := e.wiped(ctx, head, text); err != nil {
		return err
	}
	return e.wipe(ctx, head.ID)
}

// wiped records that the secret of an unfinished incident is gone.
func (e *Engine) wiped(ctx context.Context, head ledger.Head, text string) error {
	step := leak.Step{At: time.Now(), Step: leak.Wiped, By: by, Text: text}
	_, err := e.Ledger.Append(ctx, head, head.Incident, step)
	return err
}

// wipe removes the kept secret of an incident that needs it no more.
func (e *Engine) wipe(ctx context.Context, f leak.Fingerprint) error {
	e.parked.drop(f)
	if err := e.Store.Remove(ctx, queue.KeptSubject(f)); err != nil {
		return fmt.Errorf("wiping a kept secret: %w", err)
	}
	return nil
}
