package dispositions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"stanch/dispositions/admit"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// handleOrder takes one entry of the log and carries out what a person ordered in it. The log is the queue of orders: an order
// that is on disk is carried out.
func (e *Engine) handleOrder(ctx context.Context, m queue.Message) error {
	entry, err := leak.Read[leak.Entry](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return queue.LeftToNewer(err)
	case err != nil || len(entry.Steps) == 0:
		return nil // audits find it; orders are not in it
	}
	last := entry.Steps[len(entry.Steps)-1].Step
	if !slices.Contains(slices.Collect(maps.Values(taken)), last) {
		return nil
	}
	return e.attempts.Try(m, func(lastTry bool) error {
		return e.reconcile(ctx, work{reason: carriedOut, incident: entry.Incident.ID, lastTry: lastTry})
	})
}

// recheckAtMost is how late a recheck is worth while: after that nobody can tell any more what belonged to the leak.
const recheckAtMost = 7 * 24 * time.Hour

// handleRecheck takes one entry of the log, and when it proves a key dead looks at the key again once the tokens issued before
// have run out. Until then the entry waits in the queue, so a restart forgets none.
func (e *Engine) handleRecheck(ctx context.Context, m queue.Message) error {
	entry, err := leak.Read[leak.Entry](m.Data)
	if errors.Is(err, leak.ErrNewer) {
		return queue.LeftToNewer(err)
	}
	proves := func(s leak.Step) bool { return s.Step == leak.Proved }
	if err != nil || !slices.ContainsFunc(entry.Steps, proves) {
		return nil
	}
	wait := time.Until(entry.Incident.TokensLiveUntil)
	if wait < -recheckAtMost {
		return nil
	}
	if wait > 0 {
		return &queue.Later{Delay: wait, Err: errTokensLive}
	}
	return e.attempts.Try(m, func(lastTry bool) error {
		return e.reconcile(ctx, work{
			reason: rechecked, incident: entry.Incident.ID, lastTry: lastTry, contained: entry.Incident.ContainedAt,
		})
	})
}

// errTokensLive says why a recheck waits.
var errTokensLive = fmt.Errorf("tokens of the key may still work: %w", admit.ErrNotAttempted)

// unknownAfter is when a key that no issuer knows is looked up again, counted from the first time: a fresh key can take
// a while to be known everywhere. After the last time its secret is wiped.
var unknownAfter = []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour}

// retryAfter is the pause before a failed or held incident is looked at again; it doubles up to retryAtMost.
const (
	retryAfter  = time.Minute
	retryAtMost = 5 * time.Minute
)

// keptAtMost is when a kept secret is wiped: at its last reconcile before the store forgets it, so that the log says so.
const keptAtMost = queue.MaxRetryAge - 2*retryAtMost

// handleRetry takes up an unfinished incident when it is due. The retry queue is worked off by every engine: whichever is there
// takes the next one, and one that dies loses nothing but time.
func (e *Engine) handleRetry(ctx context.Context, m queue.Message) error {
	f := leak.Fingerprint(strings.TrimPrefix(m.Subject, queue.RetrySubject("")))
	if wait := time.Until(m.Time.Add(retryAfter)); wait > 0 {
		return &queue.Later{Delay: wait, Err: errNotDue}
	}
	if time.Since(m.Time) > keptAtMost {
		return e.reconcile(ctx, work{reason: expired, incident: f})
	}
	err := e.retry(ctx, f)
	switch {
	case admit.Postponed(err), err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		e.config.Log.WarnContext(ctx, "taking up an unfinished incident", "incident", f, "err", err)
		return &queue.Later{Delay: retryPause(m.Delivered), Err: err}
	}
	return e.afterRetry(ctx, f, m)
}

// errNotDue says why an unfinished incident waits.
var errNotDue = errors.New("the incident is looked at again later")

// retry reconciles an unfinished incident with the alert that is kept by now. Without one somebody else has just ended it.
func (e *Engine) retry(ctx context.Context, f leak.Fingerprint) error {
	alert, content, err := e.recall(ctx, f)
	if err != nil || alert.ID == "" {
		return err
	}
	return e.reconcile(ctx, work{reason: retried, incident: f, alert: alert, content: content, lastTry: true})
}

// afterRetry says when an incident is taken up again, if it is.
func (e *Engine) afterRetry(ctx context.Context, f leak.Fingerprint, m queue.Message) error {
	head, err := e.config.Ledger.Read(ctx, f)
	switch {
	case err != nil:
		return &queue.Later{Delay: retryPause(m.Delivered), Err: err}
	case head.Finished():
		return e.wipe(ctx, f)
	case head.State != leak.Unknown:
		return &queue.Later{Delay: retryPause(m.Delivered), Err: errNotDue}
	}
	if next := unknownPause(m.Time); next > 0 {
		return &queue.Later{Delay: next, Err: errNotDue}
	}
	return e.reconcile(ctx, work{reason: givenUp, incident: f})
}

// retryPause is how long a failed or held incident waits that was delivered so many times.
func retryPause(delivered int) time.Duration {
	return min(retryAfter<<min(max(delivered-1, 0), 8), retryAtMost)
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

// handleAlert takes one alert off the queue. A nil error settles it: whatever is left to do then is in the log and in the retry
// queue.
func (e *Engine) handleAlert(ctx context.Context, m queue.Message) error {
	alert, err := leak.Read[leak.Alert](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return queue.LeftToNewer(err)
	case err != nil:
		return e.bury(ctx, "the queued alert is damaged", leak.Alert{Sealed: m.Data})
	case alert.Report != nil:
		return e.reconcile(ctx, work{reason: reported, incident: alert.Fingerprint, alert: alert})
	}
	content, err := e.config.Identities.Open(alert)
	if err != nil {
		return e.bury(ctx, err.Error(), alert)
	}
	return e.attempts.Try(m, func(lastTry bool) error {
		return e.reconcile(ctx, work{
			reason: sighted, incident: alert.Fingerprint, alert: alert, content: content, delivered: m.Delivered, lastTry: lastTry,
		})
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
	if err := e.config.Store.Append(ctx, queue.Message{Subject: queue.DeadSubject(source), Data: data}); err != nil {
		return fmt.Errorf("storing a dead letter: %w", err)
	}
	e.config.Log.ErrorContext(ctx, "alert became a dead letter", "incident", alert.Fingerprint, "source", source, "reason", reason)
	return nil
}
