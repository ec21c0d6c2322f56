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
	works, text := p.useUnknown(ctx)
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
