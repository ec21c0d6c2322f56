package gitlabfake

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// field is a field of a type of the schema.
type field struct {
	arguments []string
	needs     []string                                 // of the arguments, those that must be given
	of        string                                   // the type; empty: a scalar or an enum
	get       func(e *execution, of any, a inputs) any // what is listed is a []any; nil is null
}

// inputs are the arguments of a field, with variables put in.
type inputs map[string]any

// execution is one document on its way to an answer.
type execution struct {
	call   *call
	doc    *document
	path   []any
	errors []object
	fields int // that the document asks for, fragments counted as often as they are used
}

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
	doc, err := parse(request.Query, request.OperationName)
	if err != nil {
		return
	}
	doc.variables = request.Variables
	c.asked = doc
	first := doc.selected[0]
	c.event.Op = Operation("graphql." + first.name)
	given := doc.inputs(first.arguments)
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
	e := &execution{call: c, doc: c.asked}
	root := "Query"
	if c.asked.operation == "mutation" {
		root = "Mutation"
	}
	e.checkVariables()
	e.check(root, c.asked.selected, 0)
	if len(e.errors) > 0 {
		return ok(object{"errors": e.errors})
	}
	data := e.object(root, nil, c.asked.selected)
	if len(e.errors) > 0 {
		return ok(object{"data": data, "errors": e.errors})
	}
	return ok(object{"data": data})
}

// fault adds an error to the answer.
func (e *execution) fault(format string, about ...any) {
	fault := object{"message": fmt.Sprintf(format, about...)}
	if len(e.path) > 0 {
		fault["path"] = slices.Clone(e.path)
	}
	e.errors = append(e.errors, fault)
}

// object answers a selection of a value; a null value is null.
func (e *execution) object(of string, value any, selected []selection) object {
	shown := object{}
	for _, s := range selected {
		switch {
		case !e.wanted(s):
		case s.fragment:
			if s.spread != "" {
				s = e.doc.fragments[s.spread]
			}
			if s.on == "" || s.on == of {
				maps.Copy(shown, e.object(of, value, s.selected))
			}
		case s.name == "__typename":
			shown[s.alias] = of
		default:
			e.path = append(e.path, s.alias)
			shown[s.alias] = e.field(schema[of][s.name], value, s)
			e.path = e.path[:len(e.path)-1]
		}
	}
	return shown
}

// wanted reports whether @include and @skip let a selection through.
func (e *execution) wanted(s selection) bool {
	for i := 0; i < len(s.skipped); i += 2 {
		if e.doc.put(s.skipped[i+1]) != s.skipped[i] {
			return false
		}
	}
	return true
}

func (e *execution) field(f field, of any, s selection) any {
	value := f.get(e, of, e.doc.inputs(s.arguments))
	if f.of == "" || value == nil {
		return value
	}
	inner := f.of
	if members := unions[inner]; members != nil {
		inner = members[0]
	}
	list, ok := value.([]any)
	if !ok {
		return e.object(inner, value, s.selected)
	}
	shown := make([]any, len(list))
	for i, item := range list {
		shown[i] = e.object(inner, item, s.selected)
	}
	return shown
}

// inputs puts variables into arguments. A variable that is not given leaves its argument out.
func (d *document) inputs(arguments map[string]any) inputs {
	put := inputs{}
	for name, value := range arguments {
		if v, ok := value.(variable); ok {
			if _, given := d.variables[string(v)]; !given && d.declared[string(v)].value == nil {
				continue
			}
		}
		put[name] = d.put(value)
	}
	return put
}

func (d *document) put(value any) any {
	switch v := value.(type) {
	case variable:
		if given, ok := d.variables[string(v)]; ok {
			return given
		}
		return d.put(d.declared[string(v)].value)
	case enum:
		return string(v)
	case []any:
		put := make([]any, len(v))
		for i, inner := range v {
			put[i] = d.put(inner)
		}
		return put
	case map[string]any:
		return map[string]any(d.inputs(v))
	}
	return value
}

func (a inputs) text(name string) string {
	text, _ := a[name].(string)
	return text
}

func (a inputs) object(name string) map[string]any {
	o, _ := a[name].(map[string]any)
	return o
}

// number is a number; 0: it is not given.
func (a inputs) number(name string) int {
	n, _ := a[name].(float64)
	return int(n)
}

// texts is a list of texts in small letters; one text is a list of one. Nil: it is not given.
func (a inputs) texts(name string) []string {
	switch v := a[name].(type) {
	case string:
		return []string{strings.ToLower(v)}
	case []any:
		texts := make([]string, len(v))
		for i, item := range v {
			texts[i] = strings.ToLower(fmt.Sprint(item))
		}
		return texts
	}
	return nil
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
