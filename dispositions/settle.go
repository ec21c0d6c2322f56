package dispositions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/admit"
	"stanch/receiver/leak"
	"stanch/receiver/queue/span"
)

// leave ends an incident that policy leaves alone.
func (t *turn) leave(ctx context.Context) error {
	t.incident.State, t.incident.Intended, t.incident.Failure = leak.Left, "", ""
	t.alive()
	t.step(leak.Spared, "nothing was done: "+t.incident.Reason)
	if t.incident.Rule == leak.RuleByHand {
		return t.end(ctx, leak.RuleByHand)
	}
	return t.end(ctx, resultLeft)
}

// hold keeps an incident for approval. It is quiet when somebody was told already that others are held.
func (t *turn) hold(ctx context.Context, text string, quiet bool) error {
	t.incident.State = leak.Held
	if !t.incident.Key.Disabled {
		t.incident.Severity = leak.Critical
	}
	t.step(leak.HeldBack, text)
	t.steps[len(t.steps)-1].Quiet = quiet
	if err := t.park(ctx); err != nil {
		return err
	}
	t.metrics.ended(t.incident, resultHeld)
	return nil
}

// wait leaves an incident held, unless somebody has done to the key meanwhile what it is held for, or a new sighting
// orders without approval what it is held for.
func (t *turn) wait(ctx context.Context) error {
	issuer, ok := t.issuer(t.incident.Issuer)
	if !ok {
		return t.park(ctx)
	}
	key, err := issuer.read(ctx, t.incident.Key.ID)
	switch {
	case errors.Is(err, leak.ErrNotFound) && t.refused(ctx, issuer) == nil:
		return t.contained(ctx, leak.Key{}, "the key is gone: somebody deleted it while the incident was held")
	case err == nil && inForce(key, t.incident.Action) && t.refused(ctx, issuer) == nil:
		return t.contained(ctx, key, "the key is disabled: somebody did it while the incident was held")
	case err == nil && t.sighting != nil && t.released(issuer, key):
		return t.decide(ctx, issuer)
	}
	return t.park(ctx)
}

// released reports whether what a new sighting says makes an approval unnecessary. What the fuse holds only a person
// releases.
func (t *turn) released(issuer Configured, key leak.Key) bool {
	t.found(key)
	d, _ := t.ask(issuer, t.incident, t.alert.Source, t.content)
	return t.head.Rule != leak.RuleFuse && !d.Approval && d.Action != leak.Nothing && !t.head.Action.Stronger(d.Action)
}

// proved goes on after an announced action that is in force, as the issuer says: the leaked value is tried as well. Then the
// incident ends, or waits for the approval of the rest. A zero key is one that is gone.
func (t *turn) proved(ctx context.Context, issuer Configured, key leak.Key) error {
	text := "proved: read back from the issuer, the key is disabled"
	if key.ID == "" {
		text = "proved: asked again, the issuer has no such key any more"
	}
	if err := t.refused(ctx, issuer); err != nil {
		return t.fail(ctx, err)
	}
	if t.triesValue(issuer) {
		text += ", and the leaked value is refused"
	}
	if key.ID != "" && t.incident.Intended == leak.Disable && t.incident.Action == leak.Delete {
		return t.holdDisabled(ctx, key, text)
	}
	return t.contained(ctx, key, text)
}

// deadAlready goes on after a key that somebody else has disabled or deleted, as the issuer says: the leaked value is tried as
// well. A key that is to be deleted after approval waits for that.
func (t *turn) deadAlready(ctx context.Context, issuer Configured, key leak.Key, text string) error {
	if err := t.refused(ctx, issuer); err != nil {
		return t.fail(ctx, err)
	}
	if key.ID != "" && t.incident.Action == leak.Delete {
		return t.holdDisabled(ctx, key, text)
	}
	return t.contained(ctx, key, text)
}

// triesValue reports whether the issuer can try the leaked value, which is not always kept.
func (t *turn) triesValue(issuer Configured) bool {
	_, ok := issuer.Issuer.(Prover)
	return ok && !t.content.Secret.Empty()
}

// refused tries the leaked value of a key that its issuer says is dead, where that can be done; nil: it is refused.
func (t *turn) refused(ctx context.Context, issuer Configured) error {
	if !t.triesValue(issuer) {
		return nil
	}
	ctx, s := span.Start(ctx, turnProve)
	err := issuer.limiter.Do(ctx, func() error { return issuer.Issuer.(Prover).Refused(ctx, t.content.Secret) })
	s.End(err)
	if err != nil {
		return fmt.Errorf("%s said that the key is dead: %w", issuer.Name, err)
	}
	return nil
}

// holdDisabled keeps an incident whose key is disabled, as its issuer says, until somebody approves to delete it.
func (t *turn) holdDisabled(ctx context.Context, key leak.Key, text string) error {
	t.dead(key, text)
	t.incident.Severity = t.incident.Rated
	t.metrics.contained(t.incident, leak.Disable, t.alert)
	return t.hold(ctx, "held: to delete the key needs approval", false)
}

