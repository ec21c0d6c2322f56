// Package graphqlfake answers GraphQL documents as the Ruby library does that GitLab uses: a library validates them against
// a schema, resolvers of the fake give the values, and faults are told in that library's words.
package graphqlfake

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"stanch/receiver/outbound/vendorfake"
)

type object = vendorfake.Object

// Document is a GraphQL request that could be read, and is not checked yet.
type Document struct {
	parsed    *ast.QueryDocument
	operation *ast.OperationDefinition
	variables map[string]any
}

// Read reads a request; an empty operation name stands for the only operation.
func Read(query, operation string, variables map[string]any) (*Document, error) {
	parsed, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	chosen := parsed.Operations.ForName(operation)
	if chosen == nil {
		return nil, errors.New("reading the document: there is no such operation")
	}
	return &Document{parsed, chosen, variables}, nil
}

// First is the first field that a document asks for, with its arguments; empty: it begins with a fragment.
func (d *Document) First() (field string, given Inputs) {
	first, ok := d.operation.SelectionSet[0].(*ast.Field)
	if !ok {
		return "", nil
	}
	given = Inputs{}
	for _, argument := range first.Arguments {
		given[argument.Name], _ = argument.Value.Value(d.variables) // what is no value is refused later
	}
	return first.Name, given
}

// Resolver gives the value of a field of a value. A list must be a []any, and nil is null. C is whose request it is.
type Resolver[C any] func(x *Execution[C], of any, a Inputs) any

// Resolvers are those of every field of a schema, by type.
type Resolvers[C any] map[string]map[string]Resolver[C]

// Execution is one document on its way to an answer.
type Execution[C any] struct {
	Call C

	document  *Document
	schema    *ast.Schema
	resolvers Resolvers[C]
	variables map[string]any // with defaults
	path      []any
	errors    []object
}

// Answer answers a document: with data, with errors, or with both.
func Answer[C any](d *Document, schema *ast.Schema, resolvers Resolvers[C], call C) vendorfake.Object {
	x := &Execution[C]{Call: call, document: d, schema: schema, resolvers: resolvers}
	if x.validate(); len(x.errors) > 0 {
		return object{"errors": x.errors}
	}
	root := schema.Query
	if d.operation.Operation == ast.Mutation {
		root = schema.Mutation
	}
	data := x.object(root.Name, nil, d.operation.SelectionSet)
	if len(x.errors) > 0 {
		return object{"data": data, "errors": x.errors}
	}
	return object{"data": data}
}

// validate looks whether a document and its variables fit the schema, before anything is done.
func (x *Execution[C]) validate() {
	for _, fault := range validator.ValidateWithRules(x.schema, x.document.parsed, nil) {
		x.Fault("%s", inRuby(fault.Message))
	}
	if len(x.errors) > 0 {
		return
	}
	if depth, fields := measure(x.document.operation.SelectionSet); depth > maxDepth || fields > maxFields {
		x.Fault("Query is too complex")
		return
	}
	x.checkVariables()
}

// How deep selections may be nested, and how many fields there may be. GitLab has its own measure of what is too complex.
const (
	maxDepth  = 20
	maxFields = 500
)

// measure counts how deep a selection is nested and its fields, fragments as often as they are used; it gives up beyond the
// most of either.
func measure(selected ast.SelectionSet) (depth, fields int) {
	for _, s := range selected {
		inner, own := innerOf(s)
		d, n := measure(inner)
		if depth, fields = max(depth, d), fields+own+n; depth > maxDepth || fields > maxFields {
			break
		}
	}
	return depth + 1, fields
}

// innerOf is what is selected within a selection, and how many fields it is itself.
func innerOf(s ast.Selection) (inner ast.SelectionSet, fields int) {
	switch s := s.(type) {
	case *ast.Field:
		return s.SelectionSet, 1
	case *ast.InlineFragment:
		return s.SelectionSet, 0
	case *ast.FragmentSpread:
		return s.Definition.SelectionSet, 0
	}
	return nil, 0
}

// Fault adds an error to the answer, once.
func (x *Execution[C]) Fault(format string, about ...any) {
	fault := object{"message": fmt.Sprintf(format, about...)}
	if slices.ContainsFunc(x.errors, func(o object) bool { return len(x.path) == 0 && o["message"] == fault["message"] }) {
		return
	}
	if len(x.path) > 0 {
		fault["path"] = slices.Clone(x.path)
	}
	x.errors = append(x.errors, fault)
}

