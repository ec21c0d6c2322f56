package gitlabfake

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// document is a GraphQL request that could be read.
type document struct {
	*ast.QueryDocument
	operation *ast.OperationDefinition
	variables map[string]any
}

// execution is one document on its way to an answer.
type execution struct {
	call *call
	document
	schema *ast.Schema
	path   []any
	errors []object
}

// inputs are the arguments of a field, with variables put in.
type inputs map[string]any

// readDocument reads the body of a request to GraphQL, and names the operation by the first field that it asks for.
func (c *call) readDocument() {
	var request struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	if no := c.read(&request); no != nil {
		return
	}
	parsed, err := parser.ParseQuery(&ast.Source{Input: request.Query})
	if err != nil {
		return
	}
	operation := parsed.Operations.ForName(request.OperationName)
	if operation == nil {
		return
	}
	c.asked = &document{parsed, operation, request.Variables}
	if first, ok := operation.SelectionSet[0].(*ast.Field); ok {
		c.event.Op = Operation("graphql." + first.Name)
		c.nameTarget(first)
	}
}

// nameTarget tells the journal what the first field of a document is about.
func (c *call) nameTarget(first *ast.Field) {
	given := inputs{}
	for _, argument := range first.Arguments {
		given[argument.Name], _ = argument.Value.Value(c.asked.variables)
	}
	c.event.Target = given.text("fullPath")
	for _, text := range []string{given.text("id"), inputs(given.object("input")).text("id")} {
		if id, ok := vulnerabilityID(text); ok {
			c.event.Number = id
		}
	}
}

// graphQL answers a document. Faults of the document are answered 200, too, without data.
func (c *call) graphQL() *answer {
	if c.asked == nil {
		return ok(object{"errors": []object{{"message": "Parse error: the query cannot be read"}}})
	}
	e := &execution{call: c, document: *c.asked, schema: c.fake.schema()}
	if e.validate(); len(e.errors) > 0 {
		return ok(object{"errors": e.errors})
	}
	root := e.schema.Query
	if e.operation.Operation == ast.Mutation {
		root = e.schema.Mutation
	}
	data := e.object(root.Name, nil, e.operation.SelectionSet)
	if len(e.errors) > 0 {
		return ok(object{"data": data, "errors": e.errors})
	}
	return ok(object{"data": data})
}

// validate looks whether a document and its variables fit the schema, before anything is done.
func (e *execution) validate() {
	for _, fault := range validator.ValidateWithRules(e.schema, e.QueryDocument, nil) {
		e.fault("%s", inRuby(fault.Message))
	}
	if len(e.errors) > 0 {
		return
	}
	if depth, fields := measure(e.operation.SelectionSet); depth > maxDepth || fields > maxFields {
		e.fault("Query is too complex")
		return
	}
	e.checkVariables()
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

// fault adds an error to the answer, once.
func (e *execution) fault(format string, about ...any) {
	fault := object{"message": fmt.Sprintf(format, about...)}
	if slices.ContainsFunc(e.errors, func(o object) bool { return len(e.path) == 0 && o["message"] == fault["message"] }) {
		return
	}
	if len(e.path) > 0 {
		fault["path"] = slices.Clone(e.path)
	}
	e.errors = append(e.errors, fault)
}

// object answers a selection of a value.
func (e *execution) object(of string, value any, selected ast.SelectionSet) object {
	shown := object{}
	for _, s := range e.fields(of, selected) {
		if s.Name == "__typename" {
			shown[s.Alias] = of
			continue
		}
		e.path = append(e.path, s.Alias)
		shown[s.Alias] = e.field(of, value, s)
		e.path = e.path[:len(e.path)-1]
	}
	return shown
}

// fields are those that a selection asks of a type; one that is selected more than once has everything that is selected in it.
func (e *execution) fields(of string, selected ast.SelectionSet) (found []*ast.Field) {
	for _, s := range selected {
		switch s := s.(type) {
		case *ast.Field:
			if e.wanted(s.Directives) {
				found = join(found, s)
			}
		case *ast.InlineFragment:
			if e.wanted(s.Directives) && (s.TypeCondition == "" || e.is(of, s.TypeCondition)) {
				found = join(found, e.fields(of, s.SelectionSet)...)
			}
		case *ast.FragmentSpread:
			if e.wanted(s.Directives) && e.is(of, s.Definition.TypeCondition) {
				found = join(found, e.fields(of, s.Definition.SelectionSet)...)
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
func (e *execution) wanted(directives ast.DirectiveList) bool {
	for _, d := range directives {
		if d.ArgumentMap(e.variables)["if"] != (d.Name == "include") {
			return false
		}
	}
	return true
}

// is reports whether a type is another one, or one of those that the other stands for.
func (e *execution) is(of, other string) bool {
	return slices.ContainsFunc(e.schema.PossibleTypes[other], func(d *ast.Definition) bool { return d.Name == of })
}

func (e *execution) field(of string, value any, s *ast.Field) any {
	resolve := resolvers[of][s.Name]
	if resolve == nil {
		e.fault("%s.%s is not played", of, s.Name)
		return nil
	}
	found := resolve(e, value, s.ArgumentMap(e.variables))
	possible := e.schema.PossibleTypes[s.Definition.Type.Name()]
	if possible == nil || found == nil { // a scalar or an enum, or null
		return found
	}
	list, ok := found.([]any)
	if !ok {
		return e.object(possible[0].Name, found, s.SelectionSet)
	}
	shown := make([]any, len(list))
	for i, item := range list {
		shown[i] = e.object(possible[0].Name, item, s.SelectionSet)
	}
	return shown
}

func (a inputs) text(name string) string {
	text, _ := a[name].(string)
	return text
}

func (a inputs) object(name string) map[string]any {
	o, _ := a[name].(map[string]any)
	return o
}

// number is a number, of the document or of a variable; 0: it is not given.
func (a inputs) number(name string) int {
	switch n := a[name].(type) {
	case int64:
		return int(n)
	case float64:
		return int(n)
	}
	return 0
}

// texts is a list of texts in small letters; one text is a list of one. Nil: it is not given.
func (a inputs) texts(name string) (texts []string) {
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

// globalID writes an id as GraphQL does.
func globalID(kind string, id int64) string {
	return "gid://gitlab/" + kind + "/" + strconv.FormatInt(id, 10)
}

// vulnerabilityID reads the global id of a vulnerability.
func vulnerabilityID(text string) (int64, bool) {
	digits, ok := strings.CutPrefix(text, "gid://gitlab/Vulnerability/")
	id, err := strconv.ParseInt(digits, 10, 64)
	return id, ok && err == nil
}

// unauthorised is the error of a mutation on what is not there or not allowed, in GitLab's words.
const unauthorised = "The resource that you are attempting to access does not exist or you don't have permission to " +
	"perform this action"
