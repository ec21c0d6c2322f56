package dispositions

import (
	"context"
	"errors"
	"maps"
	"slices"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// carryOut takes one entry of the log and does what a person ordered in it. The log is the queue of orders: an order that
// is on disk is carried out.
func (e *Engine) carryOut(ctx context.Context, m queue.Message) error {
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
		return e.exclusively(ctx, spanCarryOut, entry.Incident.ID, func(ctx context.Context) error {
			return e.takeOrder(ctx, entry.Incident.ID, lastTry)
		})
	})
}

// takeOrder takes the turn of an order. When somebody has gone on with the incident since, nothing is left to do.
func (e *Engine) takeOrder(ctx context.Context, f leak.Fingerprint, lastTry bool) error {
	t, err := e.newTurn(ctx, f, lastTry)
	if err != nil {
		return err
	}
	defer t.giveUpSlot()
	switch {
	case t.head.Finished():
		return t.wipe(ctx, f)
	case t.head.Intended == leak.Enable:
		t.waited = true // the undone incident may have been held
		return t.enable(ctx)
	}
	if err := t.recallAlert(ctx); err != nil {
		return err
	}
	t.waited = t.alert.ID != ""
	failedByID := t.head.State == leak.Failed && !t.waited // nobody else tries it again
	if t.head.State != leak.Open && !failedByID {
		return nil
	}
	if t.head.Intended != "" {
		return t.resume(ctx)
	}
	return t.begin(ctx)
}

// recallAlert gives the turn the alert that is kept, if there is one.
func (t *turn) recallAlert(ctx context.Context) error {
	m, err := t.Store.Last(ctx, queue.RetrySubject(t.incident.ID))
	if errors.Is(err, queue.ErrNoMessage) {
		return nil
	}
	if err != nil {
		return err
	}
	t.alert, t.content, err = t.openKept(m)
	return err
}
