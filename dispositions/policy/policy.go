// Package policy decides what is done with a leaked key. It is pure: it knows the operator's configuration and what the
// issuer says of the key, does no I/O, and gives a reason for every decision. Only what the issuer says may lower an
// action; nothing that an alert carries can, because a leaker writes it.
package policy

import (
	"cmp"
	"slices"
	"time"

	"stanch/receiver/leak"
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
	Issuers []Issuer    // every configured one; without any, keys of any issuer are thought of, and it can do anything
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
	Name string
	leak.Abilities
}

// Policy decides. It is safe for concurrent use.
type Policy struct {
	Config
	rules []rule
}

// New compiles a policy, or returns every fault of its rules, in their order. It asks nobody.
func New(c Config) (*Policy, []Fault) {
	p := &Policy{Config: c}
	faults := p.compile()
	faults = append(faults, p.refuse()...)
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.Rule, b.Rule) })
		return nil, faults
	}
	return p, nil
}

// Case is what a decision is about.
type Case struct {
	Issuer string   // configured name of the issuer that knows the key
	Key    leak.Key // as the issuer says it is
	// Accounts are those that the issuer may act in; empty: any.
	Accounts []string
	// Abilities is what the issuer can do.
	Abilities leak.Abilities
	// Alert is the report that the decision is made on. Where nothing is known of it its fields are empty.
	Alert Alert
	// Incident is the key's incident with everything known so far, this alert included.
	Incident leak.Incident
	// Now is the present as rules see it; with the zero time, a rule that looks at it cannot be evaluated.
	Now time.Time
}

// Alert is what a rule may know of a report. Whoever leaks a key can write most of it.
type Alert struct {
	Source     string // configured name of the source
	SourceType string // its configured type
	Type       string // the source's name for the kind of token
	URL        string
	Place      string
	leak.Marks // what the source knows of the leak beyond its place
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

// Decide chooses the action for a key, and tells what it looked at on the way, in order. A rule that cannot be evaluated
// does not match.
func (p *Policy) Decide(c Case) (leak.Decision, []Look) {
	var looks []Look
	if spared, ok := p.spare(c, &looks); ok {
		return spared, looks
	}
	d := possible(p.ask(c, 0, &looks), c.Abilities)
	if p.DryRun && d.Action != leak.Nothing {
		d = rehearsed(d)
		looks = append(looks, Look{Rule: leak.RuleDryRun, When: "policy.dry_run is set", Matched: true, Text: "nothing is done"})
	}
	return d, looks
}

// ask asks the rules, from one of them on, and what decides when none matches. A rule that looks at what an alert carries
// does not end it: what would be decided without the rule stands if it goes further, so that no leaker can opt out.
func (p *Policy) ask(c Case, from int, looks *[]Look) leak.Decision {
	for i := from; i < len(p.rules); i++ {
		r := &p.rules[i]
		look := r.look(&c)
		*looks = append(*looks, look)
		if !look.Matched {
			continue
		}
		d := r.decision(p.Unlock)
		if _, carried := r.expression.carried(); carried {
			d = raised(d, p.ask(c, i+1, looks))
		}
		return d
	}
	return p.choose(c.Key, looks)
}

// Untouchable reports whether a decision to do nothing was made by a built-in that stands whatever was decided before.
func Untouchable(rule string) bool {
	return slices.Contains([]string{leak.RuleOwn, leak.RuleProtect, leak.RuleAccounts, leak.RuleDryRun}, rule)
}