// object answers a selection of a value.
func (x *Execution[C]) object(of string, value any, selected ast.SelectionSet) object {
	shown := object{}
	for _, s := range x.fields(of, selected) {
		if s.Name == "__typename" {
			shown[s.Alias] = of
			continue
		}
		x.path = append(x.path, s.Alias)
		shown[s.Alias] = x.field(of, value, s)
		x.path = x.path[:len(x.path)-1]
	}
	return shown
}

// fields are those that a selection asks of a type; one that is selected more than once has everything that is selected in it.
func (x *Execution[C]) fields(of string, selected ast.SelectionSet) (found []*ast.Field) {
	for _, s := range selected {
		switch s := s.(type) {
		case *ast.Field:
			if x.wanted(s.Directives) {
				found = join(found, s)
			}
		case *ast.InlineFragment:
			if x.wanted(s.Directives) && (s.TypeCondition == "" || x.is(of, s.TypeCondition)) {
				found = join(found, x.fields(of, s.SelectionSet)...)
			}
		case *ast.FragmentSpread:
			if x.wanted(s.Directives) && x.is(of, s.Definition.TypeCondition) {
				found = join(found, x.fields(of, s.Definition.SelectionSet)...)
			}
		}
	}
	return found
}

func join(found []*ast.Field, more ...*ast.Field) []*ast.Field {
	for _, s := range more {
		i := slices.IndexFunc(found, func(f *ast.Field) bool { return f.Alias == s.Alias })
		if i < 0 {
			found = append(found, s)
			continue
		}
		both := *found[i]
		both.SelectionSet = slices.Concat(both.SelectionSet, s.SelectionSet)
		found[i] = &both
	}
	return found
}

// wanted reports whether @include and @skip let a selection through.
func (x *Execution[C]) wanted(directives ast.DirectiveList) bool {
	for _, d := range directives {
		if d.ArgumentMap(x.variables)["if"] != (d.Name == "include") {
			return false
		}
	}
	return true
}

// is reports whether a type is another one, or one of those that the other stands for.
func (x *Execution[C]) is(of, other string) bool {
	return slices.ContainsFunc(x.schema.PossibleTypes[other], func(d *ast.Definition) bool { return d.Name == of })
}

func (x *Execution[C]) field(of string, value any, s *ast.Field) any {
	resolve := x.resolvers[of][s.Name]
	if resolve == nil {
		x.Fault("%s.%s is not played", of, s.Name)
		return nil
	}
	found := resolve(x, value, s.ArgumentMap(x.variables))
	possible := x.schema.PossibleTypes[s.Definition.Type.Name()]
	if possible == nil || found == nil { // a scalar or an enum, or null
		return found
	}
	list, ok := found.([]any)
	if !ok {
		return x.object(possible[0].Name, found, s.SelectionSet)
	}
	shown := make([]any, len(list))
	for i, item := range list {
		shown[i] = x.object(possible[0].Name, item, s.SelectionSet)
	}
	return shown
}

// Inputs are the arguments of a field, with variables put in.
type Inputs map[string]any

// Text is an argument that is a text; empty: it is not given.
func (a Inputs) Text(name string) string {
	text, _ := a[name].(string)
	return text
}

// Object is an argument that is an object; nil: it is not given.
func (a Inputs) Object(name string) map[string]any {
	o, _ := a[name].(map[string]any)
	return o
}

// Number is a number, of the document or of a variable; 0: it is not given.
func (a Inputs) Number(name string) int {
	switch n := a[name].(type) {
	case int64:
		return int(n)
	case float64:
		return int(n)
	}
	return 0
}

// Texts is a list of texts in small letters; one text is a list of one. Nil: it is not given.
func (a Inputs) Texts(name string) (texts []string) {
	for _, item := range items(a[name]) {
		texts = append(texts, strings.ToLower(fmt.Sprint(item)))
	}
	return texts
}

// items are those of a list; another value is a list of one, and null of none.
func items(value any) []any {
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		return v
	case []string: // what the library makes a list of
		return []any{v[0]}
	}
	return []any{value}
}
