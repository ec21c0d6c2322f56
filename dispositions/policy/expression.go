package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"stanch/receiver/leak"
)

// maxExpression is how long an expression may be, in bytes.
const maxExpression = 4 << 10

// maxCost is what an expression may cost, in the units of CEL: some milliseconds. It is refused when it could cost more,
// and stopped when it does all the same.
const maxCost = 100_000

// maxPattern is how large a regular expression may be once it is compiled, in instructions: its cost is that of its
// length, and repetitions make more of it.
const maxPattern = 1000

// expression is the condition of a rule. It is safe for concurrent use.
type expression struct {
	program cel.Program
	partial cel.Program // evaluates also while most is unknown
	sights  []sight     // what it looks at, in the order of the text
}

// environment is what expressions are checked in. It depends on nothing that an operator writes.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(registry), cel.CustomTypeProvider(catalogue{registry}),
		cel.Variable(now, cel.TimestampType), cel.ExtendedValidations(),
		cel.RegexProgramSizeLimit(maxPattern),
	}
	for _, object := range objects {
		options = append(options, cel.Variable(object, cel.ObjectType(object)))
	}
	return cel.NewEnv(options...)
})

// compile makes an expression of what an operator wrote, or returns every fault of it. The faults have no Rule.
func compile(when string) (*expression, []Fault) {
	switch {
	case strings.TrimSpace(when) == "":
		return nil, about("is missing; write true for a rule that always matches")
	case len(when) > maxExpression:
		return nil, about(fmt.Sprintf("is longer than %d bytes; make several rules of it", maxExpression))
	}
	env, err := environment()
	if err != nil {
		return nil, about("cannot be read: " + err.Error())
	}
	parsed, issues := env.Parse(when)
	if issues.Err() != nil {
		return nil, explained(issues, nil)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, explained(issues, parsed)
	}
	sights, faults := survey(checked)
	if len(faults) > 0 {
		return nil, faults
	}
	if problem := unfit(env, checked); problem != "" {
		return nil, about(problem)
	}
	return plan(env, checked, sights)
}

// unfit says what is wrong with an expression that is well formed.
func unfit(env *cel.Env, checked *cel.Ast) string {
	if kind := checked.OutputType(); kind != cel.BoolType {
		return fmt.Sprintf("must come out as true or false, and is %s; compare it with something", cel.FormatCELType(kind))
	}
	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil || estimate.Max > maxCost {
		return "may take too long on long texts; compare with == or startsWith, make a pattern or a list shorter, " +
			"or make several rules of it"
	}
	return ""
}

func plan(env *cel.Env, checked *cel.Ast, sights []sight) (*expression, []Fault) {
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, about("holds a constant that does not work, such as a pattern or a number out of range")
	}
	partial, err := env.Program(checked, cel.EvalOptions(cel.OptPartialEval))
	if err != nil {
		return nil, about("cannot be examined")
	}
	return &expression{program, partial, sights}, nil
}

// matches evaluates the expression. An error says why it could not be, without any value. CEL itself makes an error of a
// panic.
func (x *expression) matches(c *Case) (bool, error) {
	value, _, err := x.program.Eval(activation{c})
	if err != nil {
		return false, errors.New(failure(err))
	}
	return value == types.True, nil
}

// failure is what went wrong in an evaluation, in words that are ours: those of CEL may hold a value.
func failure(err error) string {
	if why, ok := errors.AsType[unseen](err); ok {
		return why.Error()
	}
	for _, known := range []string{"division by zero", "modulus by zero", "integer overflow", "no such key"} {
		if strings.Contains(err.Error(), known) {
			return known
		}
	}
	return "it does not work on the values of this case"
}

// carried is the first thing the expression looks at that an alert carries.
func (x *expression) carried() (sight, bool) {
	i := slices.IndexFunc(x.sights, func(s sight) bool { return s.carried })
	if i < 0 {
		return sight{}, false
	}
	return x.sights[i], true
}

// tell says what the expression looks at, with the values.
func (x *expression) tell(c *Case) string {
	var words []string
	for _, s := range x.sights {
		if told := s.tell(c); !slices.Contains(words, told) {
			words = append(words, told)
		}
	}
	if len(words) == 0 {
		return "it looks at nothing"
	}
	return strings.Join(words, ", ")
}

// certainty is what can be said of an expression for every key of one kind.
type certainty int

const (
	maybe  certainty = iota // it depends
	never                   // it is false
	always                  // it is true
	broken                  // it cannot be evaluated
)

// certainty evaluates the expression while all that is known of a key are its issuer, if that is not empty, and its own
// setting.
func (x *expression) certainty(issuer string, setting leak.Action) certainty {
	var unknown []*cel.AttributePatternType
	for _, f := range fields {
		object, name, isField := strings.Cut(f.name, ".")
		pattern := cel.AttributePattern(object)
		if isField {
			pattern.QualString(name)
		}
		if f.name == "key.setting" || f.name == "key.issuer" && issuer != "" {
			continue
		}
		unknown = append(unknown, pattern)
	}
	about := activation{&Case{Issuer: issuer, Key: leak.Key{Setting: setting}}}
	vars, err := cel.PartialVars(about, unknown...)
	if err != nil {
		return maybe
	}
	value, _, err := x.partial.Eval(vars)
	switch {
	case err != nil:
		return broken
	case value == types.True:
		return always
	case value == types.False:
		return never
	}
	return maybe
}
