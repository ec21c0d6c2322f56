package dispositions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/admit"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue/span"
)

// locate is the first phase: whose key is it, and how does it stand? An incident that nobody has decided about is looked up by
// the leaked value; every other one by what its issuer names the key by.
func (p *pass) locate(ctx context.Context) outcome {
	switch p.purpose {
	case contain:
		if p.work.content.Secret.Empty() {
			return p.locateByName(ctx)
		}
		return p.locateByValue(ctx)
	case resume:
		return p.locateAnnounced(ctx)
	case await, recheck:
		p.seen = p.look(ctx)
	case repeat:
		if p.head.State == leak.Closed && !p.head.Told {
			p.seen = p.look(ctx)
		}
	case obey:
		if verb := p.work.order.Verb; verb == Undo || verb == Reject && p.head.Key.Disabled {
			p.issuer.limiter = nil // a person waits, and asks for one key
			p.seen = p.look(ctx)
		}
	}
	return outcome{}
}

// locateByValue asks each issuer that may see the secret whose key it is.
func (p *pass) locateByValue(ctx context.Context) outcome {
	content := p.work.content
	if issuer, kind, how, ok := p.settings.recognise(content); ok {
		return p.decideByHand(issuer, kind, how)
	}
	if candidates := p.settings.candidates(content); len(candidates) > 0 && p.slot.at == "" {
		if err := p.slot.acquire(ctx, candidates[0], p.work.delivered); err != nil {
			return outcome{result: back, err: err}
		}
	}
	ctx, s := p.phase(ctx, phaseLocate)
	issuer, key, err := p.settings.locate(ctx, content)
	s.end(err)
	switch {
	case errors.Is(err, leak.ErrNotFound), errors.Is(err, leak.ErrNotVisible):
		return p.locateNowhere(ctx, err)
	case err != nil:
		return fail(err)
	}
	if other := p.engine.halves.other(issuer, key, p.work.incident); other != "" {
		return outcome{result: back, err: &joinedTo{other}}
	}
	if p.incident.Issuer != issuer.Name || p.incident.Key.ID != key.ID {
		p.step(leak.Located, located(issuer, key))
	}
	p.issuer, p.seen = issuer, observe(key, nil)
	p.incident.Issuer, p.incident.Key, p.incident.Denied = issuer.Name, key, false
	return p.control(ctx)
}

func located(issuer connection, key leak.Key) string {
	if key.ID == "" {
		return issuer.Name + " knows the key"
	}
	return fmt.Sprintf("%s knows the key: %s", issuer.Name, key.ID)
}

// control tries the value before anything is done, once, where only that makes a later refusal a proof.
func (p *pass) control(ctx context.Context) outcome {
	if !p.issuer.Issuer.Abilities().Control || !p.issuer.tries(p.target()) || !p.incident.WorkedAt.IsZero() {
		return outcome{}
	}
	trial, err := p.issuer.try(ctx, p.target())
	switch {
	case admit.Postponed(err):
		return outcome{result: back, err: err}
	case err == nil && trial.Result == leak.Works:
		p.incident.WorkedAt = time.Now()
	}
	return outcome{}
}

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
		if out, again := p.decideHeld(); !again {
			return out
		}
		return p.decideByPolicy(ctx)
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
	case merge:
		return p.endJoined()
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
		p.worksThough(ctx)
		return outcome{result: isLeft}
	case p.seen.shows(now) && now != d.Action:
		p.claim = "the key was disabled already when it was looked up"
	case p.seen.shows(d.Action):
		p.claim = "the key was disabled already when it was looked up; nothing had to be done"
	case p.incident.Key.Locked && !d.Unlock:
		p.worksThough(ctx)
		return fail(errLocked)
	case p.incident.Key.Locked && !able.Lock:
		return fail(fmt.Errorf("%w, and %s has no call that unlocks it", leak.ErrLocked, p.issuer.Name))
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

// announce is the third phase: nothing is done to a key before that is on disk.
func (p *pass) announce(ctx context.Context) outcome {
	if p.todo == "" || p.todo == p.incident.Intended {
		return outcome{}
	}
	ctx, s := p.phase(ctx, phaseAnnounce)
	p.incident.State, p.incident.Intended = leak.Open, p.todo
	text := fmt.Sprintf("about to %s the key", p.todo)
	if p.incident.Key.Locked {
		text = fmt.Sprintf("about to unlock the key, and to %s it", p.todo)
	}
	p.step(leak.Intended, text)
	err := p.record(ctx)
	s.end(err)
	if err != nil {
		return outcome{result: back, err: err}
	}
	return outcome{}
}

// act is the fourth phase: the issuer is asked for what the log announces. Whatever it answers, the next phase asks how the key
// stands: a refusal may have been carried out, and an acceptance may not.
func (p *pass) act(ctx context.Context) outcome {
	if p.todo == "" {
		return outcome{}
	}
	if p.todo != leak.Enable { // a person waits for that
		if out := p.reach(ctx); !out.proceeds() {
			return out
		}
	}
	ctx, s := p.phase(ctx, phaseAct)
	if p.incident.Key.Locked && p.todo != leak.Enable { // policy allows to unlock it
		p.acted = p.issuer.unlock(ctx, p.target())
	}
	if p.acted == nil {
		p.acted = p.issuer.effect(ctx, p.todo, p.target())
	}
	s.end(p.acted)
	return outcome{}
}

// prove is the fifth phase: is the key dead, as its issuer says, and is the leaked value refused? Nothing else is called
// contained.
func (p *pass) prove(ctx context.Context) outcome {
	if p.todo != "" {
		reading, s := p.phase(ctx, phaseProve)
		p.seen = p.look(reading)
		s.end(p.seen.err)
	}
	switch {
	case p.todo == leak.Enable:
		return p.proveEnabled()
	case p.claim != "", p.seen.shows(p.incident.Intended):
		return p.proveDead(ctx)
	case p.seen.standing == unseen:
		return p.proveByUse(ctx)
	}
	return p.notInForce(ctx)
}

// proveDead goes on after a key that its issuer says is dead: the leaked value is tried as well, where it can be.
func (p *pass) proveDead(ctx context.Context) outcome {
	proof, text := leak.Proof{Kind: leak.ReadBackGone}, "proved: asked again, the issuer has no such key any more"
	if p.seen.standing == disabled {
		proof.Kind, text = leak.ReadBackDisabled, "proved: read back from the issuer, the key is disabled"
	}
	if p.issuer.tries(p.target()) {
		trial, err := p.refused(ctx)
		switch {
		case err != nil && p.purpose == await:
			return outcome{result: stays}
		case err != nil:
			return fail(err)
		}
		proof.Code = trial.Code
		if p.seen.standing == gone && trial.Exists {
			proof.Kind, text = leak.RefusedByUse, "proved: the issuer shows no such key, and says that it is disabled"
			p.seen = observation{standing: disabled, key: p.incident.Key}
			p.seen.key.Disabled = true
		}
		text += ", and the leaked value is refused" + unusual(trial)
	}
	if p.claim != "" && proof.Kind != leak.RefusedByUse {
		text = p.claim
	}
	if p.issuer.Issuer.Abilities().Prove && p.work.content.Secret.Empty() {
		text += "; the leaked value is not kept any more, so it was not tried"
	}
	return p.proved(proof, text)
}