func (t *turn) contained(ctx context.Context, key leak.Key, text string) error {
	return t.ended(ctx, key, text, resultProved)
}

// ended ends an incident whose key is dead, whatever of.
func (t *turn) ended(ctx context.Context, key leak.Key, text, result string) error {
	t.dead(key, text)
	t.incident.State, t.incident.Severity = leak.Contained, cmp.Or(t.incident.Rated, leak.Warning)
	if err := t.end(ctx, result); err != nil {
		return err
	}
	t.metrics.contained(t.incident, t.incident.Action, t.alert)
	return nil
}

// dead notes that the issuer says that the key is disabled or gone.
func (t *turn) dead(key leak.Key, text string) {
	now := time.Now()
	if key.ID != "" {
		t.found(key)
	} else {
		t.incident.Key.Disabled, t.incident.Key.Gone = false, true
	}
	t.incident.Intended, t.incident.Failure = "", ""
	t.incident.ContainedAt, t.incident.Aftermath = now, nil
	t.incident.TokensLiveUntil = now.Add(t.incident.Key.TokenLife)
	t.step(leak.Proved, text)
}

// alive notes that the issuer says that the key works: it was enabled since it was proved dead.
func (t *turn) alive() {
	t.incident.ContainedAt, t.incident.TokensLiveUntil = time.Time{}, time.Time{}
}

// repeated settles a sighting that a finished incident knows already: it never acts. Where a person ended the incident
// it is told once that the key works.
func (t *turn) repeated(ctx context.Context) error {
	issuer, ok := t.issuer(t.head.Issuer)
	if t.head.State != leak.Closed || t.head.Told || !ok {
		return t.wipe(ctx, t.head.ID)
	}
	key, err := issuer.read(ctx, t.head.Key.ID)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return t.wipe(ctx, t.head.ID)
	case err != nil && (!t.lastTry || admit.Postponed(err)):
		return admit.Postpone(err)
	case err != nil:
		t.Log.WarnContext(ctx, "a closed incident was reported again, and whether its key works is not known", "incident", t.head.ID, "err", err)
		return nil
	case key.Disabled:
		return t.wipe(ctx, t.head.ID)
	}
	t.found(key)
	t.incident.Told, t.incident.Severity = true, leak.Critical
	t.alive()
	t.step(leak.Alive, "a sighting that was known came again: nothing is done, because a person ended the incident, and the key works")
	return t.record(ctx)
}

// fail gives a failure back to the queue while it is young. Then it goes into the log, which pages, and the incident is
// tried again from SEALED until it succeeds or a person ends it. The same failure is recorded once.
func (t *turn) fail(ctx context.Context, err error) error {
	if admit.Postponed(err) {
		return err
	}
	if !t.lastTry && !errors.Is(err, leak.ErrLocked) && admit.Pause(err) <= admit.Patience {
		return admit.Postpone(err)
	}
	if t.head.State == leak.Failed {
		t.keepState()
	} else if t.head.State == leak.Unknown && t.sighting == nil {
		return err // one more look at a key that nobody knew is not worth a page
	} else {
		t.incident.State, t.incident.Severity = leak.Failed, leak.Critical
		t.incident.Failure = err.Error()
		t.step(leak.Failure, err.Error())
		defer t.metrics.ended(t.incident, resultFailed)
	}
	if parkErr := t.park(ctx); parkErr != nil {
		return parkErr
	}
	if t.alert.ID == "" {
		return admit.Postpone(err) // nothing is kept to try it again with, so the order that began it comes back
	}
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

// end records the last step of an incident and wipes the secret if it was kept.
func (t *turn) end(ctx context.Context, result string) error {
	if err := t.record(ctx); err != nil {
		return err
	}
	t.metrics.ended(t.incident, result)
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
	if issuer, ok := t.issuer(t.incident.Issuer); ok {
		advise(issuer.Issuer, &t.incident)
	}
	started := time.Now()
	recording, s := span.Produce(ctx, turnRecord)
	head, err := t.Ledger.Append(recording, t.head, t.incident, t.steps...)
	s.End(err)
	if err != nil {
		return err
	}
	t.metrics.turn(turnRecord, started)
	t.trace()
	t.log(ctx, t.steps)
	t.head, t.steps = head, nil
	return nil
}

func (t *turn) step(name leak.StepName, text string) {
	t.steps = append(t.steps, leak.Step{At: time.Now(), Step: name, Text: text, By: by})
}

func (t *turn) log(ctx context.Context, steps []leak.Step) {
	for _, s := range steps {
		t.Log.InfoContext(ctx, "step", "incident", t.incident.ID, "step", s.Step, "text", s.Text, "by", s.By,
			"state", t.incident.State, "issuer", t.incident.Issuer, "key", t.incident.Key.ID, "action", t.incident.Action)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
