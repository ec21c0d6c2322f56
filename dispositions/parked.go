package dispositions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

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

// keptAtMost is when a kept secret is wiped: at its last turn before the store forgets it, so that the log says so.
const keptAtMost = queue.MaxRetryAge - 2*failedAtMost

// park keeps the alert of an unfinished incident, secret included and sealed, and then records the turn: when the log
// says that an incident waits, what it waits with is on disk. A kept alert gives way only to one that raised the action:
// the decision is made again on what is kept.
func (t *turn) park(ctx context.Context) error {
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
		if err := t.Store.Append(ctx, queue.Message{Subject: queue.RetrySubject(t.incident.ID), Data: data}); err != nil {
			return fmt.Errorf("keeping a sealed secret: %w", err)
		}
	}
	return t.record(ctx)
}

// isKept reports whether the secret of the incident is kept. One that waited may have been given up since.
func (t *turn) isKept(ctx context.Context) (bool, error) {
	if !t.waited {
		return false, nil
	}
	_, err := t.Store.Last(ctx, queue.RetrySubject(t.incident.ID))
	if errors.Is(err, queue.ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}

// lookAgain takes up an incident whose sealed alert is kept, when it is due. SEALED is the queue of such incidents, which every
// engine works off: whichever is there takes the next turn, one at a time, and one that dies loses nothing but time.
func (e *Engine) lookAgain(ctx context.Context, m queue.Message) error {
	f := leak.Fingerprint(strings.TrimPrefix(m.Subject, queue.RetrySubject("")))
	if wait := time.Until(m.Time.Add(failedAfter)); wait > 0 {
		return &queue.Later{Delay: wait, Err: errNotDue}
	}
	if time.Since(m.Time) > keptAtMost {
		return e.expire(ctx, f)
	}
	head, err := e.retry(ctx, f)
	_, later := errors.AsType[*queue.Later](err)
	switch {
	case later, err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		e.Log.WarnContext(ctx, "taking up a parked incident", "incident", f, "err", err)
		return &queue.Later{Delay: failedPause(m.Delivered), Err: err}
	case head.Finished():
		return e.wipe(ctx, f)
	case head.State != leak.Unknown:
		return &queue.Later{Delay: failedPause(m.Delivered), Err: errNotDue}
	}
	if next := unknownPause(m.Time); next > 0 {
		return &queue.Later{Delay: next, Err: errNotDue}
	}
	return e.giveUp(ctx, head)
}

// errNotDue says why a parked incident waits.
var errNotDue = errors.New("the incident is looked at again later")

// failedPause is how long a failed or held incident waits that was handed out so many times.
func failedPause(delivered int) time.Duration {
	return min(failedAfter<<min(max(delivered-1, 0), 8), failedAtMost)
}

// unknownPause is how long a key waits that nobody knew since a time; not positive: it has waited long enough.
func unknownPause(since time.Time) time.Duration {
	for _, after := range unknownAfter {
		if wait := time.Until(since.Add(after)); wait > 0 {
			return wait
		}
	}
	return 0
}

// retry takes one turn at a parked incident with the alert that is kept by now, and returns what the log says then.
func (e *Engine) retry(ctx context.Context, f leak.Fingerprint) (ledger.Head, error) {
	m, err := e.Store.Last(ctx, queue.RetrySubject(f))
	if err == nil {
		err = e.retryKept(ctx, m)
	}
	if err != nil && !errors.Is(err, queue.ErrNoMessage) { // without a message somebody else has just ended it
		return ledger.Head{}, err
	}
	return e.Ledger.Read(ctx, f)
}

func (e *Engine) retryKept(ctx context.Context, m queue.Message) error {
	alert, content, err := e.openKept(m)
	if err != nil {
		return err
	}
	return e.turn(ctx, report{Alert: alert, content: content, kept: true}, true)
}

func (e *Engine) openKept(m queue.Message) (leak.Alert, leak.Content, error) {
	alert, err := leak.Read[leak.Alert](m.Data)
	if err != nil {
		return leak.Alert{}, leak.Content{}, fmt.Errorf("reading a kept secret: %w", err)
	}
	content, err := e.Identities.Open(alert)
	return alert, content, err
}

// expire wipes the secret of an unfinished incident that has reached its age, and records that it is not tried again.
func (e *Engine) expire(ctx context.Context, f leak.Fingerprint) error {
	head, err := e.Ledger.Read(ctx, f)
	if err != nil {
		return err
	}
	if head.Exists() && !head.Finished() {
		text := fmt.Sprintf("the sealed secret is not kept any more, %d days at most: the incident is not tried again",
			queue.MaxRetryAge/(24*time.Hour))
		if err := e.wiped(ctx, head, text); err != nil {
			return err
		}
	}
	return e.wipe(ctx, f)
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
	if err := e.Store.Remove(ctx, queue.RetrySubject(f)); err != nil {
		return fmt.Errorf("wiping a kept secret: %w", err)
	}
	return nil
}
