package gitlabfake

import (
	_ "embed" // the schema
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

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
