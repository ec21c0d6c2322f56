package dispositions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/ledger"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// by is who takes the engine's steps.
const by = "engine"

// turn is one pass over an incident, from what the log says of it to the next thing that the log can say.
type turn struct {
	*Engine
	alert   leak.Alert
	content leak.Content
	lastTry bool // a failure is recorded now, and pages
	waited  bool // the incident was parked when the turn began

	head     ledger.Head   // what the log says
	incident leak.Incident // what it will say
	steps    []leak.Step   // taken, not on disk yet
	sighting <-chan error  // the sighting on its way to disk; nil: it is known
}

func (e *Engine) takeTurn(ctx context.Context, a leak.Alert, c leak.Content, lastTry bool) error {
	head, err := e.Ledger.Read(ctx, a.Fingerprint)
	if err != nil {
		return err
	}
	known, err := e.Ledger.Knows(ctx, head, a.ID)
	if err != nil {
		return err
	}
	t := &turn{Engine: e, alert: a, content: c, lastTry: lastTry, head: head, incident: head.Incident}
	t.waited = head.Exists() && !head.Finished() && head.State != leak.Open
	if !known {
		t.see(ctx)
	}
	switch {
	case known && head.Finished():
		return t.wipe(ctx, t.incident.ID)
	case head.State == leak.Held:
		return t.wait(ctx)
	case head.Intended != "":
		return t.resume(ctx)
	default:
		return t.begin(ctx)
	}
}

// see adds a new sighting. It goes to disk while the issuer is asked, and is there before the step that names it.
func (t *turn) see(ctx context.Context) {
	if !t.head.Exists() {
		t.incident = leak.Incident{
			ID: t.alert.Fingerprint, State: leak.Open, Severity: leak.Warning,
			Source: t.alert.Source, First: t.alert.ID, ReceivedAt: t.alert.ReceivedAt,
		}
	}
	t.incident.Last = t.alert.ID
	t.incident.SightingCount++
	t.step(leak.Seen, "reported by source "+t.alert.Source)
	t.steps[0].Sighting = t.alert.ID
	t.steps[0].At = t.alert.ReceivedAt

	stored := make(chan error, 1)
	t.sighting = stored
	seen := leak.Sighting{
		Source: t.alert.Source, Type: t.content.Type, URL: t.content.URL, Place: t.content.Place,
		SeenAt: t.alert.ReceivedAt,
	}
	go func() { stored <- t.Sightings.Add(ctx, t.alert.Fingerprint, t.alert.ID, seen) }()
}

// begin asks whose the key is, and decides.
func (t *turn) begin(ctx context.Context) error {
	started := time.Now()
	issuer, key, err := t.locate(ctx)
	t.metrics.turn(turnLocate, started)
	if errors.Is(err, leak.ErrNotFound) {
		return t.notFound(ctx, err)
	}
	if err != nil {
		return t.fail(ctx, err)
	}
	if t.incident.Key.ID != key.ID {
		t.step(leak.Located, fmt.Sprintf("%s knows the key: %s", issuer.Name, key.ID))
	}
	t.incident.Issuer, t.incident.Key = issuer.Name, key
	return t.decide(ctx, issuer)
}

// locate asks each issuer that may see the secret. That one of them could not answer matters only if no other knows it.
func (t *turn) locate(ctx context.Context) (Configured, leak.Key, error) {
	candidates := t.candidates(t.content)
	if len(candidates) == 0 {
		return Configured{}, leak.Key{}, fmt.Errorf("no issuer is configured for this type of token: %w", leak.ErrNotFound)
	}
	var unresolved error
	for _, issuer := range candidates {
		key, err := issuer.Issuer.Locate(ctx, t.content.Secret)
		if err == nil {
			return issuer, key, nil
		}
		if !errors.Is(err, leak.ErrNotFound) {
			unresolved = fmt.Errorf("asking %s: %w", issuer.Name, err)
		}
	}
	if unresolved != nil {
		return Configured{}, leak.Key{}, unresolved
	}
	return Configured{}, leak.Key{}, leak.ErrNotFound
}

