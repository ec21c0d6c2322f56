package dispositions

import (
	"context"
	"errors"
	"fmt"

	"stanch/receiver/leak"
)

// decideByHand ends an incident whose secret only a person can revoke. It pages: as far as anybody knows the secret works.
func (p *pass) decideByHand(issuer, kind, how string) outcome {
	if p.head.State == leak.Left && p.head.Rule == leak.RuleByHand {
		return outcome{result: noted} // a new sighting of what a person was told to revoke
	}
	p.incident.Issuer, p.incident.Key = issuer, leak.Key{Kind: kind}
	p.decided(leftByHand(kind, how))
	return outcome{result: isLeft}
}

// locateNowhere goes on after a secret that no issuer knows, or none shows us. A key that was known before is dead if it is gone
// by its name as well.
func (p *pass) locateNowhere(ctx context.Context, reason error) outcome {
	if p.incident.Located() && p.issuer.Issuer != nil {
		return p.locateKnown(ctx)
	}
	works, text, err := p.useUnknown(ctx)
	if err != nil {
		return fail(err)
	}
	candidates := len(p.settings.candidates(p.work.content))
	p.incident.Denied = candidates > 0 && !works && errors.Is(reason, leak.ErrNotFound) && (p.head.Denied || p.head.State != leak.Unknown)
	rule, severity := "", leak.Info
	switch {
	case works:
		rule, severity = leak.RuleNotOurs, leak.Critical
	case errors.Is(reason, leak.ErrNotVisible):
		rule, severity = leak.RuleHidden, leak.Warning
	}
	if p.head.State == leak.Unknown && p.head.Rule == rule {
		return outcome{result: stays}
	}
	p.incident.Rule, p.incident.Severity = rule, severity
	return outcome{result: isUnknown, text: reason.Error() + text}
}

// useUnknown tries a value that no issuer knows as its finder would, before it is said to be nobody's.
func (p *pass) useUnknown(ctx context.Context) (works bool, text string, err error) {
	for _, issuer := range p.settings.candidates(p.work.content) {
		if !issuer.tries(p.target()) {
			continue
		}
		trial, err := issuer.try(ctx, p.target())
		switch {
		case err != nil:
			return false, "", fmt.Errorf("trying a value that no issuer knows: %w", err)
		case trial.Result == leak.Works:
			return true, "; tried as its finder would, the value works: the key is not ours to disable", nil
		default:
			text = "; tried as its finder would, the value is refused" + withCode(trial.Code)
		}
	}
	return false, text, nil
}

// locateKnown looks at a key whose value its issuer does not know, or does not show, any more, by what it named the key by before.
func (p *pass) locateKnown(ctx context.Context) outcome {
	p.seen = p.look(ctx)
	dead := p.head.State == leak.Contained || p.head.State == leak.Accepted
	switch {
	case p.seen.standing == unclear:
		return fail(p.seen.err)
	case p.seen.standing == alive || p.seen.standing == disabled:
		p.found(p.seen.key)
		return outcome{}
	case dead:
		return p.stillGone(ctx)
	case p.seen.standing == gone:
		p.claim = "the key is gone: the issuer knows neither its value nor its id"
		return outcome{}
	}
	return fail(fmt.Errorf("%s does not know the value any more: %w", p.issuer.Name, leak.ErrNotFound))
}

// stillGone settles a new sighting of a key that was proved dead and is not there to ask: its value is tried, where it can be.
func (p *pass) stillGone(ctx context.Context) outcome {
	if p.issuer.tries(p.target()) {
		if _, err := p.refused(ctx); err != nil {
			p.works()
			return fail(err)
		}
	}
	return outcome{result: noted}
}
