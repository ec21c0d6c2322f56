package policy

import (
	"fmt"
	"slices"
	"strings"

	"stanch/receiver/leak"
)

// settings are what a key's own setting can be.
var settings = []leak.Action{"", leak.Nothing, leak.Disable, leak.Delete}

// situation is what can be known of a key before it leaks.
type situation struct {
	issuer  Issuer // without a name: any
	setting leak.Action
}

func (p *Policy) situations() []situation {
	issuers := p.Issuers
	if len(issuers) == 0 {
		issuers = []Issuer{{Abilities: leak.Abilities{Disable: true, Enable: true, Delete: true, Lock: true}}}
	}
	var all []situation
	for _, issuer := range issuers {
		for _, setting := range settings {
			all = append(all, situation{issuer, setting})
		}
	}
	return all
}

// examination is what can be said of every rule in every situation.
type examination struct {
	*Policy
	situations []situation
	verdicts   [][]certainty // by rule, and by situation
}

// refuse returns what is wrong with rules that are well formed: those that never match, that order what cannot be done,
// and that let an alert lower an action. Rules with other faults are passed over.
func (p *Policy) refuse() []Fault {
	e := examination{Policy: p, situations: p.situations()}
	for _, r := range p.rules {
		verdicts := make([]certainty, len(e.situations))
		for s, known := range e.situations {
			verdicts[s] = never
			if r.expression != nil {
				verdicts[s] = r.expression.certainty(known.issuer.Name, known.setting)
			}
		}
		e.verdicts = append(e.verdicts, verdicts)
	}
	var faults []Fault
	for i, r := range p.rules {
		if r.expression == nil {
			continue
		}
		for _, f := range e.faults(i) {
			f.Rule = i
			faults = append(faults, f)
		}
	}
	return faults
}

func (e *examination) faults(i int) []Fault {
	asked, text := e.asked(i)
	if text != "" {
		return about(text)
	}
	return append(e.unable(i, asked), e.lowering(i, asked)...)
}

// asked returns the situations in which a rule is asked and may match; without any, what is wrong with that.
func (e *examination) asked(i int) (asked []int, problem string) {
	var before []string
	possible, works := false, false
	for s, verdict := range e.verdicts[i] {
		if verdict == never {
			continue
		}
		possible, works = true, works || verdict != broken
		if by := e.settled(i, s); by < 0 {
			asked = append(asked, s)
		} else {
			before = add(before, e.rules[by].Name)
		}
	}
	switch {
	case !possible:
		return nil, "can never be true: key.setting is \"nothing\", \"disable\", \"delete\" or \"\"" + e.issuersInWords()
	case !works:
		return nil, "can never be evaluated: it divides by zero, or the like"
	case len(asked) == 0:
		return nil, fmt.Sprintf("is never asked: what could match is decided before, by %s; put this rule first, or leave it out",
			listed("rule", before))
	}
	return asked, ""
}

// settled finds a rule before i that certainly matches in a situation; -1 when there is none.
func (e *examination) settled(i, s int) int {
	return slices.IndexFunc(e.verdicts[:i], func(verdicts []certainty) bool { return verdicts[s] == always })
}

func (e *examination) issuersInWords() string {
	var names []string
	for _, issuer := range e.Issuers {
		names = append(names, fmt.Sprintf("%q", issuer.Name))
	}
	if len(names) == 0 {
		return ""
	}
	return ", and key.issuer is " + either(names)
}

// unable returns what a rule orders that the issuers cannot do for whose keys it is asked.
func (e *examination) unable(i int, asked []int) []Fault {
	r := e.rules[i]
	var able, weak, final []string
	unlocks := false
	for _, s := range asked {
		issuer := e.situations[s].issuer
		unlocks = unlocks || issuer.Lock
		switch {
		case !issuer.Can(r.Action):
			weak = add(weak, issuer.Name)
		case r.Action == leak.Delete && r.Approval && !issuer.Disable:
			final = add(final, issuer.Name)
		default:
			able = add(able, issuer.Name)
		}
	}
	var faults []Fault
	if len(weak) > 0 {
		faults = append(faults, Fault{Field: "action", Text: fmt.Sprintf("%s cannot %s a key; %s",
			listed("issuer", weak), r.Action, instead("say what it can do", able, weak))})
	}
	if len(final) > 0 {
		faults = append(faults, Fault{Field: "approval", Text: fmt.Sprintf(
			"%s cannot disable a key, so it would work until somebody approves the delete; %s",
			listed("issuer", final), instead("leave approval out", able, final))})
	}
	if r.Unlock != nil && *r.Unlock && !unlocks {
		faults = append(faults, Fault{Field: "unlock", Text: "no issuer that this rule is asked for can unlock a key; leave it out"})
	}
	return faults
}

// instead is what to write: the first, or a condition that leaves some issuers out, if others remain.
func instead(first string, able, unable []string) string {
	if len(able) == 0 {
		return first
	}
	return first + ", or narrow when with " + without("key.issuer", unable)
}

// without is the end of an expression that leaves values of a field out.
func without(field string, values []string) string {
	if len(values) == 1 {
		return fmt.Sprintf("&& %s != %q", field, values[0])
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", v)
	}
	return fmt.Sprintf("&& !(%s in [%s])", field, strings.Join(quoted, ", "))
}

func add(list []string, word string) []string {
	if slices.Contains(list, word) {
		return list
	}
	return append(list, word)
}

// listed names a few things of one kind.
func listed(kind string, names []string) string {
	if len(names) == 1 {
		return kind + " " + names[0]
	}
	return kind + "s " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func either(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
