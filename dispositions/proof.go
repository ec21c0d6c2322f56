package dispositions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/receiver/leak"
)

// proveByUse goes on after an action at an issuer that cannot say how a key stands: the leaked value is tried, where it can be.
func (p *pass) proveByUse(ctx context.Context) outcome {
	if !p.issuer.tries(p.target()) {
		if p.acted != nil {
			return fail(fmt.Errorf("asking %s to %s the key: %w", p.issuer.Name, p.incident.Intended, p.acted))
		}
		return outcome{result: isAccepted, text: fmt.Sprintf(
			"%s accepted the request to %s the key, and offers no way to find out whether it is dead", p.issuer.Name, p.incident.Intended)}
	}
	ctx, s := p.phase(ctx, phaseProve)
	trial, err := p.issuer.try(ctx, p.target())
	s.end(err)
	if err != nil {
		return fail(fmt.Errorf("trying the leaked value: %w", err))
	}
	p.tried(trial)
	switch {
	case p.isDeath(trial):
		return p.proved(leak.Proof{Kind: leak.RefusedByUse, Code: trial.Code}, "proved: the leaked value is refused"+withCode(trial.Code))
	case p.acted != nil:
		return fail(fmt.Errorf("asking %s to %s the key: %w", p.issuer.Name, p.incident.Intended, p.acted))
	case p.maySettle():
		return outcome{result: isSettling, text: fmt.Sprintf("%s accepted the request to %s the key, and the leaked value %s so far",
			p.issuer.Name, p.incident.Intended, trialWord(trial))}
	case trial.Result == leak.Works:
		p.incident.SettlesAt = time.Time{} // asked for again
		return fail(fmt.Errorf("%s accepted the request to %s the key: %w", p.issuer.Name, p.incident.Intended, leak.ErrAlive))
	}
	return outcome{result: isAccepted, text: fmt.Sprintf(
		"%s accepted the request to %s the key; the leaked value is refused%s, which alone does not prove that it is dead: it was never seen to work",
		p.issuer.Name, p.incident.Intended, withCode(trial.Code))}
}

// worksThough reports whether the leaked value works of a key that its issuer says is disabled or expired, where it can be tried; then
// nothing is said of the key that rests on what the issuer says.
func (p *pass) worksThough(ctx context.Context) bool {
	useless := p.seen.standing == disabled || p.seen.standing == alive && hasExpired(p.seen.key)
	if !useless || !p.issuer.tries(p.target()) {
		return false
	}
	trial, err := p.issuer.try(ctx, p.target())
	if err != nil || trial.Result != leak.Works {
		return false
	}
	p.tried(trial)
	p.incident.Key.Disabled = false
	return true
}

// maySettle reports whether an accepted action that does not show yet may do so within the time that changes take there.
func (p *pass) maySettle() bool {
	waits := p.issuer.Issuer.Abilities().Settles > 0 && p.incident.SettlesAt.IsZero()
	return waits && p.acted == nil && p.head.State != leak.Failed
}

// tried notes that a value worked: a later refusal of it proves something then.
func (p *pass) tried(t leak.Trial) {
	if t.Result == leak.Works {
		p.incident.WorkedAt = time.Now()
	}
}

func trialWord(t leak.Trial) string {
	if t.Result == leak.Works {
		return "works"
	}
	return "is refused"
}

// notInForce goes on after an action that was asked for and whose effect is not there.
func (p *pass) notInForce(ctx context.Context) outcome {
	if p.seen.standing == alive && p.maySettle() {
		return outcome{result: isSettling, text: fmt.Sprintf("%s accepted the request to %s the key, which works so far",
			p.issuer.Name, p.incident.Intended)}
	}
	lock := p.relock(ctx, p.incident.Key, p.seen.key)
	if p.seen.standing == unclear {
		return fail(fmt.Errorf("reading the key back from %s: %w%s", p.issuer.Name, p.seen.err, lock))
	}
	p.incident.Key.Disabled = p.seen.key.Disabled
	if p.worksThough(ctx) {
		return fail(fmt.Errorf("%s said that the key is disabled: trying the leaked value: %w%s", p.issuer.Name, leak.ErrAlive, lock))
	}
	if hasExpired(p.seen.key) && p.issuer.tries(p.target()) {
		if trial, err := p.refused(ctx); err == nil {
			return p.proved(leak.Proof{Kind: leak.ReadBackExpired, Code: trial.Code}, "proved: the key has expired, and the leaked value is refused")
		}
	}
	if p.acted != nil {
		return fail(fmt.Errorf("asking %s to %s the key: %w%s", p.issuer.Name, p.incident.Intended, p.acted, lock))
	}
	still := "it still works when read back"
	if p.seen.standing == disabled {
		still = "it is disabled and not deleted when read back"
	}
	return fail(fmt.Errorf("%s accepted the request to %s the key, but %s%s", p.issuer.Name, p.incident.Intended, still, lock))
}

