package dispositions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/admit"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue/span"
)

// decide is the second phase: what is done to the key in this pass? Policy decides about a key that leaked; what was announced is
// done unless the key became untouchable; the rest follows from the purpose.
func (p *pass) decide(ctx context.Context) outcome {
	switch p.purpose {
	case contain:
		if p.claim != "" {
			return outcome{}
		}
		return p.decideByPolicy(ctx)
	case resume:
		return p.decideAnnounced(ctx)
	case undo:
		return p.decideUndo()
	case await:
		return p.decideHeld(ctx)
	case repeat:
		return p.decideRepeat(ctx)
	case recheck:
		return p.decideRecheck(ctx)
	case obey:
		return p.obey(ctx)
	case note:
		return p.decideReport()
	case forget:
		return outcome{result: forgotten}
	case clean:
		return outcome{result: wiped}
	case undoing:
		return outcome{result: back, err: errUndoing}
	}
	return outcome{result: nothingLeft}
}

// decideByPolicy lets policy choose.
func (p *pass) decideByPolicy(ctx context.Context) outcome {
	_, s := span.Start(ctx, spanDecide)
	d := p.choose()
	s.End(nil)
	if p.head.State == leak.Contained && p.seen.shows(p.head.Action) && !d.Action.Stronger(p.head.Action) {
		return outcome{result: noted} // a new sighting of a key that is still dead
	}
	if p.head.State == leak.Left && d.Action == leak.Nothing {
		return outcome{result: noted} // a new sighting of a key that is still left alone
	}
	if p.seen.standing != disabled {
		p.works()
	}
	able := p.issuer.Issuer.Abilities()
	d, verdict := p.applyFuse(d, able)
	p.decided(d)
	switch now := atOnce(d, able); {
	case d.Action == leak.Nothing:
		return outcome{result: isLeft}
	case p.seen.shows(now) && now != d.Action:
		p.claim = "the key was disabled already when it was looked up"
	case p.seen.shows(d.Action):
		p.claim = "the key was disabled already when it was looked up; nothing had to be done"
	case p.incident.Key.Locked && !d.Unlock:
		return fail(errLocked)
	case verdict.Held:
		return outcome{result: isHeld, text: fmt.Sprintf("held: to %s the key needs approval", d.Action), quiet: verdict.Told}
	case now == leak.Nothing:
		return outcome{result: isHeld, text: fmt.Sprintf("held: to %s the key needs approval", d.Action)}
	default:
		p.todo = now
	}
	return outcome{}
}

// choose asks policy. A new sighting may raise what was decided before and never lower it, except that what nobody may
// touch any more is not touched.
func (p *pass) choose() leak.Decision {
	d, looked := p.settings.decide(p.issuer, p.incident, p.work.alert.Source, p.work.content)
	for _, look := range looked {
		if look.Failure != "" {
			p.engine.metrics.ruleFailed(look.Rule)
			p.step(leak.Warned, fmt.Sprintf("rule %s could not be evaluated, and the next one was asked: %s", look.Rule, look.Failure))
		}
	}
	before := p.head.Incident
	decidedBefore := p.isNew() && before.State != leak.Closed && before.Action.Stronger(d.Action)
	if decidedBefore && !policy.Untouchable(d.Rule) {
		d.Action, d.Rule, d.Reason = before.Action, before.Rule, before.Reason
		d.Approval, d.Unlock, d.Severity = before.Approval, before.Unlock, before.Rated
	}
	return d
}

// atOnce is what is done without waiting for anybody: of a delete that needs approval the disable, where the issuer can.
func atOnce(d leak.Decision, able leak.Abilities) leak.Action {
	switch {
	case !d.Approval:
		return d.Action
	case d.Action == leak.Delete && able.Disable:
		return leak.Disable
	}
	return leak.Nothing
}

