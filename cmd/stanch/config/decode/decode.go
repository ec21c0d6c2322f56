// Package decode reads a YAML document strictly into structs. It reports every fault with its place in the document and never
// repeats a value, because a secret in the wrong place is a common fault.
package decode

import (
	"bytes"
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"time"

	"stanch/receiver/leak/expr"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v4"
)

// Decoder reads a YAML document into structs, notes every fault on the way, and remembers the line of each field. It
// walks the nodes itself, because the YAML package quotes values in its errors and knows no fields that depend on others.
// Text in a field that ends in _file, _files, dir or _dir is a path: a relative one starts at the directory of the document.
// A Decoder is for one document and one goroutine.
type Decoder struct {
	faultList
	source  []byte
	adapt   Adapt
	scalars map[string]*yaml.Node // by path
	files   []File
}

// File is a field that holds the path of a file.
type File struct {
	Path     string // of the field
	Name     string // of the file, as the process finds it
	Relative bool   // in the document
}

// Adapt returns the struct that holds the further fields of an entry of the given type, or nil when there is no such type, and the
// known types. ok is false for an entry whose fields do not depend on a type.
type Adapt func(entry any, kind string) (own any, known []string, ok bool)

// New returns a decoder of the document in a file.
func New(file string, source []byte, adapt Adapt) *Decoder {
	return &Decoder{faultList: newFaultList(file), source: source, adapt: adapt, scalars: map[string]*yaml.Node{}}
}

// Files returns the fields that hold the path of a file, in the order of the document.
func (d *Decoder) Files() []File { return d.files }

// Document reads the only document of the file into the struct that to points to, and reports whether there is one to check.
func (d *Decoder) Document(to any) bool {
	loader, err := yaml.NewLoader(bytes.NewReader(d.source))
	if err != nil {
		d.syntax(err)
		return false
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err != nil {
		d.syntax(err)
		return false
	}
	d.lines[""] = first.Content[0].Line
	d.value(first.Content[0], reflect.ValueOf(to).Elem(), "")
	if err := loader.Load(&second); err == nil {
		d.add(second.Line, "", "a second document starts here; the file must hold one")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
	}
	return true
}

// syntax reports an error of the YAML package. The words of its scanner and parser are fixed; the composer's quote.
func (d *Decoder) syntax(err error) {
	if errors.Is(err, io.EOF) {
		d.add(1, "", "the file is empty")
		return
	}
	line, text := 1, "not valid YAML"
	if at, ok := errors.AsType[*yaml.LoadError](err); ok {
		line = cmp.Or(at.Mark.Line, 1)
		if slices.Contains([]yaml.Stage{yaml.ReaderStage, yaml.ScannerStage, yaml.ParserStage}, at.Stage) {
			text += ": " + at.Message
		}
	}
	d.add(line, "", text)
}

func (d *Decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	_, readsText := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case n.ShortTag() == "!!null":
	case readsText:
		d.scalar(n, v, path)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	case v.Kind() == reflect.Struct:
		d.mapping(n, v, path)
	case v.Kind() == reflect.Slice:
		d.sequence(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

func (d *Decoder) sequence(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.broke(path, "must be a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.lines[at] = item.Line
		if item.ShortTag() == "!!null" {
			d.broke(at, "is empty")
		}
		d.value(item, v.Index(i), at)
	}
}

func (d *Decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.broke(path, "must be a mapping of fields")
		return
	}
	fields := fieldsOf(v)
	known := d.adaptEntry(n, v, path, fields)
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, at := n.Content[i], Join(path, n.Content[i].Value)
		field, ok := fields[key.Value]
		switch {
		case ok && seen[key.Value] > 0:
			d.add(key.Line, at, fmt.Sprintf("given twice, first on line %d", seen[key.Value]))
		case ok:
			seen[key.Value] = key.Line
			d.lines[at] = key.Line
			d.value(n.Content[i+1], field, at)
		case known:
			d.unknown(key, path, slices.Sorted(maps.Keys(fields)))
		}
	}
}

// adaptEntry adds the fields of an entry's own type. It reports whether every field is known then.
func (d *Decoder) adaptEntry(n *yaml.Node, v reflect.Value, path string, fields map[string]reflect.Value) bool {
	kind, line := typeOf(n)
	own, known, ok := d.adapt(v.Addr().Interface(), kind)
	if !ok {
		return true
	}
	if own != nil {
		maps.Copy(fields, fieldsOf(reflect.ValueOf(own).Elem()))
		return true
	}
	problem := "is missing; "
	if kind != "" {
		problem = "unknown type; "
	}
	d.add(line, Join(path, "type"), problem+OneOf(known, kind))
	return false
}

// typeOf finds the type that an entry names, and the line to blame when it is none.
func typeOf(n *yaml.Node) (kind string, line int) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "type" {
			return n.Content[i+1].Value, n.Content[i].Line
		}
	}
	return "", n.Line
}

// plainKey is what a key may look like to be repeated in a message; anything else may be a secret in the wrong place.
var plainKey = regexp.MustCompile(`^([a-z_]{1,30}|<<)$`)

func (d *Decoder) unknown(key *yaml.Node, path string, known []string) {
	at := path
	if plainKey.MatchString(key.Value) {
		at = Join(path, key.Value)
	}
	d.add(key.Line, at, "unknown key"+expr.Suggestion(key.Value, known))
}

func (d *Decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	d.scalars[path] = n
	if n.Kind != yaml.ScalarNode || readScalar(n, v) != nil {
		d.broke(path, "must be "+wanted(v))
		return
	}
	if v.Kind() == reflect.String && (NamesFile(path) || namesDirectory(path)) {
		d.resolve(v, path)
	}
}

// resolve makes of a path as it is written one that the process finds.
func (d *Decoder) resolve(v reflect.Value, path string) {
	written := v.String()
	v.SetString(Resolve(d.file, written))
	if NamesFile(path) {
		d.files = append(d.files, File{Path: path, Name: v.String(), Relative: !filepath.IsAbs(written)})
	}
}

func readScalar(n *yaml.Node, v reflect.Value) error {
	switch to := v.Addr().Interface().(type) {
	case *time.Duration:
		d, err := model.ParseDuration(n.Value)
		*to = time.Duration(d)
		return err
	case encoding.TextUnmarshaler:
		return to.UnmarshalText([]byte(n.Value))
	default:
		return n.Load(to)
	}
}

// wanted is what a field takes, in words.
func wanted(v reflect.Value) string {
	switch field := v.Interface().(type) {
	case time.Duration:
		return "a duration such as 10m or 30d"
	case interface{ Wanted() string }:
		return field.Wanted()
	}
	switch {
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt(), v.CanUint():
		return "a whole number"
	case v.Kind() == reflect.String:
		return "text"
	}
	return "a value of its kind"
}
