// Package when is the language of a notifier's condition: CEL over an incident, as it stands after the step that is told.
// It is apart from the rules of the engine, because those decide what is done to a key, and are examined for what a leaker
// could lower; a condition only decides who is told.
package when

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/types"

	"stanch/receiver/leak"
)

const (
	// maxText is how long a condition may be, in bytes.
	maxText = 4 << 10
	// maxCost is what it may cost to evaluate, in the units of CEL: some milliseconds.
	maxCost = 100_000
	// maxPattern is how large a regular expression may be once it is compiled, in instructions.
	maxPattern = 1000
)

// Condition says which incidents a notifier is told of. It is safe for concurrent use.
type Condition struct{ program cel.Program }

// Fault is something wrong with a condition. Its text never repeats what was written, which may be a secret in the wrong
// place.
type Fault struct {
	Line   int // from 1; 0: the fault is not at a place
	Column int // within the line, in characters from 1
	Text   string
}

// subject is what a condition looks at.
type subject struct {
	leak.Incident
	sourceType string
}

// fields are all there is to look at. A dotted name is one variable of CEL.
var fields = []struct {
	name  string
	kind  *cel.Type
	value func(subject) any
}{
	{"incident.state", cel.StringType, func(s subject) any { return string(s.State) }},
	{"incident.severity", cel.StringType, func(s subject) any { return string(s.Severity) }},
	{"incident.action", cel.StringType, func(s subject) any { return string(s.Action) }},
	{"incident.rule", cel.StringType, func(s subject) any { return s.Rule }},
	{"incident.issuer", cel.StringType, func(s subject) any { return s.Issuer }},
	{"incident.sighting_count", cel.IntType, func(s subject) any { return int64(s.SightingCount) }},
	{"key.id", cel.StringType, func(s subject) any { return s.Key.ID }},
	{"key.name", cel.StringType, func(s subject) any { return s.Key.Name }},
	{"key.kind", cel.StringType, func(s subject) any { return s.Key.Kind }},
	{"key.owner", cel.StringType, func(s subject) any { return s.Key.Owner }},
	{"key.owner_name", cel.StringType, func(s subject) any { return s.Key.OwnerName }},
	{"key.account", cel.StringType, func(s subject) any { return s.Key.Account }},
	{"key.locked", cel.BoolType, func(s subject) any { return s.Key.Locked }},
	{"key.disabled", cel.BoolType, func(s subject) any { return s.Key.Disabled }},
	{"key.setting", cel.StringType, func(s subject) any { return string(s.Key.Setting) }},
	{"source.name", cel.StringType, func(s subject) any { return s.Source }},
	{"source.type", cel.StringType, func(s subject) any { return s.sourceType }},
}

// environment is what conditions are checked in.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{cel.ExtendedValidations(), cel.RegexProgramSizeLimit(maxPattern)}
	for _, f := range fields {
		options = append(options, cel.Variable(f.name, f.kind))
	}
	return cel.NewEnv(options...)
})

// Compile makes a condition of what an operator wrote, or returns what is wrong with it.
func Compile(text string) (*Condition, []Fault) {
	if len(text) > maxText {
		return nil, about(fmt.Sprintf("is longer than %d bytes", maxText))
	}
	env, err := environment()
	if err != nil {
		return nil, about("cannot be read: " + err.Error())
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, explained(issues)
	}
	if checked.OutputType() != cel.BoolType {
		return nil, about("must come out as true or false; compare it with something")
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, about("holds a constant that does not work, such as a pattern or a number out of range")
	}
	return &Condition{program}, nil
}

// errEvaluation holds nothing of what CEL says, which may quote a value.
var errEvaluation = errors.New("the condition does not work on the values of this incident")

// Met reports whether the notifier is told of an incident, whose first alert came from a source of a type.
func (c *Condition) Met(i leak.Incident, sourceType string) (bool, error) {
	vars := map[string]any{}
	for _, f := range fields {
		vars[f.name] = f.value(subject{i, sourceType})
	}
	value, _, err := c.program.Eval(vars)
	if err != nil {
		return false, errEvaluation
	}
	return value == types.True, nil
}

func about(text string) []Fault { return []Fault{{Text: text}} }

// explained makes faults of what CEL found. Of syntax errors it makes one: the others follow from it.
func explained(issues *cel.Issues) []Fault {
	var faults []Fault
	for _, e := range issues.Errors() {
		faults = append(faults, at(e.Location, inWords(e.Message)))
		if strings.HasPrefix(e.Message, "Syntax error") {
			break
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(faults)
}

func at(place common.Location, text string) Fault {
	if place == nil || place.Line() < 1 {
		return Fault{Text: text}
	}
	return Fault{place.Line(), place.Column() + 1, text}
}

// wordings say in our words what CEL says in messages that may repeat what was written.
var wordings = []struct {
	message *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`^Syntax error: .*input '<EOF>'`), "the expression ends too early"},
	{
		regexp.MustCompile(`^Syntax error|^unsupported syntax`),
		"not an expression from here on; compare with ==, join with && and ||, negate with !, and put text in quotes",
	},
	{regexp.MustCompile(`^undeclared reference|^undefined field`), "there is no such name; there are " + names()},
	{regexp.MustCompile(`^found no matching overload`), "what stands on both sides does not go together"},
	{regexp.MustCompile(`^invalid matches argument|^regex program size`), "not a regular expression (RE2) that can be used"},
}

func inWords(message string) string {
	for _, w := range wordings {
		if w.message.MatchString(message) {
			return w.text
		}
	}
	return "not an expression that can be used here"
}

func names() string {
	var all []string
	for _, f := range fields {
		all = append(all, f.name)
	}
	return strings.Join(all, ", ")
}