// notFound settles a secret that no issuer knows. A key that was known before is dead if its id is gone as well.
func (t *turn) notFound(ctx context.Context, reason error) error {
	if issuer, ok := t.issuer(t.incident.Issuer); ok && t.incident.Key.ID != "" {
		_, err := issuer.Issuer.Read(ctx, t.incident.Key.ID)
		switch {
		case errors.Is(err, leak.ErrNotFound) && t.head.State == leak.Contained:
			return t.record(ctx) // a new sighting of a key that is still gone
		case errors.Is(err, leak.ErrNotFound):
			return t.contained(ctx, leak.Key{}, "the key is gone: the issuer knows neither its value nor its id")
		case err == nil:
			err = errors.New("the issuer knows the key's id and not its value")
		}
		return t.fail(ctx, err)
	}
	if t.head.State == leak.Unknown {
		return t.park(ctx)
	}
	t.incident.State, t.incident.Severity, t.incident.Failure = leak.Unknown, leak.Info, ""
	t.incident.Action, t.incident.Rule, t.incident.Reason = leak.Nothing, "", reason.Error()
	t.step(leak.NotKnown, reason.Error()+"; it is looked up again for a day")
	if err := t.park(ctx); err != nil {
		return err
	}
	t.metrics.ended(t.incident, t.alert, resultNoKey)
	return nil
}

// decide lets policy choose, and goes on as it says.
func (t *turn) decide(ctx context.Context, issuer Configured) error {
	key := t.incident.Key
	d, _ := t.Policy.Decide(policy.Case{Key: key, Accounts: issuer.Accounts, Strongest: strongest(issuer.Issuer)})
	if t.head.State == leak.Contained && inForce(key, t.head.Action) && !d.Action.Stronger(t.head.Action) {
		return t.record(ctx) // a new sighting of a key that is still dead
	}
	if t.head.State == leak.Left && d.Action == leak.Nothing {
		return t.record(ctx) // a new sighting of a key that is still left alone
	}
	d, held := t.applyFuse(d)
	t.decided(d)
	switch {
	case d.Action == leak.Nothing:
		return t.leave(ctx)
	case inForce(key, d.Action):
		return t.contained(ctx, key, "the key was disabled already when it was looked up; nothing had to be done")
	case key.Locked && !t.Policy.Unlock:
		return t.fail(ctx, errLocked)
	case held:
		return t.hold(ctx)
	}
	return t.intend(ctx, issuer)
}

func (t *turn) decided(d leak.Decision) {
	t.incident.Action, t.incident.Rule, t.incident.Reason = d.Action, d.Rule, d.Reason
	t.incident.Severity, t.incident.Failure = d.Severity, ""
	t.step(leak.Decided, fmt.Sprintf("%s: %s", d.Action, d.Reason))
}

// errLocked is what is said of a locked key that policy does not let us unlock.
var errLocked = fmt.Errorf("%w, and policy.unlock does not allow to unlock it", leak.ErrLocked)

// applyFuse lowers a decision that the fuse does not admit. What does nothing to the key does not count.
func (t *turn) applyFuse(d leak.Decision) (lowered leak.Decision, held bool) {
	key := t.incident.Key
	if d.Action == leak.Nothing || inForce(key, d.Action) || key.Locked && !t.Policy.Unlock {
		return d, false
	}
	action, admitted := t.fuse.admit(t.incident.Issuer, key.Account, d.Action, t.incident.ID, time.Now())
	if action == d.Action && admitted {
		return d, false
	}
	d.Reason = fmt.Sprintf("more than %d destructive actions within %s in this account; without the fuse: %s, because %s",
		t.fuse.Max, t.fuse.Per, d.Action, d.Reason)
	d.Action, d.Rule, d.Severity = action, ledger.FuseRule, leak.Critical
	return d, !admitted && !inForce(key, action)
}
