package dispositions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/admit"
	"stanch/dispositions/ledger"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue/span"
)

// by is who takes the engine's steps.
const by = "engine"

// turn is one pass over an incident, from what the log says of it to the next thing that the log can say.
type turn struct {
	*Engine
	*Mandate              // the one that the turn began with
	alert    leak.Alert   // zero when a person ordered the turn and no alert is kept
	content  leak.Content // likewise
	lastTry  bool         // a failure is recorded now, and pages
	waited   bool         // the incident was parked when the turn began

	head     ledger.Head   // what the log says
	incident leak.Incident // what it will say
	steps    []leak.Step   // taken, not on disk yet
	sighting <-chan error  // the sighting on its way to disk; nil: it is known

	span    span.Span
	tries   int    // how often the alert was handed out
	at      string // the issuer at which the turn has a slot; empty: none
	release func() // gives that up
}

// report is an alert, opened.
type report struct {
	leak.Alert
	content leak.Content
	kept    bool // it waited in SEALED, and is not delivered now
	tries   int  // how often it was handed out
}

func (e *Engine) takeTurn(ctx context.Context, r report, lastTry bool) error {
	t, err := e.newTurn(ctx, r.Fingerprint, lastTry)
	if err != nil {
		return err
	}
	defer t.giveUpSlot()
	t.alert, t.content, t.tries = r.Alert, r.content, r.tries
	known, err := e.Ledger.Knows(ctx, t.head, r.ID)
	if err != nil {
		return err
	}
	if !known {
		if err := t.acquireFirst(ctx); err != nil {
			return err
		}
		t.see(ctx)
	}
	switch {
	case r.kept && t.head.Finished():
		return t.wipe(ctx, r.Fingerprint)
	case known && t.head.Finished():
		return t.repeated(ctx)
	case t.head.Intended == leak.Enable && known:
		return nil
	case t.head.Intended == leak.Enable:
		return errUndoing
	case t.head.Intended != "":
		return t.resumeAndDecide(ctx, !known)
	case t.head.State == leak.Held:
		return t.wait(ctx)
	default:
		return t.begin(ctx)
	}
}

// errUndoing puts an alert back that comes while a person's undo is under way: what it says is decided after that.
var errUndoing = errors.New("the key is being enabled again because a person said so")

func (e *Engine) newTurn(ctx context.Context, f leak.Fingerprint, lastTry bool) (*turn, error) {
	head, err := e.Ledger.Read(ctx, f)
	if err != nil {
		return nil, err
	}
	t := &turn{Engine: e, Mandate: e.mandate.Load(), lastTry: lastTry, head: head, incident: head.Incident, span: span.Of(ctx)}
	t.waited = head.Exists() && !head.Finished() && head.State != leak.Open
	return t, nil
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
	text := "reported by source " + t.alert.Source
	if t.content.Swept {
		text = "found by a sweep of source " + t.alert.Source + ": no delivery had told of it"
	}
	t.step(leak.Seen, text)
	seenStep := &t.steps[0]
	seenStep.Sighting, seenStep.At = t.alert.ID, t.alert.ReceivedAt
	if t.content.Ref != "" {
		seenStep.Ref, seenStep.Source = t.content.Ref, t.alert.Source
	}

	stored := make(chan error, 1)
	t.sighting = stored
	seen := leak.Sighting{
		Source: t.alert.Source, Type: t.content.Type, URL: t.content.URL, Place: t.content.Place,
		SeenAt: t.alert.ReceivedAt, Marks: t.content.Marks,
	}
	go func() { stored <- t.Sightings.Add(ctx, t.alert.Fingerprint, t.alert.ID, seen) }()
}

