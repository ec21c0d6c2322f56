// Package expr is the one place where conditions that operators write are compiled, bounded and explained: CEL over the fields
// that its user declares. An expression is refused when it could take too long, and stopped when it does all the same. No fault
// and no error repeats what was written or a value, either of which may be a secret in the wrong place.
package expr

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

const (
	// maxText is how long an expression may be, in bytes.
	maxText = 4 << 10
	// maxCost is what an expression may cost, in the units of CEL: some milliseconds.
	maxCost = 100_000
	// maxPattern is how large a regular expression may be once it is compiled, in instructions: its cost is counted by its
	// length, and repetitions make more of it.
	maxPattern = 1000
	// usualSize is how long a text is taken to be, in bytes, when a field does not bound it.
	usualSize = 4 << 10
)

// Field is one value that expressions over a subject may look at.
type Field[S any] struct {
	Name string      // as an expression writes it: VARIABLE, or VARIABLE.FIELD
	Type *cel.Type   // of what Value returns
	Size int         // the longest text that may be looked at, in bytes; 0: any
	Read func(S) any // a string, a bool, an int64 or a time; an empty string and a zero time are not set
}

// Language is what expressions over a subject are written in. It is safe for concurrent use.
type Language[S any] struct {
	fields    []Field[S]
	variables []string // first parts of the fields' names, in their order
	env       func() (*cel.Env, error)
}

// New makes the language of some fields.
func New[S any](fields ...Field[S]) *Language[S] {
	l := &Language[S]{fields: fields}
	for _, f := range fields {
		if name, _, _ := strings.Cut(f.Name, "."); !slices.Contains(l.variables, name) {
			l.variables = append(l.variables, name)
		}
	}
	l.env = sync.OnceValues(l.environment)
	return l
}

func (l *Language[S]) environment() (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(registry), cel.CustomTypeProvider(catalogue[S]{registry, l}), cel.ExtendedValidations(),
		cel.RegexProgramSizeLimit(maxPattern),
	}
	for _, name := range l.variables {
		kind := cel.ObjectType(name)
		if f := l.field(name); f != nil {
			kind = f.Type
		}
		options = append(options, cel.Variable(name, kind))
	}
	return cel.NewEnv(options...)
}

// field finds a field by its whole name; nil when there is none.
func (l *Language[S]) field(name string) *Field[S] {
	i := slices.IndexFunc(l.fields, func(f Field[S]) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &l.fields[i]
}

// fieldsOf lists the fields of a variable, without its name.
func (l *Language[S]) fieldsOf(variable string) []string {
	var names []string
	for _, f := range l.fields {
		if own, ok := strings.CutPrefix(f.Name, variable+"."); ok {
			names = append(names, own)
		}
	}
	return names
}

// Expression is a condition that compiled. It is safe for concurrent use.
type Expression[S any] struct {
	language *Language[S]
	program  cel.Program
	partial  cel.Program // evaluates also while most is unknown
	sights   []Sight
}

// Compile makes an expression of what an operator wrote, or returns every fault of it.
func (l *Language[S]) Compile(text string) (*Expression[S], []Fault) {
	if len(text) > maxText {
		return nil, about(fmt.Sprintf("is longer than %d bytes", maxText))
	}
	env, err := l.env()
	if err != nil {
		return nil, about("cannot be read: " + err.Error())
	}
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil, l.explain(issues, nil)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, l.explain(issues, parsed)
	}
	sights, faults := l.survey(checked)
	if len(faults) > 0 {
		return nil, faults
	}
	if problem := l.unfit(env, checked); problem != "" {
		return nil, about(problem)
	}
	return l.plan(env, checked, sights)
}

// unfit says what is wrong with an expression that is well formed.
func (l *Language[S]) unfit(env *cel.Env, checked *cel.Ast) string {
	if kind := checked.OutputType(); kind != cel.BoolType {
		return fmt.Sprintf("must come out as true or false, and is %s; compare it with something", cel.FormatCELType(kind))
	}
	estimate, err := env.EstimateCost(checked, sizes[S]{l})
	if err != nil || estimate.Max > maxCost {
		return "may take too long on long texts; compare with == or startsWith, or make a pattern or a list shorter"
	}
	return ""
}

func (l *Language[S]) plan(env *cel.Env, checked *cel.Ast, sights []Sight) (*Expression[S], []Fault) {
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, about("holds a constant that does not work, such as a pattern or a number out of range")
	}
	partial, err := env.Program(checked, cel.EvalOptions(cel.OptPartialEval))
	if err != nil {
		return nil, about("cannot be examined")
	}
	return &Expression[S]{l, program, partial, sights}, nil
}
