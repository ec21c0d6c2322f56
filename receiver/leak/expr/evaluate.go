package expr

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// Holds reports whether the expression is true of a subject. An error says why that cannot be told, without any value. CEL
// itself makes an error of a panic.
func (x *Expression[S]) Holds(of S) (bool, error) {
	value, _, err := x.program.Eval(activation[S]{x.language, of})
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
	return "it does not work on these values"
}

// Certain reports what the expression is of every subject that agrees with one in the fields that are known, and whether that is
// certain: other fields may decide it. An error says that it cannot be evaluated, whatever those are.
func (x *Expression[S]) Certain(of S, known ...string) (holds, certain bool, err error) {
	var unknown []*cel.AttributePatternType
	for _, f := range x.language.fields {
		if slices.Contains(known, f.Name) {
			continue
		}
		variable, name, isField := strings.Cut(f.Name, ".")
		pattern := cel.AttributePattern(variable)
		if isField {
			pattern.QualString(name)
		}
		unknown = append(unknown, pattern)
	}
	vars, err := cel.PartialVars(activation[S]{x.language, of}, unknown...)
	if err != nil {
		return false, false, nil
	}
	value, _, err := x.partial.Eval(vars)
	if err != nil {
		return false, false, errors.New(failure(err))
	}
	return value == types.True, value == types.True || value == types.False, nil
}

// Tell says what the expression looks at, with the values that a subject has.
func (x *Expression[S]) Tell(of S) string {
	var words []string
	for _, s := range x.sights {
		if told := x.language.field(s.Field).tell(of); !slices.Contains(words, told) {
			words = append(words, told)
		}
	}
	if len(words) == 0 {
		return "it looks at nothing"
	}
	return strings.Join(words, ", ")
}

// unseen is the error of looking at a field in vain. It says why, and does not hold the value.
type unseen string

func (u unseen) Error() string { return string(u) }

// set reports whether there is anything to look at.
func (f *Field[S]) set(of S) bool {
	switch v := f.Read(of).(type) {
	case string:
		return v != ""
	case time.Time:
		return !v.IsZero()
	}
	return true
}

// read is the value as an expression sees it. A time that nobody has told is not the year 1.
func (f *Field[S]) read(of S) (any, error) {
	value := f.Read(of)
	switch v := value.(type) {
	case time.Time:
		if v.IsZero() {
			return nil, unseen(f.Name + " is not known")
		}
	case string:
		if f.Size > 0 && len(v) > f.Size {
			return nil, unseen(fmt.Sprintf("%s is longer than %d bytes", f.Name, f.Size))
		}
	}
	return value, nil
}

// tell is the value as people read it.
func (f *Field[S]) tell(of S) string {
	value, err := f.read(of)
	if err != nil {
		return err.Error()
	}
	switch v := value.(type) {
	case string:
		return f.Name + " is " + strconv.Quote(v)
	case time.Time:
		return f.Name + " is " + v.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s is %v", f.Name, value)
}

// catalogue tells CEL which fields the variables have. A variable's type has its name.
type catalogue[S any] struct {
	types.Provider
	language *Language[S]
}

// FindStructType returns the type of a variable.
func (c catalogue[S]) FindStructType(name string) (*types.Type, bool) {
	if c.language.fieldsOf(name) == nil {
		return c.Provider.FindStructType(name)
	}
	return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
}

// FindStructFieldNames returns the names of a variable's fields.
func (c catalogue[S]) FindStructFieldNames(name string) ([]string, bool) {
	if names := c.language.fieldsOf(name); names != nil {
		return names, true
	}
	return c.Provider.FindStructFieldNames(name)
}

// FindStructFieldType returns how a field of a variable is read.
func (c catalogue[S]) FindStructFieldType(variable, name string) (*types.FieldType, bool) {
	f := c.language.field(variable + "." + name)
	if f == nil {
		return c.Provider.FindStructFieldType(variable, name)
	}
	return &types.FieldType{
		Type:    f.Type,
		IsSet:   func(of any) bool { return f.set(of.(S)) },
		GetFrom: func(of any) (any, error) { return f.read(of.(S)) },
	}, true
}

// activation lets CEL look at a subject. Every variable with fields is the subject itself: its fields know where to look.
type activation[S any] struct {
	language *Language[S]
	about    S
}

// ResolveName finds a variable.
func (a activation[S]) ResolveName(name string) (any, bool) {
	if f := a.language.field(name); f != nil {
		value, err := f.read(a.about)
		if err != nil {
			return types.WrapErr(err), true
		}
		return value, true
	}
	return a.about, slices.Contains(a.language.variables, name)
}

// Parent is nil: there are no further variables.
func (activation[S]) Parent() cel.Activation { return nil }

// sizes tells the estimator of costs how long texts may be.
type sizes[S any] struct{ language *Language[S] }

// EstimateSize bounds the size of a field.
func (s sizes[S]) EstimateSize(of cost.AstNode) *cost.SizeEstimate {
	f := s.language.field(strings.Join(of.Path(), "."))
	switch {
	case f == nil || f.Type != cel.StringType:
		return nil
	case f.Size > 0:
		return &cost.SizeEstimate{Max: uint64(f.Size)}
	}
	return &cost.SizeEstimate{Max: usualSize}
}

// EstimateCallCost leaves the cost of functions to CEL.
func (sizes[S]) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