// decided notes a decision.
func (p *pass) decided(d leak.Decision) {
	p.incident.Action, p.incident.Rule, p.incident.Reason = d.Action, d.Rule, d.Reason
	p.incident.Severity, p.incident.Rated, p.incident.Failure, p.incident.Cause = d.Severity, d.Severity, "", ""
	p.incident.Approval, p.incident.Unlock, p.incident.Told = d.Approval, d.Unlock, false
	if p.issuer.Issuer != nil {
		p.incident.Abilities = p.issuer.Issuer.Abilities()
	}
	p.step(leak.Decided, fmt.Sprintf("%s: %s", described(d), d.Reason))
}

func described(d leak.Decision) string {
	if d.Approval {
		return string(d.Action) + " after approval"
	}
	return string(d.Action)
}

// errLocked is what is said of a locked key that policy does not let us unlock.
var errLocked = fmt.Errorf("%w, and policy does not allow stanch to unlock it", leak.ErrLocked)

// applyFuse lowers a decision that the fuse does not admit, or holds it. What does nothing to the key does not count.
func (p *pass) applyFuse(d leak.Decision, able leak.Abilities) (leak.Decision, admit.Verdict) {
	action := atOnce(d, able)
	if action == leak.Nothing || p.seen.shows(action) || p.incident.Key.Locked && !d.Unlock {
		return d, admit.Verdict{}
	}
	v := p.engine.fuse.Admit(p.incident, action, able, time.Now())
	if v.Action == action && !v.Held {
		return d, v
	}
	d.Reason = fmt.Sprintf("more than %d destructive actions within %s in this account; without the fuse: %s, because %s",
		p.settings.Fuse.Max, p.settings.Fuse.Per, described(d), d.Reason)
	d.Action, d.Rule, d.Approval = v.Action, leak.RuleFuse, false
	v.Held = v.Held && !p.seen.shows(v.Action)
	return d, v
}

// decideByHand ends an incident whose secret only a person can revoke. It pages: as far as anybody knows the secret works.
func (p *pass) decideByHand(issuer, kind, how string) outcome {
	if p.head.State == leak.Left && p.head.Rule == leak.RuleByHand {
		return outcome{result: noted} // a new sighting of what a person was told to revoke
	}
	p.incident.Issuer, p.incident.Key = issuer, leak.Key{Kind: kind}
	p.decided(leftByHand(kind, how))
	return outcome{result: isLeft}
}

// decideAnnounced takes up an announced action that is not in force. Policy is asked again before: the key may have been protected
// since. Nothing else stops what was announced.
func (p *pass) decideAnnounced(ctx context.Context) outcome {
	if p.seen.shows(p.incident.Intended) || p.seen.standing == unseen && p.deadByUse(ctx) {
		return outcome{}
	}
	p.incident.SettlesAt = time.Time{}
	d, _ := p.settings.decide(p.issuer, p.incident, p.work.alert.Source, p.work.content)
	if d.Action == leak.Nothing && policy.Untouchable(d.Rule) {
		d.Reason += p.relock(ctx, p.incident.Key, p.seen.key)
		p.decided(d)
		return outcome{result: isLeft}
	}
	locked := p.seen.key.Locked
	p.incident.Key.Locked = locked || p.incident.Key.Locked // we may have unlocked it
	if locked && !p.incident.Unlock {
		return fail(errLocked)
	}
	p.todo = p.incident.Intended
	return outcome{}
}

// decideUndo does what an undo announced.
func (p *pass) decideUndo() outcome {
	if err := p.cannotEnable(); err != nil {
		return outcome{result: undoFailed, err: err}
	}
	p.todo = leak.Enable
	return outcome{}
}

// decideHeld leaves an incident held, unless somebody has done to the key meanwhile what it is held for, or a new sighting orders
// without approval what it is held for.
func (p *pass) decideHeld(ctx context.Context) outcome {
	switch {
	case p.issuer.Issuer == nil, p.seen.standing == unclear:
		return outcome{result: stays}
	case p.seen.standing == gone:
		p.claim = "the key is gone: somebody deleted it while the incident was held"
		return outcome{}
	case p.seen.shows(p.incident.Action):
		p.claim = "the key is disabled: somebody did it while the incident was held"
		return outcome{}
	case p.isNew() && p.released():
		return p.decideByPolicy(ctx)
	}
	return outcome{result: stays}
}

