package dispositions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/ledger"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
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
		return t.park(ctx)
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
	t.incident.State, t.incident.Severity = leak.Unknown, leak.Info
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
	d := t.Policy.Decide(policy.Case{Key: key, Accounts: issuer.Accounts, Strongest: strongest(issuer.Issuer)})
	if t.head.State == leak.Contained && inForce(key, t.head.Action) && !d.Action.Stronger(t.head.Action) {
		return t.record(ctx) // a new sighting of a key that is still dead
	}
	if t.head.State == leak.Left && d.Action == leak.Nothing {
		return t.record(ctx) // a new sighting of a key that is still left alone
	}
	d, held := t.applyFuse(d)
	t.incident.Action, t.incident.Rule, t.incident.Reason = d.Action, d.Rule, d.Reason
	t.incident.Severity = d.Severity
	t.step(leak.Decided, fmt.Sprintf("%s: %s", d.Action, d.Reason))
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

// leave ends an incident that policy leaves alone.
func (t *turn) leave(ctx context.Context) error {
	t.incident.State, t.incident.Intended = leak.Left, ""
	t.incident.ContainedAt, t.incident.TokensLiveUntil = time.Time{}, time.Time{}
	t.step(leak.Spared, "nothing was done: "+t.incident.Reason)
	return t.end(ctx, resultLeft)
}

// hold keeps an incident for approval.
func (t *turn) hold(ctx context.Context) error {
	t.incident.State = leak.Held
	t.step(leak.HeldBack, fmt.Sprintf("held: to %s the key needs approval", t.incident.Action))
	if err := t.park(ctx); err != nil {
		return err
	}
	t.metrics.ended(t.incident, t.alert, resultHeld)
	return nil
}

// intend announces the action. Nothing is done to a key before that is on disk.
func (t *turn) intend(ctx context.Context, issuer Configured) error {
	started := time.Now()
	t.incident.State, t.incident.Intended = leak.Open, t.incident.Action
	t.step(leak.Intended, fmt.Sprintf("about to %s the key", t.incident.Action))
	if err := t.record(ctx); err != nil {
		return err
	}
	t.metrics.turn(turnIntend, started)
	return t.act(ctx, issuer)
}

// resume takes up an action that was announced and not proved. It may have been done: the issuer is asked first.
func (t *turn) resume(ctx context.Context) error {
	issuer, ok := t.issuer(t.incident.Issuer)
	if !ok {
		return t.fail(ctx, fmt.Errorf("issuer %s is not configured any more", t.incident.Issuer))
	}
	key, err := issuer.Issuer.Read(ctx, t.incident.Key.ID)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return t.proved(ctx, leak.Key{})
	case err != nil:
		return t.fail(ctx, fmt.Errorf("reading the key back from %s: %w", issuer.Name, err))
	case inForce(key, t.incident.Intended):
		return t.proved(ctx, key)
	}
	return t.resumeAlive(ctx, issuer, key)
}

// resumeAlive asks policy again before it takes up an action: the key may have been protected since.
func (t *turn) resumeAlive(ctx context.Context, issuer Configured, key leak.Key) error {
	d := t.Policy.Decide(policy.Case{Key: key, Accounts: issuer.Accounts, Strongest: strongest(issuer.Issuer)})
	if d.Action == leak.Nothing {
		t.incident.Action, t.incident.Rule, t.incident.Reason, t.incident.Severity = d.Action, d.Rule, d.Reason, d.Severity
		t.step(leak.Decided, fmt.Sprintf("%s: %s", d.Action, d.Reason))
		return t.leave(ctx)
	}
	t.incident.Key.Locked = key.Locked || t.incident.Key.Locked // we may have unlocked it
	if key.Locked && !t.Policy.Unlock {
		return t.fail(ctx, errLocked)
	}
	return t.act(ctx, issuer)
}

// act does to the key what the log announces, and reads it back whatever the answer was: a refusal may have been
// carried out, and an acceptance may not.
func (t *turn) act(ctx context.Context, issuer Configured) error {
	key, action := t.incident.Key, t.incident.Intended
	started := time.Now()
	acted := perform(ctx, issuer.Issuer, key, action)
	t.metrics.turn(turnAct, started)

	started = time.Now()
	after, err := issuer.Issuer.Read(ctx, key.ID)
	t.metrics.turn(turnProve, started)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return t.proved(ctx, leak.Key{})
	case err != nil:
		return t.fail(ctx, fmt.Errorf("reading the key back from %s: %w", issuer.Name, err))
	case inForce(after, action):
		return t.proved(ctx, after)
	}
	if locker, ok := issuer.Issuer.(Locker); ok && key.Locked && !after.Locked {
		_ = locker.Lock(ctx, key.ID) // best effort: what is told is that the key is alive
	}
	if acted != nil {
		return t.fail(ctx, fmt.Errorf("asking %s to %s the key: %w", issuer.Name, action, acted))
	}
	return t.fail(ctx, fmt.Errorf("%s accepted to %s the key, but read back it is alive", issuer.Name, action))
}