// begin asks whose the key is, and decides.
func (t *turn) begin(ctx context.Context) error {
	if t.content.Secret.Empty() {
		return t.beginByID(ctx)
	}
	if issuer, kind, how, ok := t.recognise(t.content); ok {
		return t.byHand(ctx, issuer, kind, how)
	}
	if err := t.acquireFirst(ctx); err != nil {
		return err
	}
	locating, s := t.stage(ctx, turnLocate)
	issuer, key, err := t.locate(locating, t.content)
	s.end(err)
	if errors.Is(err, leak.ErrNotFound) {
		return t.notFound(ctx, err)
	}
	if err != nil {
		return t.fail(ctx, err)
	}
	if t.incident.Key.ID != key.ID {
		t.step(leak.Located, fmt.Sprintf("%s knows the key: %s", issuer.Name, key.ID))
	}
	t.incident.Issuer, t.incident.Key, t.incident.Denied = issuer.Name, key, false
	return t.decide(ctx, issuer)
}

// beginByID decides about a key whose secret is not kept any more.
func (t *turn) beginByID(ctx context.Context) error {
	issuer, ok := t.issuer(t.incident.Issuer)
	if !ok {
		return t.fail(ctx, fmt.Errorf("issuer %s is not configured any more", t.incident.Issuer))
	}
	if err := t.acquire(ctx, issuer); err != nil {
		return err
	}
	key, err := issuer.read(ctx, t.incident.Key.ID)
	if errors.Is(err, leak.ErrNotFound) {
		return t.contained(ctx, leak.Key{}, "the key is gone: the issuer does not know its id any more")
	}
	if err != nil {
		return t.fail(ctx, fmt.Errorf("reading the key from %s: %w", issuer.Name, err))
	}
	t.found(key)
	return t.decide(ctx, issuer)
}

// found takes over what the issuer says of the key now. When it was last used is asked once only, when it is located.
func (t *turn) found(key leak.Key) {
	key.LastUsedAt = later(key.LastUsedAt, t.incident.Key.LastUsedAt)
	key.OwnerName = cmp.Or(key.OwnerName, t.incident.Key.OwnerName)
	if !key.Used.Known {
		key.Used = t.incident.Key.Used
	}
	t.incident.Key = key
}

// notFound settles a secret that no issuer knows. A key that was known before is dead if its id is gone as well.
func (t *turn) notFound(ctx context.Context, reason error) error {
	if issuer, ok := t.issuer(t.incident.Issuer); ok && t.incident.Key.ID != "" {
		_, err := issuer.read(ctx, t.incident.Key.ID)
		switch {
		case errors.Is(err, leak.ErrNotFound) && t.head.State == leak.Contained:
			return t.record(ctx) // a new sighting of a key that is still gone
		case errors.Is(err, leak.ErrNotFound):
			return t.deadAlready(ctx, issuer, leak.Key{}, "the key is gone: the issuer knows neither its value nor its id")
		case err == nil:
			err = errors.New("the issuer knows the key's id and not its value")
		}
		return t.fail(ctx, err)
	}
	t.incident.Denied = len(t.candidates(t.content)) > 0 && (t.head.Denied || t.head.State != leak.Unknown)
	if t.head.State == leak.Unknown {
		return t.park(ctx)
	}
	t.incident.State, t.incident.Severity, t.incident.Failure = leak.Unknown, leak.Info, ""
	t.incident.Action, t.incident.Rule, t.incident.Reason = leak.Nothing, "", reason.Error()
	t.step(leak.NotKnown, reason.Error()+"; it is looked up again for a day")
	if err := t.park(ctx); err != nil {
		return err
	}
	t.metrics.ended(t.incident, resultNoKey)
	return nil
}