// released reports whether what a new sighting says makes an approval unnecessary. What the fuse holds only a person
// releases.
func (p *pass) released() bool {
	if p.seen.standing != unseen {
		p.found(p.seen.key)
	}
	d, _ := p.settings.decide(p.issuer, p.incident, p.work.alert.Source, p.work.content)
	return p.head.Rule != leak.RuleFuse && !d.Approval && d.Action != leak.Nothing && !p.head.Action.Stronger(d.Action)
}

// decideRepeat settles a sighting that a finished incident knows already: it never acts. Where a person ended the incident
// it is told once that the key works.
func (p *pass) decideRepeat(ctx context.Context) outcome {
	switch p.seen.standing {
	case alive:
		p.found(p.seen.key)
		return outcome{
			result: isAlive,
			text:   "a sighting that was known came again: nothing is done, because a person ended the incident, and the key works",
		}
	case unclear:
		if !p.work.lastTry || admit.Postponed(p.seen.err) {
			return outcome{result: back, err: admit.Postpone(p.seen.err)}
		}
		p.engine.config.Log.WarnContext(ctx, "a closed incident was reported again, and whether its key works is not known",
			"incident", p.head.ID, "err", p.seen.err)
		return outcome{result: nothingLeft}
	}
	return outcome{result: wiped}
}

// decideReport notes what a source was told. The collector says so by the queue of alerts, because it may not write to the log.
func (p *pass) decideReport() outcome {
	if !p.head.Exists() {
		return outcome{result: nothingLeft}
	}
	a, last := p.work.alert, p.head.Steps[len(p.head.Steps)-1]
	if last.Step == leak.Reported && last.Source == a.Source && last.Ref == a.Report.Ref && last.Text == a.Report.Text {
		return outcome{result: nothingLeft} // told twice, because an answer was lost
	}
	p.steps = append(p.steps, leak.Step{
		At: time.Now(), Step: leak.Reported, Text: a.Report.Text, By: "collector", Source: a.Source, Ref: a.Report.Ref,
	})
	return outcome{result: noted}
}

// decideRecheck looks at a dead key again, unless the incident has gone on since or was looked at already.
func (p *pass) decideRecheck(ctx context.Context) outcome {
	dead := p.head.State == leak.Contained || p.head.State == leak.Held && p.head.Key.Disabled
	same := p.head.ContainedAt.Equal(p.work.contained) && !p.head.LookedAt.After(p.work.contained)
	if !dead || !same || p.issuer.Issuer == nil {
		return outcome{result: nothingLeft}
	}
	if p.seen.standing == unclear {
		return outcome{result: back, err: admit.Postpone(fmt.Errorf("looking at a dead key again: %w", p.seen.err))}
	}
	p.incident.LookedAt = time.Now()
	switch p.seen.standing {
	case alive:
		return p.enabledBySomebody(ctx)
	case unseen:
		return p.recheckByUse(ctx)
	}
	return p.stillDead(ctx)
}

// found takes over what the issuer says of the key now. When it was last used is asked once only, when it is located.
func (p *pass) found(key leak.Key) {
	key.LastUsedAt = later(key.LastUsedAt, p.incident.Key.LastUsedAt)
	key.OwnerName = cmp.Or(key.OwnerName, p.incident.Key.OwnerName)
	if !key.Used.Known {
		key.Used = p.incident.Key.Used
	}
	p.incident.Key = key
}

// works notes that the key is not dead, or not any more.
func (p *pass) works() {
	p.incident.ContainedAt, p.incident.TokensLiveUntil = time.Time{}, time.Time{}
	p.incident.Proof = nil
}

// cannotEnable says why a key cannot be enabled; nil: it can.
func (p *pass) cannotEnable() error {
	switch {
	case p.issuer.Issuer == nil:
		return leak.Refuse("issuer %s is not configured any more", p.head.Issuer)
	case !p.issuer.Issuer.Abilities().Enable:
		return leak.Refuse("issuer %s cannot enable a key again", p.issuer.Name)
	case p.issuer.Issuer.Abilities().ByValue && p.work.content.Secret.Empty():
		return errors.New("the issuer names a key by its value only, and that is not kept any more")
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