// perform asks the issuer for an action, and unlocks a locked key first: whoever calls it has asked policy.
func perform(ctx context.Context, issuer Issuer, key leak.Key, action leak.Action) error {
	if !key.Locked {
		return effect(ctx, issuer, key.ID, action)
	}
	locker, ok := issuer.(Locker)
	if !ok {
		return fmt.Errorf("%w, and the issuer cannot unlock it", leak.ErrLocked)
	}
	if err := locker.Unlock(ctx, key.ID); err != nil {
		return fmt.Errorf("unlocking the key: %w", err)
	}
	return effect(ctx, issuer, key.ID, action)
}

func effect(ctx context.Context, issuer Issuer, id string, action leak.Action) error {
	switch action {
	case leak.Disable:
		if disabler, ok := issuer.(Disabler); ok {
			return disabler.Disable(ctx, id)
		}
	case leak.Delete:
		if deleter, ok := issuer.(Deleter); ok {
			return deleter.Delete(ctx, id)
		}
	}
	return fmt.Errorf("the issuer cannot %s a key", action)
}

// proved ends an incident whose announced action is in force. A zero key is one that is gone.
func (t *turn) proved(ctx context.Context, key leak.Key) error {
	text := "proved: read back from the issuer, the key is disabled"
	if key.ID == "" {
		text = "proved: asked again, the issuer has no such key any more"
	}
	return t.contained(ctx, key, text)
}

func (t *turn) contained(ctx context.Context, key leak.Key, text string) error {
	now := time.Now()
	if key.ID != "" {
		key.LastUsedAt = later(key.LastUsedAt, t.incident.Key.LastUsedAt)
		t.incident.Key = key
	}
	t.incident.State, t.incident.Intended = leak.Contained, ""
	t.incident.ContainedAt = now
	t.incident.TokensLiveUntil = now.Add(t.incident.Key.TokenLife)
	t.step(leak.Proved, text)
	return t.end(ctx, resultProved)
}

// fail gives a failure back to the queue while it is young. Then it goes into the log, which pages, and the incident is
// tried again from SEALED until it succeeds or a person ends it. The same failure is recorded once.
func (t *turn) fail(ctx context.Context, err error) error {
	if !t.lastTry && !errors.Is(err, leak.ErrLocked) {
		return comeBack(err)
	}
	if t.head.State == leak.Failed {
		t.keepState()
		return t.park(ctx)
	}
	t.incident.State, t.incident.Severity = leak.Failed, leak.Critical
	t.incident.Reason = err.Error()
	t.step(leak.Failure, err.Error())
	if err := t.park(ctx); err != nil {
		return err
	}
	t.metrics.ended(t.incident, t.alert, resultFailed)
	return nil
}

// keepState drops what this turn found out about an incident that failed before and failed again: only a new sighting
// is worth an entry.
func (t *turn) keepState() {
	last, count := t.incident.Last, t.incident.SightingCount
	t.incident = t.head.Incident
	t.incident.Last, t.incident.SightingCount = last, count
	if t.sighting == nil {
		t.steps = nil
		return
	}
	t.steps = t.steps[:1]
}

// longestPause bounds what an issuer that asks to be left alone can ask for.
const longestPause = 5 * time.Minute

func comeBack(err error) error {
	var throttled *leak.Throttled
	if errors.As(err, &throttled) {
		return &queue.Later{Delay: min(max(throttled.After, time.Second), longestPause), Err: err}
	}
	return err
}

// end records the last step of an incident and wipes the secret if it was kept.
func (t *turn) end(ctx context.Context, result string) error {
	if err := t.record(ctx); err != nil {
		return err
	}
	t.metrics.ended(t.incident, t.alert, result)
	if !t.waited {
		return nil
	}
	return t.wipe(ctx, t.incident.ID)
}

// record appends the steps taken so far, as one entry.
func (t *turn) record(ctx context.Context) error {
	if t.sighting != nil {
		if err := <-t.sighting; err != nil {
			return err
		}
		t.sighting = nil
	}
	if len(t.steps) == 0 {
		return nil
	}
	started := time.Now()
	head, err := t.Ledger.Append(ctx, t.head, t.incident, t.steps...)
	if err != nil {
		return err
	}
	t.metrics.turn(turnRecord, started)
	t.log(t.steps)
	t.head, t.steps = head, nil
	return nil
}

func (t *turn) step(name leak.StepName, text string) {
	t.steps = append(t.steps, leak.Step{At: time.Now(), Step: name, Text: text, By: by})
}

func (t *turn) log(steps []leak.Step) {
	for _, s := range steps {
		t.Log.Info("step", "incident", t.incident.ID, "step", s.Step, "text", s.Text, "by", s.By,
			"state", t.incident.State, "issuer", t.incident.Issuer, "key", t.incident.Key.ID, "action", t.incident.Action)
	}
}

// inForce reports whether an action needs not be taken because its effect is there. A deleted key is not there to ask.
func inForce(key leak.Key, action leak.Action) bool {
	return action == leak.Disable && key.Disabled
}

func strongest(issuer Issuer) leak.Action {
	if _, ok := issuer.(Deleter); ok {
		return leak.Delete
	}
	if _, ok := issuer.(Disabler); ok {
		return leak.Disable
	}
	return leak.Nothing
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
