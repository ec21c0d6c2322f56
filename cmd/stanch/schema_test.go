package main_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	stanch "stanch/cmd/stanch"
	"stanch/cmd/stanch/config"
	"stanch/dispositions/admit"
	"stanch/receiver/leak"
)

// schemaFile tells editors what a configuration may hold.
const schemaFile = "../../deploy/stanch.schema.json"

var update = flag.Bool("update", false, "write the schema anew: go test ./cmd/stanch -run Schema -args -update")

// TestSchemaIsCurrent compares the schema with the Config types and their comments.
func TestSchemaIsCurrent(t *testing.T) {
	want, err := json.MarshalIndent(newSchema(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(schemaFile); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the Config types say (%v); run: go test ./cmd/stanch -run Schema -args -update", schemaFile, err)
	}
}

// TestSchema: what the schema says of a file is what check-config says of it.
func TestSchema(t *testing.T) {
	compiled, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text string) error {
		var content any
		if err := yaml.Load([]byte(text), &content); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(instance)
	}
	example, err := os.ReadFile("../../deploy/stanch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{
		string(example):            true,
		uncomment(string(example)): true,
		strings.Replace(string(example), "keys_dir", "key_dir", 1): false,
	} {
		if err := valid(text); (err == nil) != good {
			t.Errorf("the schema says %v of the example, with keys_dir misspelt, or with every field in force", err)
		}
	}
	t.Chdir(t.TempDir())
	writeFile(t, "apikey", "a-key\n")
	for _, row := range []struct {
		text string
		good bool
	}{
		{smallest, true},
		{smallest + "retention: 1w2d", true},
		{smallest + "limits: {body: 1MiB, in_flight_bytes: 2097152}", true},
		{smallest + "policy: {default: delete, key_none: disable, dry_run: true, protect: [a], fuse: {max: 1, per: 90s}}", true},
		{smallest + "policy: {rules: [{name: a, when: key.locked, action: delete, severity: info, approval: true, unlock: true}]}", true},
		{smallest + "policy: {rules: [{name: a, when: key.locked, action: delete, severity: loud}]}", false},
		{smallest + "notifiers: [{name: c, type: console}]", true},
		{smallest + "notifiers: [{name: c, type: console, when: key.locked, gather_after: 3, templates: {title_file: apikey}}]", true},
		{smallest + "notifiers: [{name: c, type: console, gather_after: -3}]", false},
		{smallest + "notifiers: [{name: c, type: console, template: apikey}]", false},
		{smallest + `policy: {rules: [{name: r, when: 'key.locked', action: delete, severity: info, approval: true, unlock: true}]}`, true},
		{"issuers: []", false},
		{strings.Replace(smallest, "sources", "source", 1), false},
		{strings.Replace(smallest, "github_partner", "github", 1), false},
		{strings.Replace(smallest, "github_partner", "github_partner, token_types: [a]", 1), false},
		{strings.Replace(smallest, "type: github_partner", "feedback: none", 1), false},
		{strings.Replace(smallest, "gh-partner", "GH partner", 1), false},
		{strings.Replace(smallest, "name: gh-partner, ", "", 1), false},
		{strings.Replace(smallest, ", token_types: [ibm_cloud_iam_key]", "", 1), false},
		{strings.Replace(smallest, "apikey_file", "apikey", 1), false},
		{strings.Replace(smallest, "[ibm_cloud_iam_key]", "ibm_cloud_iam_key", 1), false},
		{smallest + "retention: a month", false},
		{smallest + "limits: {body: 1MB}", false},
		{smallest + "limits: {alerts_per_delivery: -1}", false},
		{smallest + "policy: {default: enable}", false},
		{smallest + "policy: {key_none: delete}", false},
		{smallest + "policy: {dry_run: 1}", false},
		{smallest + "policy: {polcy: 1}", false},
		{smallest + "policy: {rules: [{name: r, when: 'true'}]}", false},
		{smallest + "policy: {rules: [{name: r, when: 'true', action: delete, severity: grave}]}", false},
		{smallest + "policy: {rules: [{name: r, when: 'true', action: delete, unlocks: true}]}", false},
		{smallest + "store: {dir: data}", false},
		{smallest + "notifiers: [{name: c, type: consle}]", false},
	} {
		if err := valid(row.text); (err == nil) != row.good {
			t.Errorf("the schema says %v of %s", err, row.text)
		}
		writeFile(t, "stanch.yaml", row.text)
		if _, faults := config.Load("stanch.yaml", stanch.Adapters); (faults == nil) != row.good {
			t.Errorf("check-config says %v of %s", faults, row.text)
		}
	}
}

// smallest is a configuration without which stanch does not start, and its secret file is apikey.
const smallest = `
sources: [{name: gh-partner, type: github_partner}]
issuers: [{name: ibm, type: ibmcloud, auth: {apikey_file: apikey}, token_types: [ibm_cloud_iam_key]}]
`

// adapted are the structs whose fields an entry has beside its own, by list and type.
func adapted() map[string]map[string]any {
	return map[string]map[string]any{
		"sources": each(stanch.Adapters.Sources), "issuers": each(stanch.Adapters.Issuers), "notifiers": each(stanch.Adapters.Notifiers),
	}
}

func each[A any](list map[string]func() A) map[string]any {
	all := map[string]any{}
	for kind, fresh := range list {
		all[kind] = fresh()
	}
	return all
}

