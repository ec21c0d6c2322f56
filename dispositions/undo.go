package dispositions

import (
	"context"
	"errors"
	"fmt"

	"stanch/dispositions/admit"
	"stanch/receiver/leak"
)

// undo asks the issuer first: whoever orders it learns at once when it cannot be done.
func (t *turn) undo(ctx context.Context, o Order) error {
	switch {
	case t.head.State == leak.Open:
		return refuse("the incident is being worked on: try again in a moment")
	case t.head.Key.ID == "":
		return refuse("no issuer told which key it is: there is nothing to undo")
	}
	issuer, _, err := t.enabler()
	if err != nil {
		return err
	}
	key, err := issuer.Issuer.Read(ctx, t.head.Key.ID)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return refuse("the key is deleted, and that cannot be undone: a new one has to be made")
	case err != nil:
		return refuse("whether it can be undone is not known, and nothing was changed: reading the key from %s: %v", issuer.Name, err)
	case !key.Disabled:
		return refuse("the key is not disabled: there is nothing to undo")
	case key.Locked:
		return refuse("the key is locked: unlock it at %s first", issuer.Name)
	}
	t.found(key)
	t.incident.State, t.incident.Intended, t.incident.Failure = leak.Open, leak.Enable, ""
	t.incident.Rule, t.incident.Reason = leak.RuleUndo, fmt.Sprintf("%s ordered to enable the key again: %s", o.By, o.Reason)
	t.say(o, "to enable the key again")
	return nil
}

func (t *turn) enabler() (Configured, Enabler, error) {
	issuer, ok := t.issuer(t.head.Issuer)
	if !ok {
		return issuer, nil, refuse("issuer %s is not configured any more", t.head.Issuer)
	}
	enabler, ok := issuer.Issuer.(Enabler)
	if !ok {
		return issuer, nil, refuse("issuer %s cannot enable a key again", issuer.Name)
	}
	return issuer, enabler, nil
}

// enable does what an undo announced, and reads the key back.
func (t *turn) enable(ctx context.Context) error {
	issuer, enabler, err := t.enabler()
	if err != nil {
		return t.undoFailed(ctx, err)
	}
	acted := issuer.limiter.Do(ctx, func() error { return enabler.Enable(ctx, t.head.Key.ID) })
	key, err := issuer.read(ctx, t.head.Key.ID)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return t.contained(ctx, leak.Key{}, "the key is gone: it cannot be enabled again")
	case err != nil:
		return t.undoFailed(ctx, fmt.Errorf("reading the key back from %s: %w", issuer.Name, err))
	case !key.Disabled:
		return t.undone(ctx, key)
	case acted != nil:
		return t.undoFailed(ctx, fmt.Errorf("asking %s to enable the key: %w", issuer.Name, acted))
	}
	return t.undoFailed(ctx, fmt.Errorf("%s accepted to enable the key, but read back it is disabled", issuer.Name))
}

// undone ends an incident whose key works again because a person said so.
func (t *turn) undone(ctx context.Context, key leak.Key) error {
	t.found(key)
	t.incident.State, t.incident.Intended, t.incident.Severity, t.incident.Failure = leak.Closed, "", leak.Warning, ""
	t.incident.Action, t.incident.Approval, t.incident.Told = leak.Nothing, false, false
	t.alive()
	t.step(leak.Undone, "proved: read back from the issuer, the key is enabled")
	return t.end(ctx, resultUndone)
}

// undoFailed tries again, and pages once when it did not succeed for a while. The order stands until somebody closes the
// incident.
func (t *turn) undoFailed(ctx context.Context, err error) error {
	if t.lastTry && t.head.State != leak.Failed && !admit.Postponed(err) {
		t.incident.State, t.incident.Severity, t.incident.Failure = leak.Failed, leak.Critical, err.Error()
		t.step(leak.Failure, err.Error())
		if err := t.record(ctx); err != nil {
			return err
		}
		t.metrics.ended(t.incident, resultFailed)
	}
	return admit.Postpone(err)
}
