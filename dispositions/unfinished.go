package dispositions

import (
	"context"
	"fmt"
	"time"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// locateAnnounced looks at a key to which an announced action may have been done already.
func (p *pass) locateAnnounced(ctx context.Context) outcome {
	if wait := time.Until(p.incident.SettlesAt); wait > 0 {
		return outcome{result: back, err: &queue.Later{Delay: wait, Err: errSettling}}
	}
	if out := p.reach(ctx); !out.proceeds() {
		return out
	}
	p.seen = p.look(ctx)
	if p.seen.standing == unclear {
		return fail(fmt.Errorf("reading the key back from %s: %w", p.issuer.Name, p.seen.err))
	}
	return outcome{}
}

// decideAnnounced takes up an announced action that is not in force. Policy is asked again before: the key may have been protected
// since. Nothing else stops what was announced.
func (p *pass) decideAnnounced(ctx context.Context) outcome {
	// An accepted change that has had its time is in force now, or has failed; one that was seen in force was undone since.
	hadItsTime := !p.incident.SettlesAt.IsZero() && p.incident.Proof == nil && p.head.State != leak.Failed
	if hadItsTime || p.seen.shows(p.incident.Intended) || p.seen.standing == unseen && p.deadByUse(ctx) {
		return outcome{}
	}
	p.incident.SettlesAt, p.incident.Proof = time.Time{}, nil
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

// deadByUse reports whether an action that was announced at an issuer which cannot say how a key stands is seen to be in force.
func (p *pass) deadByUse(ctx context.Context) bool {
	if !p.issuer.tries(p.target()) {
		return false
	}
	trial, err := p.issuer.try(ctx, p.target())
	if err != nil {
		return false
	}
	p.tried(trial)
	return p.isDeath(trial)
}

// locateByName looks at a key whose secret is not kept any more.
func (p *pass) locateByName(ctx context.Context) outcome {
	if out := p.reach(ctx); !out.proceeds() {
		return out
	}
	if p.issuer.Issuer.Abilities().ByValue {
		return fail(fmt.Errorf("%s names a key by its value only, and that is not kept any more", p.issuer.Name))
	}
	p.seen = p.look(ctx)
	switch p.seen.standing {
	case gone:
		if p.issuer.Issuer.Abilities().Prove { // absence alone proves nothing, and the value cannot be tried any more
			p.works()
			p.incident.Key.Disabled = false
			return fail(fmt.Errorf("%s has no key of this id any more, and the leaked value is not kept to try whether it works", p.issuer.Name))
		}
		p.claim = "the key is gone: the issuer does not know its id any more"
	case unclear:
		return fail(fmt.Errorf("reading the key from %s: %w", p.issuer.Name, p.seen.err))
	case alive, disabled:
		p.found(p.seen.key)
	}
	return outcome{}
}

// decideHeld leaves an incident held, unless somebody has done to the key meanwhile what it is held for, or a new sighting orders
// without approval what it is held for: then policy decides again.
func (p *pass) decideHeld() (out outcome, again bool) {
	switch {
	case p.issuer.Issuer == nil, p.seen.standing == unclear:
	case p.seen.standing == gone:
		p.claim = "the key is gone: somebody deleted it while the incident was held"
		return outcome{}, false
	case p.seen.shows(p.incident.Action):
		p.claim = "the key is disabled: somebody did it while the incident was held"
		return outcome{}, false
	case p.isNew() && p.released():
		return outcome{}, true
	}
	return outcome{result: stays}, false
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
