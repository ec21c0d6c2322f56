// Package policy decides what is done with a leaked key. It is pure: it knows the operator's configuration and what the
// issuer says of the key, does no I/O, and gives a reason for every decision. Only what the issuer says may lower an
// action; nothing that an alert carries can, because a leaker writes it.
package policy

import (
	"fmt"
	"slices"

	"stanch/receiver/leak"
)

// The built-in rules, as decisions name them.
const (
	RuleOwn      = "own_credential" // a key that stanch itself runs on
	RuleProtect  = "protect"        // listed in policy.protect
	RuleAccounts = "accounts"       // of an account that is not the issuer's
	RuleKey      = "key"            // the key's own setting
	RuleKeyNone  = "key_none"       // the key's own setting is none
	RuleDefault  = "default"        // nobody chose
	RuleDryRun   = "dry_run"        // something would have been done
)

// Policy is the operator's configuration of decisions. The zero Policy disables what nobody configured and leaves alone
// what is set to none.
type Policy struct {
	Default leak.Action // when the key says nothing; empty: disable
	KeyNone leak.Action // when the key's own setting is none; empty: nothing
	DryRun  bool        // decide, tell, and do nothing
	Unlock  bool        // a locked key may be unlocked in order to act on it
	Protect []string    // key ids that are never touched, always paged
}

// Case is what a decision is about.
type Case struct {
	Key      leak.Key
	Accounts []string // the accounts that the issuer may act in; empty: any
	// Strongest is the strongest action that the issuer is able to do.
	Strongest leak.Action
}

// Decide chooses the action for a key.
func (p Policy) Decide(c Case) leak.Decision {
	if spared, ok := p.spare(c); ok {
		return spared
	}
	d := p.choose(c.Key)
	if d.Action.Stronger(c.Strongest) {
		d.Reason += fmt.Sprintf("; its issuer cannot %s a key, so: %s", d.Action, c.Strongest)
		d.Action = c.Strongest
	}
	if p.DryRun && d.Action != leak.Nothing {
		d.Reason = fmt.Sprintf("dry run: without it the action would be %s, because %s", d.Action, d.Reason)
		d.Rule, d.Action = RuleDryRun, leak.Nothing
	}
	return d
}

// spare finds the keys that are never touched. They page: a leaked key stays alive, and it is one that matters.
func (p Policy) spare(c Case) (leak.Decision, bool) {
	d := leak.Decision{Action: leak.Nothing, Severity: leak.Critical}
	switch {
	case c.Key.Own:
		d.Rule, d.Reason = RuleOwn, "the key is one that stanch itself runs on"
	case slices.Contains(p.Protect, c.Key.ID):
		d.Rule, d.Reason = RuleProtect, "the key is listed in policy.protect"
	case len(c.Accounts) > 0 && !slices.Contains(c.Accounts, c.Key.Account):
		d.Rule, d.Reason = RuleAccounts, "the key belongs to an account that is not listed for its issuer"
	default:
		return leak.Decision{}, false
	}
	return d, true
}

func (p Policy) choose(k leak.Key) leak.Decision {
	d := leak.Decision{Severity: leak.Warning}
	switch k.Setting {
	case leak.Disable, leak.Delete:
		d.Action, d.Rule = k.Setting, RuleKey
		d.Reason = fmt.Sprintf("the key's own setting for a leak is %s", k.Setting)
	case leak.Nothing:
		d.Action, d.Rule = or(p.KeyNone, leak.Nothing), RuleKeyNone
		d.Reason = fmt.Sprintf("the key's own setting for a leak is none, for which policy.key_none says %s", d.Action)
	default:
		d.Action, d.Rule = or(p.Default, leak.Disable), RuleDefault
		d.Reason = fmt.Sprintf("the key has no setting for a leak, and policy.default says %s", d.Action)
	}
	return d
}

func or(a, otherwise leak.Action) leak.Action {
	if a == "" {
		return otherwise
	}
	return a
}
