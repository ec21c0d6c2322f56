package policy

import (
	"fmt"
	"strings"

	"stanch/receiver/leak"
)

// lowered is an action that a rule would take away.
type lowered struct {
	action leak.Action // which would have been taken without the rule
	rule   string      // the rule that orders it; empty: one of the built-ins
	by     string      // what orders it, in words
}

// lowering refuses a rule that lets anything an alert carries lower an action: what it orders must not be weaker than
// what could be decided without it, whichever issuer knows the key and whatever the key's own setting is.
func (e *examination) lowering(i int, asked []int) []Fault {
	r := e.rules[i]
	seen, carried := r.expression.carried()
	if !carried {
		return nil
	}
	var worst lowered
	var rules, held []string
	for _, s := range asked {
		for _, l := range e.strongerThan(i, s) {
			if l.action.Stronger(worst.action) {
				worst = l
			}
			if l.rule != "" {
				rules = add(rules, l.rule)
			} else {
				held = add(held, string(e.situations[s].setting))
			}
		}
	}
	if worst.action == "" {
		return nil
	}
	return []Fault{{Field: "when", Line: seen.Line, Column: seen.Column, Text: fmt.Sprintf(
		"whoever leaks a key can influence %s, which must not lower an action: without this rule, %s could order %s; "+
			"%s, or say action: %s, or drop %s",
		seen.Field, worst.by, worst.action, before(rules, held), worst.action, seen.Field)}}
}

// strongerThan lists what could go further than a rule does, in one situation, if the rule were not there.
func (e *examination) strongerThan(i, s int) []lowered {
	known := e.situations[s]
	own := weaker(e.rules[i].Action, known.issuer.Strongest())
	var found []lowered
	note := func(action leak.Action, rule, by string) {
		if action = weaker(action, known.issuer.Strongest()); action.Stronger(own) {
			found = append(found, lowered{action, rule, by})
		}
	}
	for j := i + 1; j < len(e.rules); j++ {
		switch later := e.rules[j]; e.verdicts[j][s] {
		case maybe, broken:
			note(later.Action, later.Name, "rule "+later.Name)
		case always:
			note(later.Action, later.Name, "rule "+later.Name)
			return found
		}
	}
	action, builtin := e.fallback(known.setting)
	note(action, "", map[string]string{
		leak.RuleKey: "the key's own setting", leak.RuleKeyNone: "policy.key_none", leak.RuleDefault: "policy.default",
	}[builtin])
	return found
}

func weaker(a, b leak.Action) leak.Action {
	if a.Stronger(b) {
		return b
	}
	return a
}

// before says how to keep a rule, in words: what to put before it, and which settings to leave out.
func before(rules, held []string) string {
	var words []string
	if len(rules) > 0 {
		words = append(words, "put "+listed("rule", rules)+" before it")
	}
	if len(held) > 0 {
		words = append(words, "narrow it with "+without("key.setting", held))
	}
	return strings.Join(words, " and ")
}
