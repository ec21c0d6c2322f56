package policy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"stanch/receiver/leak"
	"stanch/receiver/leak/expr"
)

// goodName keeps a name fit for a log, a path and a label.
var goodName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// The words of a rule, calmest first.
var (
	actions    = []leak.Action{leak.Nothing, leak.Disable, leak.Delete}
	severities = []leak.Severity{leak.Info, leak.Warning, leak.Critical}
)

// rule is one of the operator's rules, compiled. Its expression is nil when it has a fault.
type rule struct {
	Rule
	expression *expression
}

// compile compiles the rules and returns what is wrong with each of them alone.
func (p *Policy) compile() []Fault {
	var faults []Fault
	names := map[string]int{}
	for i, r := range p.Rules {
		x, wrong := compile(r.When)
		wrong = append(r.check(), wrong...)
		if earlier, taken := names[r.Name]; taken && r.Name != "" {
			wrong = append(wrong, Fault{Field: "name", Text: fmt.Sprintf("is the name of policy.rules[%d] already", earlier)})
		} else {
			names[r.Name] = i
		}
		for _, f := range wrong {
			f.Rule = i
			faults = append(faults, f)
		}
		if len(wrong) > 0 {
			x = nil
		}
		p.rules = append(p.rules, rule{r, x})
	}
	return faults
}

// check returns what is wrong with the fields of a rule beside its expression.
func (r Rule) check() []Fault {
	var faults []Fault
	fault := func(field, text string) { faults = append(faults, Fault{Field: field, Text: text}) }
	switch {
	case r.Name == "":
		fault("name", "is missing; decisions and the log call the rule by it")
	case slices.Contains(leak.BuiltInRules, r.Name):
		fault("name", "is the name of a built-in rule; choose another")
	case !goodName.MatchString(r.Name):
		fault("name", "must consist of lower-case letters, digits and hyphens, and not begin with a hyphen")
	}
	if !slices.Contains(actions, r.Action) {
		fault("action", "must be nothing, disable or delete"+meant(r.Action, actions))
	}
	if r.Severity != "" && !slices.Contains(severities, r.Severity) {
		fault("severity", "must be info, warning or critical"+meant(r.Severity, severities))
	}
	if r.Approval && r.Action == leak.Nothing {
		fault("approval", "is for an action, and this rule does nothing; leave it out")
	}
	return faults
}

// meant is the end of a sentence that names the word which was probably meant, or nothing.
func meant[W ~string](written W, known []W) string {
	var words []string
	for _, word := range known {
		words = append(words, string(word))
	}
	return expr.Suggestion(string(written), words)
}

// look evaluates a rule for a case.
func (r *rule) look(c *Case) Look {
	look := Look{Rule: r.Name, When: r.When, Text: r.expression.Tell(c)}
	matched, err := r.expression.Holds(c)
	if err != nil {
		look.Failure = err.Error()
	}
	look.Matched = matched
	return look
}

// decision is what the rule decides when it matches.
func (r *rule) decision(unlock bool) leak.Decision {
	d := leak.Decision{
		Action: r.Action, Rule: r.Name, Severity: cmp.Or(r.Severity, leak.Warning), Approval: r.Approval, Unlock: unlock,
		Reason: fmt.Sprintf("rule %s matches: %s", r.Name, onOneLine(r.When)),
	}
	if r.Unlock != nil {
		d.Unlock = *r.Unlock
	}
	return d
}

// longestReason bounds what the log keeps of an expression, in characters.
const longestReason = 300

func onOneLine(expression string) string {
	text := []rune(strings.Join(strings.Fields(expression), " "))
	if len(text) > longestReason {
		return string(text[:longestReason]) + " ..."
	}
	return string(text)
}
