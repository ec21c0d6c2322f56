package gitlabfake

import (
	_ "embed" // the schema
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"stanch/receiver/gitlabfake/graphqlfake"
)

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
	asked, err := graphqlfake.Read(request.Query, request.OperationName, request.Variables)
	if err != nil {
		return
	}
	c.asked = asked
	first, given := asked.First()
	if first == "" {
		return
	}
	c.event.Op, c.event.Target = Operation("graphql."+first), given.Text("fullPath")
	for _, text := range []string{given.Text("id"), inputs(given.Object("input")).Text("id")} {
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
	return ok(graphqlfake.Answer(c.asked, c.fake.schema(), resolvers, c))
}

//go:embed schema.graphql
var schemaText string

// schema is what GraphQL is asked against: without what is newer than the version, and without the comments that
// NoComment takes away. The caller holds the lock.
func (f *Fake) schema() *ast.Schema {
	withoutComment := f.Switches().NoComment
	if made := f.schemas[withoutComment]; made != nil {
		return made
	}
	doc, err := parser.ParseSchemas(validator.Prelude, &ast.Source{Name: "schema.graphql", Input: schemaText})
	if err != nil {
		panic("the schema is a part of the program: " + err.Error())
	}
	for _, of := range doc.Definitions {
		of.Fields = slices.DeleteFunc(of.Fields, func(field *ast.FieldDefinition) bool {
			return f.tooNew(field) || withoutComment && field.Directives.ForName("unlessNoComment") != nil
		})
	}
	made, err := validator.ValidateSchemaDocument(doc)
	if err != nil {
		panic("the schema is a part of the program: " + err.Error())
	}
	f.schemas[withoutComment] = made
	return made
}

// tooNew reports whether a field came with a later version than the fake is of.
func (f *Fake) tooNew(field *ast.FieldDefinition) bool {
	since := field.Directives.ForName("since")
	if since == nil {
		return false
	}
	major, _ := strconv.Atoi(since.Arguments.ForName("major").Value.Raw)
	minor, _ := strconv.Atoi(since.Arguments.ForName("minor").Value.Raw)
	return !f.since(version{major, minor})
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