// decide lets policy choose, and goes on as it says.
func (t *turn) decide(ctx context.Context, issuer Configured) error {
	key := t.incident.Key
	_, s := span.Start(ctx, spanDecide)
	d := t.choose(issuer)
	s.End(nil)
	if t.head.State == leak.Contained && inForce(key, t.head.Action) && !d.Action.Stronger(t.head.Action) {
		return t.record(ctx) // a new sighting of a key that is still dead
	}
	if t.head.State == leak.Left && d.Action == leak.Nothing {
		return t.record(ctx) // a new sighting of a key that is still left alone
	}
	if !key.Disabled {
		t.alive()
	}
	d, verdict := t.applyFuse(d)
	t.decided(d)
	switch {
	case d.Action == leak.Nothing:
		return t.leave(ctx)
	case inForce(key, atOnce(d)) && atOnce(d) != d.Action:
		return t.deadAlready(ctx, issuer, key, "the key was disabled already when it was looked up")
	case inForce(key, d.Action):
		return t.deadAlready(ctx, issuer, key, "the key was disabled already when it was looked up; nothing had to be done")
	case key.Locked && !d.Unlock:
		return t.fail(ctx, errLocked)
	case verdict.Held:
		return t.hold(ctx, fmt.Sprintf("held: to %s the key needs approval", d.Action), verdict.Told)
	case d.Approval && d.Action == leak.Disable:
		return t.hold(ctx, "held: to disable the key needs approval", false)
	}
	return t.intend(ctx, issuer, atOnce(d))
}

// choose asks policy. A new sighting may raise what was decided before and never lower it, except that what nobody may
// touch any more is not touched.
func (t *turn) choose(issuer Configured) leak.Decision {
	d, looked := t.ask(issuer, t.incident, t.alert.Source, t.content)
	for _, look := range looked {
		if look.Failure != "" {
			t.metrics.ruleFailed(look.Rule)
			t.step(leak.Warned, fmt.Sprintf("rule %s could not be evaluated, and the next one was asked: %s", look.Rule, look.Failure))
		}
	}
	before := t.head.Incident
	decidedBefore := t.sighting != nil && before.State != leak.Closed && before.Action.Stronger(d.Action)
	if decidedBefore && !policy.Untouchable(d.Rule) {
		d.Action, d.Rule, d.Reason = before.Action, before.Rule, before.Reason
		d.Approval, d.Unlock, d.Severity = before.Approval, before.Unlock, before.Rated
	}
	return d
}

// atOnce is what is done without waiting for anybody: a delete that needs approval disables first.
func atOnce(d leak.Decision) leak.Action {
	if d.Approval && d.Action == leak.Delete {
		return leak.Disable
	}
	return d.Action
}

func (t *turn) decided(d leak.Decision) {
	t.incident.Action, t.incident.Rule, t.incident.Reason = d.Action, d.Rule, d.Reason
	t.incident.Severity, t.incident.Rated, t.incident.Failure = d.Severity, d.Severity, ""
	t.incident.Approval, t.incident.Unlock, t.incident.Told = d.Approval, d.Unlock, false
	t.step(leak.Decided, fmt.Sprintf("%s: %s", described(d), d.Reason))
}

func described(d leak.Decision) string {
	if d.Approval {
		return string(d.Action) + " after approval"
	}
	return string(d.Action)
}

// errLocked is what is said of a locked key that policy does not let us unlock.
var errLocked = fmt.Errorf("%w, and policy does not allow to unlock it", leak.ErrLocked)

// applyFuse lowers a decision that the fuse does not admit. What does nothing to the key does not count.
func (t *turn) applyFuse(d leak.Decision) (leak.Decision, admit.Verdict) {
	key, action := t.incident.Key, atOnce(d)
	waits := d.Approval && action == d.Action // for a person anyway
	if action == leak.Nothing || inForce(key, action) || key.Locked && !d.Unlock || waits {
		return d, admit.Verdict{}
	}
	v := t.fuse.Admit(t.incident, action, time.Now())
	if v.Action == action && !v.Held {
		return d, v
	}
	d.Reason = fmt.Sprintf("more than %d destructive actions within %s in this account; without the fuse: %s, because %s",
		t.Fuse.Max, t.Fuse.Per, described(d), d.Reason)
	d.Action, d.Rule, d.Approval = v.Action, leak.RuleFuse, false
	v.Held = v.Held && !inForce(key, v.Action)
	return d, v
}
