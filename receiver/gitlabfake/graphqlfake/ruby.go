package graphqlfake

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
)

// rubyWords puts what the library says into the words of the Ruby library that GitLab answers with, because a client can go
// by those only. What is not here is said in the library's own words.
var rubyWords = []struct {
	library *regexp.Regexp
	ruby    string
}{
	{regexp.MustCompile(`^Cannot query field "(.*?)" on type "(.*?)"`), "Field '$1' doesn't exist on type '$2'"},
	{regexp.MustCompile(`^Unknown argument "(.*?)" on field ".*?\.(.*?)"`), "Field '$2' doesn't accept argument '$1'"},
	{regexp.MustCompile(`^Field "(.*?)" argument "(.*?)" of type .* is required`), "Field '$1' is missing required arguments: $2"},
	{regexp.MustCompile(`^Field "(.*?)" is not defined by type "(.*?)"`), "InputObject '$2' doesn't accept argument '$1'"},
	{
		regexp.MustCompile(`^Field "(.*?)\.(.*?)" of required type "(.*?)" was not provided`),
		"Argument '$2' on InputObject '$1' is required. Expected type $3",
	},
	{regexp.MustCompile(`^Value "(.*?)" does not exist in "(.*?)" enum`), "Argument has an invalid value ($1). Expected type '$2'."},
	{
		regexp.MustCompile(`^Field "(.*?)" must not have a selection since type "(.*?)"`),
		"Selections can't be made on scalars (field '$1' returns $2 but has selections)",
	},
	{
		regexp.MustCompile(`^Field "(.*?)" of type "(.*?)" must have a selection`),
		"Field must have selections (field '$1' returns $2 but has no selections. Did you mean '$1 { ... }'?)",
	},
	{regexp.MustCompile(`^Variable "(.*?)" is not defined by operation "(.*?)"`), "Variable $1 is used by $2 but not declared"},
	{regexp.MustCompile(`^Variable "(.*?)" is not defined`), "Variable $1 is used by anonymous query but not declared"},
	{regexp.MustCompile(`^Variable "(.*?)" is never used in operation "(.*?)"`), "Variable $1 is declared by $2 but not used"},
	{regexp.MustCompile(`^Variable "(.*?)" is never used`), "Variable $1 is declared by anonymous query but not used"},
	{
		regexp.MustCompile(`^Variable "(.*?)" of type "(.*?)" used in position expecting type "(.*?)"`),
		"Type mismatch on variable $1 ($2 / $3)",
	},
	{regexp.MustCompile(`^Unknown type "(.*?)"`), "$1 isn't a defined type"},
	{regexp.MustCompile(`^Unknown fragment "(.*?)"`), "Fragment $1 was used, but not defined"},
	{regexp.MustCompile(`^Fragment "(.*?)" is never used`), "Fragment $1 was defined, but not used"},
	{
		regexp.MustCompile(`^Fragment(?: "(.*?)")? cannot be spread here as objects of type "(.*?)" can never be of type "(.*?)"`),
		"Fragment $1 on $3 can't be spread inside $2",
	},
	{regexp.MustCompile(`^Cannot spread fragment "(.*?)" within itself`), "Fragment $1 contains an infinite loop"},
	{regexp.MustCompile(`^Unknown directive "(.*?)"`), "Directive $1 is not defined"},
	{regexp.MustCompile(`^Schema does not support operation type "(.*?)"`), "Schema is not configured for ${1}s"},
}

func inRuby(message string) string {
	for _, w := range rubyWords {
		if found := w.library.FindStringSubmatchIndex(message); found != nil {
			said := string(w.library.ExpandString(nil, w.ruby, message, found))
			return strings.ReplaceAll(said, "  ", " ") // a fragment may have no name
		}
	}
	return message
}

// checkVariables looks whether the variables have values of their types.
func (x *Execution[C]) checkVariables() {
	fit, err := validator.VariableValues(x.schema, x.document.operation, x.document.variables)
	if err != nil {
		x.refuseVariable(err)
		return
	}
	x.variables = fit
	for _, d := range x.document.operation.VariableDefinitions {
		if value, bad := x.loose(d.Definition, fit[d.Variable]); bad {
			x.Fault("Variable $%s of type %s was provided invalid value (%v)", d.Variable, d.Type, value)
		}
	}
}

// refuseVariable says that a variable has a value which it cannot have, and where in it.
func (x *Execution[C]) refuseVariable(err error) {
	var fault *gqlerror.Error
	if !errors.As(err, &fault) || len(fault.Path) < 2 {
		x.Fault("Variable was provided invalid value (%v)", err)
		return
	}
	name := fmt.Sprint(fault.Path[1])
	of := x.document.operation.VariableDefinitions.ForName(name).Type
	said := fmt.Sprintf("Variable $%s of type %s was provided invalid value", name, of)
	if len(fault.Path) > 2 {
		said += " for " + strings.TrimPrefix(fault.Path[2:].String(), ".")
	}
	why := cmp.Or(map[string]string{
		"unknown field":   "Field is not defined on " + of.Name(),
		"must be defined": "Expected value to not be null",
		"cannot be null":  "Expected value to not be null",
	}[fault.Message], fault.Message)
	x.Fault("%s (%s)", said, why)
}

// loose finds a value that the library takes and GitLab does not: an enum in other letters than its own, and a text as a
// number.
func (x *Execution[C]) loose(of *ast.Definition, value any) (found any, bad bool) {
	for _, item := range items(value) {
		switch v := item.(type) {
		case map[string]any:
			for _, field := range of.Fields {
				if found, bad = x.loose(x.schema.Types[field.Type.Name()], v[field.Name]); bad {
					return found, true
				}
			}
		case string:
			if of.Name == "Int" || of.Kind == ast.Enum && of.EnumValues.ForName(v) == nil {
				return v, true
			}
		}
	}
	return nil, false
}
