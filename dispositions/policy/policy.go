// Package policy decides what is done with a leaked key. It is pure: it knows the operator's configuration and what the
// issuer says of the key, does no I/O, and gives a reason for every decision. Only what the issuer says may lower an
// action; nothing that an alert carries can, because a leaker writes it.
package policy

import (
	"fmt"
	"slices"
	"time"

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

// Config is the operator's configuration of decisions. The zero Config disables what nobody configured and leaves alone
// what is set to none.
type Config struct {
	Default leak.Action // when neither a rule nor the key says; empty: disable
	KeyNone leak.Action // when the key's own setting is none; empty: nothing
	DryRun  bool        // decide, tell, and do nothing
	Unlock  bool        // a locked key may be unlocked in order to act on it
	Protect []string    // key ids that are never touched, always paged
	Rules   []Rule      // in the order in which they are asked; the first that matches decides
	Issuers []Issuer    // every configured one
}

// Rule is one of the operator's own rules.
type Rule struct {
	Name     string        // as decisions name it
	When     string        // a CEL expression
	Action   leak.Action   // what is done when it matches
	Severity leak.Severity // how urgently somebody must look then; empty: warning
	Approval bool          // a person must approve the action; a delete disables at once
	Unlock   *bool         // whether a locked key may be unlocked; nil: as Config.Unlock says
}

// Issuer is what a rule must know of an issuer to be right for its keys.
type Issuer struct {
	Name      string
	Strongest leak.Action // the strongest action that it can do
	Unlocks   bool        // whether it can unlock a key
}

// Fault is something wrong with a rule.
type Fault struct {
	Rule   int    // index in Config.Rules
	Field  string // of the rule: when, action ...
	Line   int    // within When, from 1; 0: the fault is not at a place within it
	Column int    // within the line, in characters from 1
	Text   string // what is wrong, and what to write instead
}

// Policy decides. It is safe for concurrent use.
type Policy struct {
	Config
}

// New compiles a policy, or returns every fault of its rules.
func New(c Config) (*Policy, []Fault) { return &Policy{c}, nil }

// Case is what a decision is about.
type Case struct {
	Issuer string   // configured name of the issuer that knows the key
	Key    leak.Key // as the issuer says it is
	// Accounts are those that the issuer may act in; empty: any.
	Accounts []string
	// Strongest is the strongest action that the issuer is able to do.
	Strongest leak.Action
	// Alert is the report that the decision is made on. Where nothing is known of it its fields are empty.
	Alert Alert
	// Incident is the key's incident with everything known so far, this alert included.
	Incident leak.Incident
	Now      time.Time
}

// Alert is what a rule may know of a report. Whoever leaks a key can write most of it.
type Alert struct {
	Source     string // configured name of the source
	SourceType string // its configured type
	Type       string // the source's name for the kind of token
	URL        string
	Place      string
}

// Look is what became of one rule while a decision was made.
type Look struct {
	Rule    string `json:"rule"`
	When    string `json:"when"` // its expression; of a built-in, what it asks in words
	Matched bool   `json:"matched"`
	// Text says why, with the values that the expression looked at, or what was wrong with it. It may hold where a key
	// was seen: it is for whoever asks, not for the log.
	Text string `json:"text"`
	// Failure is set when the expression could not be evaluated, and the next rule was asked: what was wrong, without any
	// value that an alert carries, because it goes into the log.
	Failure string `json:"failure,omitempty"`
}

// Decide chooses the action for a key, and tells what it looked at on the way, in order.
func (p *Policy) Decide(c Case) (leak.Decision, []Look) {
	if spared, ok := p.spare(c); ok {
		return spared, nil
	}
	d := p.choose(c.Key)
	d.Unlock = p.Unlock
	if d.Action.Stronger(c.Strongest) {
		d.Reason += fmt.Sprintf("; its issuer cannot %s a key, so: %s", d.Action, c.Strongest)
		d.Action = c.Strongest
	}
	if p.DryRun && d.Action != leak.Nothing {
		d.Reason = fmt.Sprintf("dry run: without it the action would be %s, because %s", d.Action, d.Reason)
		d.Rule, d.Action = RuleDryRun, leak.Nothing
	}
	return d, nil
}

// spare finds the keys that are never touched. They page: a leaked key stays alive, and it is one that matters.
func (p *Policy) spare(c Case) (leak.Decision, bool) {
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

func (p *Policy) choose(k leak.Key) leak.Decision {
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

// Untouchable reports whether a decision to do nothing was made by a built-in that stands whatever was decided before.
func Untouchable(rule string) bool {
	return slices.Contains([]string{RuleOwn, RuleProtect, RuleAccounts, RuleDryRun}, rule)
}
