package dispositions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/admit"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
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
		if p.work.order.Verb == Undo {
			p.issuer.limiter = nil // a person waits, and asks for one key
			p.seen = p.look(ctx)
		}
	}
	return outcome{}
}

// look asks the incident's issuer how the key stands, where it can tell.
func (p *pass) look(ctx context.Context) observation {
	if p.issuer.Issuer == nil || !p.issuer.reads(p.target()) {
		return observation{}
	}
	return observe(p.issuer.read(ctx, p.target()))
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
		p.claim = "the key is gone: the issuer does not know its id any more"
	case unclear:
		return fail(fmt.Errorf("reading the key from %s: %w", p.issuer.Name, p.seen.err))
	case alive, disabled:
		p.found(p.seen.key)
	}
	return outcome{}
}

// reach takes a slot at the incident's issuer.
func (p *pass) reach(ctx context.Context) outcome {
	if p.issuer.Issuer == nil {
		return fail(fmt.Errorf("issuer %s is not configured any more", p.incident.Issuer))
	}
	if err := p.slot.acquire(ctx, p.issuer, p.work.delivered); err != nil {
		return outcome{result: back, err: err}
	}
	return outcome{}
}

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

// locateNowhere goes on after a secret that no issuer knows, or none shows us. A key that was known before is dead if it is gone
// by its name as well.
func (p *pass) locateNowhere(ctx context.Context, reason error) outcome {
	if p.incident.Located() && p.issuer.Issuer != nil {
		return p.locateKnown(ctx)
	}
	works, text := p.useUnknown(ctx)
	candidates := len(p.settings.candidates(p.work.content))
	p.incident.Denied = candidates > 0 && !works && errors.Is(reason, leak.ErrNotFound) && (p.head.Denied || p.head.State != leak.Unknown)
	rule, severity := "", leak.Info
	switch {
	case works:
		rule, severity = leak.RuleNotOurs, leak.Critical
	case errors.Is(reason, leak.ErrNotVisible):
		severity = leak.Warning
	}
	if p.head.State == leak.Unknown && p.head.Rule == rule {
		return outcome{result: stays}
	}
	p.incident.Rule, p.incident.Severity = rule, severity
	return outcome{result: isUnknown, text: reason.Error() + text}
}

// useUnknown tries a value that no issuer knows as its finder would, before it is said to be nobody's.
func (p *pass) useUnknown(ctx context.Context) (works bool, text string) {
	for _, issuer := range p.settings.candidates(p.work.content) {
		if !issuer.tries(p.target()) {
			continue
		}
		trial, err := issuer.try(ctx, p.target())
		switch {
		case err != nil:
			p.engine.config.Log.DebugContext(ctx, "whether an unknown value works is not known", "incident", p.incident.ID, "err", err)
		case trial.Result == leak.Works:
			return true, "; tried as its finder would, the value works: the key is not ours to disable"
		default:
			text = "; tried as its finder would, the value is refused" + withCode(trial.Code)
		}
	}
	return false, text
}

func withCode(code string) string {
	if code == "" {
		return ""
	}
	return " with " + code
}

// locateKnown looks at a key whose value its issuer does not know any more.
func (p *pass) locateKnown(ctx context.Context) outcome {
	p.seen = p.look(ctx)
	dead := p.head.State == leak.Contained || p.head.State == leak.Accepted
	switch {
	case (p.seen.standing == gone || p.seen.standing == unseen) && dead:
		return outcome{result: noted} // a new sighting of a key that is still gone
	case p.seen.standing == gone:
		p.claim = "the key is gone: the issuer knows neither its value nor its id"
		return outcome{}
	case p.seen.standing == unclear:
		return fail(p.seen.err)
	case p.seen.standing == unseen:
		return fail(fmt.Errorf("%s does not know the value any more: %w", p.issuer.Name, leak.ErrNotFound))
	}
	return fail(errors.New("the issuer knows the key's id and not its value"))
}
