package gitlabfake

import (
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// TestResolvers: every field of the schema has a resolver, and every resolver a field.
func TestResolvers(t *testing.T) {
	f := New(Options{})
	t.Cleanup(f.Close)
	schema := f.schema()
	for name, of := range schema.Types {
		if of.BuiltIn || of.Kind != ast.Object {
			continue
		}
		for _, field := range of.Fields {
			if resolvers[name][field.Name] == nil && field.Name[:2] != "__" {
				t.Errorf("%s.%s has no resolver", name, field.Name)
			}
		}
	}
	for name, fields := range resolvers {
		for field := range fields {
			if of := schema.Types[name]; of == nil || of.Fields.ForName(field) == nil {
				t.Errorf("%s.%s is not in the schema", name, field)
			}
		}
	}
}