// hasExpired reports whether a key is of no use because its time is over. Somebody may extend it, so an action is taken all the same.
func hasExpired(key leak.Key) bool { return !key.ExpiresAt.IsZero() && time.Now().After(key.ExpiresAt) }

// relock locks a key again that was unlocked for an action which is not in force, and says what became of the lock; empty: there
// was none to lift. The zero Key is one that could not be read.
func (p *pass) relock(ctx context.Context, before, after leak.Key) string {
	if !before.Locked || after.Locked || !p.issuer.Issuer.Abilities().Lock {
		return ""
	}
	locked := p.issuer.relock(ctx, p.target())
	seen := p.look(ctx)
	why := "read back it is not locked"
	switch {
	case seen.key.Locked:
		return "; it is locked again, as read back"
	case locked != nil:
		why = locked.Error()
	case seen.err != nil:
		why = seen.err.Error()
	}
	return "; it was unlocked, and it could not be locked again: " + why
}

// proveEnabled reads back a key that was to be enabled.
func (p *pass) proveEnabled() outcome {
	switch p.seen.standing {
	case gone:
		p.incident.Proof = &leak.Proof{Kind: leak.ReadBackGone, At: time.Now()}
		return outcome{result: isContained, text: "the key is gone: it cannot be enabled again"}
	case alive:
		return outcome{result: isUndone, text: "proved: read back from the issuer, the key is enabled"}
	case unclear:
		return outcome{result: undoFailed, err: fmt.Errorf("reading the key back from %s: %w", p.issuer.Name, p.seen.err)}
	case unseen:
		return outcome{result: undoFailed, err: errors.New("whether the key is enabled cannot be read back")}
	}
	if p.acted != nil {
		return outcome{result: undoFailed, err: fmt.Errorf("asking %s to enable the key: %w", p.issuer.Name, p.acted)}
	}
	return outcome{result: undoFailed, err: fmt.Errorf("%s accepted the request to enable the key, but it is still disabled when read back", p.issuer.Name)}
}

// refused tries the leaked value of a key that its issuer says is dead. The error says that the value works, that nobody can tell,
// or that a key which is not there to ask is refused in a way that says nothing.
func (p *pass) refused(ctx context.Context) (leak.Trial, error) {
	ctx, s := p.phase(ctx, phaseProve)
	trial, err := p.issuer.try(ctx, p.target())
	s.end(err)
	switch {
	case err != nil:
	case trial.Result == leak.Works:
		err = fmt.Errorf("trying the leaked value: %w", leak.ErrAlive)
	case p.seen.standing == gone && trial.Exists && p.incident.Action == leak.Delete:
		err = fmt.Errorf("trying the leaked value: it is refused%s, as that of a key which is disabled and not deleted", withCode(trial.Code))
	case p.seen.standing == gone && !p.isDeath(trial):
		err = fmt.Errorf("trying the leaked value: it is refused%s, which does not say that the key is dead", withCode(trial.Code))
	}
	if err != nil {
		return leak.Trial{}, fmt.Errorf("%s said that the key is dead: %w", p.issuer.Name, err)
	}
	return trial, nil
}

// unusual names the code of a refusal that is not documented to mean a dead key.
func unusual(t leak.Trial) string {
	if t.Result == leak.Dead {
		return ""
	}
	return withCode(t.Code)
}

// isDeath reports whether a trial proves by itself that the key is dead: by a documented code, or because the same value worked
// before.
func (p *pass) isDeath(t leak.Trial) bool {
	return t.Result == leak.Dead || t.Result == leak.Refused && !p.incident.WorkedAt.IsZero()
}

// proved goes on after a proof. Where changes take time to hold everywhere, the first proof is followed by a second.
func (p *pass) proved(proof leak.Proof, text string) outcome {
	proof.At = time.Now()
	if p.incident.Intended != "" && p.issuer.Issuer.Abilities().Settles > 0 {
		if p.incident.SettlesAt.IsZero() {
			p.incident.Proof = &proof
			return outcome{result: isSettling, text: text}
		}
		proof.SettledAt = proof.At
		if first := p.incident.Proof; first != nil {
			proof.At = first.At
			text += fmt.Sprintf("; so it was at once, and so it is after the %s that changes take there",
				p.issuer.Issuer.Abilities().Settles)
		}
	}
	p.incident.Proof = &proof
	if p.seen.standing == disabled && p.incident.Action == leak.Delete && proof.Kind != leak.ReadBackExpired {
		return outcome{result: isDisabled, text: text}
	}
	return outcome{result: isContained, text: text}
}
