package policy

import (
	"cmp"
	"fmt"
	"slices"

	"stanch/receiver/leak"
)

// spare finds the keys that are never touched. They page: a leaked key stays alive, and it is one that matters.
func (p *Policy) spare(c Case, looks *[]Look) (leak.Decision, bool) {
	protected := slices.Contains(p.Protect, c.Key.ID)
	foreign := len(c.Accounts) > 0 && !slices.Contains(c.Accounts, c.Key.Account)
	for _, builtin := range []struct {
		rule, when string
		matched    bool
		text       string // why it does not match
	}{
		{leak.RuleOwn, "the key is one that stanch itself runs on", c.Key.Own, "it is not"},
		{leak.RuleProtect, "the key is listed in policy.protect", protected, "it is not: " + counted(len(p.Protect), "key")},
		{
			leak.RuleAccounts, "the key belongs to an account that is not listed for its issuer", foreign,
			"it does not: " + counted(len(c.Accounts), "account"),
		},
	} {
		look := Look{Rule: builtin.rule, When: builtin.when, Matched: builtin.matched, Text: builtin.text}
		if builtin.matched {
			look.Text = "it is so, and the key is left alone whatever else is configured"
		}
		*looks = append(*looks, look)
		if builtin.matched {
			return leak.Decision{
				Action: leak.Nothing, Rule: builtin.rule, Reason: builtin.when, Severity: leak.Critical,
			}, true
		}
	}
	return leak.Decision{}, false
}

func counted(n int, thing string) string {
	switch n {
	case 0:
		return "no " + thing + " is listed"
	case 1:
		return "one " + thing + " is listed"
	}
	return fmt.Sprintf("%d %ss are listed", n, thing)
}

// choose decides when no rule matches.
func (p *Policy) choose(k leak.Key, looks *[]Look) leak.Decision {
	d := leak.Decision{Severity: leak.Warning, Unlock: p.Unlock}
	d.Action, d.Rule = p.fallback(k.Setting)
	var when string
	switch d.Rule {
	case leak.RuleKey:
		when = "the key has a setting of its own"
		d.Reason = fmt.Sprintf("the key's own setting for a leak is %s", d.Action)
	case leak.RuleKeyNone:
		when = "the key's own setting is none"
		d.Reason = fmt.Sprintf("the key's own setting for a leak is none, for which policy.key_none says %s", d.Action)
	default:
		when = "nobody chose"
		d.Reason = fmt.Sprintf("the key has no setting for a leak, and policy.default says %s", d.Action)
	}
	*looks = append(*looks, Look{Rule: d.Rule, When: when, Matched: true, Text: d.Reason})
	return d
}

// fallback is what is done with a key of this setting when no rule matches, and the built-in that says so.
func (p *Policy) fallback(setting leak.Action) (leak.Action, string) {
	switch setting {
	case leak.Disable, leak.Delete:
		return setting, leak.RuleKey
	case leak.Nothing:
		return cmp.Or(p.KeyNone, leak.Nothing), leak.RuleKeyNone
	}
	return cmp.Or(p.Default, leak.Disable), leak.RuleDefault
}

// possible turns a decision that the issuer cannot carry out into the next that it can: a delete becomes a disable. A disable at an
// issuer that can only delete becomes a delete that a person must approve, because it cannot be undone.
func possible(d leak.Decision, able leak.Abilities) leak.Decision {
	if able.Can(d.Action) {
		return d
	}
	next := leak.Decision{Action: leak.Nothing}
	switch {
	case d.Action == leak.Delete && able.Disable:
		next.Action = leak.Disable // what a delete that waits for approval does at once needs no approval
	case d.Action == leak.Disable && able.Delete:
		next.Action, next.Approval = leak.Delete, true
	}
	d.Reason += fmt.Sprintf("; its issuer cannot %s a key, so: %s", d.Action, next.Action)
	if next.Approval {
		d.Reason += " after approval, because that cannot be undone"
	}
	d.Action, d.Approval = next.Action, next.Approval
	return d
}

// rehearsed is a decision of which nothing is done.
func rehearsed(d leak.Decision) leak.Decision {
	without := string(d.Action)
	if d.Approval {
		without += " after approval"
	}
	d.Reason = fmt.Sprintf("dry run: without it the action would be %s, because %s", without, d.Reason)
	d.Rule, d.Action, d.Approval = leak.RuleDryRun, leak.Nothing, false
	return d
}