// schema is a JSON schema of draft 7, the newest that editors know well.
type schema map[string]any

// required are the fields that are always needed; check-config knows of more.
var required = map[reflect.Type][]string{
	reflect.TypeFor[config.Config](): {"sources", "issuers"},
	reflect.TypeFor[config.Rule]():   {"name", "when", "action"},
}

func newSchema(t *testing.T) schema {
	g := &generator{t: t, comments: map[string]string{}, read: map[string]bool{}}
	root := g.of(reflect.TypeFor[config.Config]())
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "Configuration of stanch"
	return root
}

// generator makes schemas of types, by the YAML names of their fields and by the comments in their source.
type generator struct {
	t        *testing.T
	comments map[string]string // of "package.Type" and "package.Type.Field"
	read     map[string]bool   // packages
}

func (g *generator) of(typ reflect.Type) schema {
	switch typ {
	case reflect.TypeFor[time.Duration]():
		const units = "([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?"
		return schema{"type": "string", "minLength": 1, "pattern": "^" + units + "$"}
	case reflect.TypeFor[config.Size]():
		return schema{"type": []string{"string", "integer"}, "minimum": 0, "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)?$"}
	case reflect.TypeFor[admit.Rate]():
		return schema{"type": []string{"string", "number"}, "exclusiveMinimum": 0, "pattern": "^[0-9]+([.][0-9]+)?(/(s|min|h))?$"}
	case reflect.TypeFor[leak.Action]():
		return schema{"enum": []leak.Action{leak.Nothing, leak.Disable, leak.Delete}}
	case reflect.TypeFor[leak.Severity]():
		return schema{"enum": []leak.Severity{leak.Info, leak.Warning, leak.Critical}}
	}
	switch typ.Kind() {
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int:
		return schema{"type": "integer", "minimum": 0}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Pointer:
		return g.of(typ.Elem())
	case reflect.Slice:
		return schema{"type": "array", "items": g.of(typ.Elem())}
	case reflect.Struct:
		s := schema{"type": "object", "properties": g.fields(typ), "additionalProperties": false}
		if names := required[typ]; names != nil {
			s["required"] = names
		}
		return s
	}
	g.t.Fatalf("nobody said what %s is in a schema", typ)
	return nil
}

// fields are the schemas of the fields of a struct, by their YAML names.
func (g *generator) fields(typ reflect.Type) schema {
	properties := schema{}
	for i := range typ.NumField() {
		field := typ.Field(i)
		name := field.Tag.Get("yaml")
		if name == "" || name == "-" {
			continue
		}
		var s schema
		if own, ok := adapted()[name]; ok {
			s = schema{"type": "array", "items": g.entry(field.Type.Elem(), own)}
		} else {
			s = g.of(field.Type)
		}
		if name == "key_none" {
			s = schema{"enum": []leak.Action{leak.Nothing, leak.Disable}}
		}
		s["description"] = strings.Replace(g.comment(typ, field), field.Name+" ", name+" ", 1)
		properties[name] = s
	}
	return properties
}

// entry is the schema of an entry, whose further fields its type decides.
func (g *generator) entry(typ reflect.Type, adapters map[string]any) schema {
	all := g.fields(typ)
	all["name"].(schema)["pattern"] = "^[a-z0-9][a-z0-9-]*$"
	var types []string
	var cases []schema
	for _, name := range slices.Sorted(maps.Keys(adapters)) {
		types = append(types, name)
		own := g.fields(reflect.TypeOf(adapters[name]).Elem())
		for common := range all {
			own[common] = true
		}
		cases = append(cases, schema{
			"if":   schema{"required": []string{"type"}, "properties": schema{"type": schema{"const": name}}},
			"then": schema{"properties": own, "additionalProperties": false},
		})
	}
	all["type"].(schema)["enum"] = types
	s := schema{"type": "object", "required": []string{"name", "type"}, "properties": all, "allOf": cases}
	if all["token_types"] != nil {
		s["anyOf"] = []schema{{"required": []string{"token_types"}}, {"required": []string{"pattern"}}}
	}
	return s
}

// comment is what the source says of a field, or of its type.
func (g *generator) comment(typ reflect.Type, field reflect.StructField) string {
	g.readPackage(typ.PkgPath())
	text := g.comments[typ.PkgPath()+"."+typ.Name()+"."+field.Name]
	if text == "" {
		g.readPackage(field.Type.PkgPath())
		text = g.comments[field.Type.PkgPath()+"."+field.Type.Name()]
	}
	if text == "" {
		g.t.Errorf("nothing says what %s of %s is", field.Name, typ)
	}
	return text
}

func (g *generator) readPackage(path string) {
	dir, ours := strings.CutPrefix(path, "stanch/")
	if !ours || g.read[path] {
		return
	}
	g.read[path] = true
	files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			g.t.Fatal(err)
		}
		for _, declared := range parsed.Decls {
			if general, ok := declared.(*ast.GenDecl); ok {
				g.readTypes(path, general)
			}
		}
	}
}

func (g *generator) readTypes(path string, declared *ast.GenDecl) {
	for _, spec := range declared.Specs {
		typ, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		name := path + "." + typ.Name.Name
		g.comments[name] = oneLine(declared.Doc.Text())
		structure, ok := typ.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range structure.Fields.List {
			for _, ident := range field.Names {
				g.comments[name+"."+ident.Name] = oneLine(field.Doc.Text())
			}
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
