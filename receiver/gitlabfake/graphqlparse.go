package gitlabfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errDocument is what every fault of a document wraps.
var errDocument = errors.New("the document is not GraphQL")

// document is a GraphQL request that was read: one operation, with its fragments and variables.
type document struct {
	operation string // query or mutation
	declared  map[string]declaration
	selected  []selection
	fragments map[string]selection
	variables map[string]any
}

// declaration is what an operation says of a variable.
type declaration struct {
	of       string // its type, without what makes it a list
	required bool
	value    any // the default
}

// selection is a field, or a fragment when it has a condition or a spread.
type selection struct {
	alias, name string
	arguments   map[string]any
	on          string // of an inline fragment or a fragment's definition
	spread      string // the name of a fragment
	fragment    bool
	skipped     []any // by @include, as pairs of the wanted value and the condition
	selected    []selection
}

// variable, in place of a value, is the name of one; enum is a value without quotes.
type (
	variable string
	enum     string
)

// parser reads tokens; a fault ends it by a panic with an error, which parse turns into its own.
type parser struct {
	tokens []string
	at     int
}

// parse reads a document and chooses the operation with a name; empty: its only one.
func parse(text, operation string) (doc *document, err error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDocument, err)
	}
	p := &parser{tokens: tokens}
	defer func() {
		if fault, ok := recover().(error); ok {
			doc, err = nil, fmt.Errorf("%w: %w", errDocument, fault)
		}
	}()
	doc = p.document(operation)
	return doc, nil
}

func (p *parser) document(wanted string) *document {
	var chosen *document
	fragments := map[string]selection{}
	for p.at < len(p.tokens) {
		if p.accept("fragment") {
			name := p.name()
			p.expect("on")
			fragments[name] = selection{on: p.name(), fragment: true, selected: p.selections()}
			continue
		}
		doc, name := p.definition()
		if wanted == "" && chosen != nil {
			panic(errors.New("an operation name is required"))
		}
		if wanted == "" || wanted == name {
			chosen = doc
		}
	}
	if chosen == nil {
		panic(errors.New("there is no such operation"))
	}
	chosen.fragments = fragments
	return chosen
}

func (p *parser) definition() (doc *document, name string) {
	doc = &document{operation: "query", declared: map[string]declaration{}}
	if p.peek() != "{" {
		doc.operation = p.next()
		if doc.operation != "query" && doc.operation != "mutation" {
			panic(fmt.Errorf("unexpected %q", doc.operation))
		}
		if p.peek() != "(" && p.peek() != "{" {
			name = p.name()
		}
		p.declarations(doc)
	}
	doc.selected = p.selections()
	return doc, name
}

func (p *parser) declarations(doc *document) {
	if !p.accept("(") {
		return
	}
	for !p.accept(")") {
		p.expect("$")
		name := p.name()
		p.expect(":")
		d := p.declared()
		if p.accept("=") {
			d.value, d.required = p.constant(), false
		}
		doc.declared[name] = d
	}
}

// declared reads the type of a variable.
func (p *parser) declared() (d declaration) {
	if p.accept("[") {
		d = p.declared()
		p.expect("]")
	} else {
		d.of = p.name()
	}
	d.required = p.accept("!")
	return d
}

func (p *parser) selections() []selection {
	p.expect("{")
	var found []selection
	for !p.accept("}") {
		found = append(found, p.selection())
	}
	if found == nil {
		panic(errors.New("a selection is empty"))
	}
	return found
}

func (p *parser) selection() selection {
	if p.accept("...") {
		return p.spread()
	}
	s := selection{name: p.name()}
	s.alias = s.name
	if p.accept(":") {
		s.name = p.name()
	}
	if p.accept("(") {
		s.arguments = p.pairs(")")
	}
	s.skipped = p.directives()
	if p.peek() == "{" {
		s.selected = p.selections()
	}
	return s
}

func (p *parser) spread() selection {
	s := selection{fragment: true}
	if p.accept("on") {
		s.on = p.name()
	} else if p.peek() != "{" && p.peek() != "@" {
		s.spread = p.name()
	}
	s.skipped = p.directives()
	if s.spread == "" {
		s.selected = p.selections()
	}
	return s
}

// directives reads @include and @skip, as pairs of what their condition must be and the condition.
func (p *parser) directives() (conditions []any) {
	for p.accept("@") {
		name := p.name()
		if name != "include" && name != "skip" {
			panic(fmt.Errorf("directive @%s is not defined", name))
		}
		p.expect("(")
		conditions = append(conditions, name == "include", p.pairs(")")["if"])
	}
	return conditions
}

// pairs reads names and values up to a bracket.
func (p *parser) pairs(end string) map[string]any {
	found := map[string]any{}
	for !p.accept(end) {
		name := p.name()
		p.expect(":")
		found[name] = p.value()
	}
	return found
}

func (p *parser) value() any {
	switch text := p.next(); {
	case text == "$":
		return variable(p.name())
	case text == "[":
		list := []any{}
		for !p.accept("]") {
			list = append(list, p.value())
		}
		return list
	case text == "{":
		return p.pairs("}")
	case text == "true" || text == "false":
		return text == "true"
	case text == "null":
		return nil
	case strings.HasPrefix(text, `"""`):
		return strings.TrimSpace(strings.Trim(text, `"`))
	case strings.ContainsAny(text[:1], `"-0123456789`):
		return p.literal(text)
	case strings.ContainsAny(text[:1], "!():=@|&}].)"):
		panic(fmt.Errorf("unexpected %q", text))
	default:
		return enum(text)
	}
}

// constant reads a value without variables, since those could mean themselves.
func (p *parser) constant() any {
	from := p.at
	value := p.value()
	if slices.Contains(p.tokens[from:p.at], "$") {
		panic(errors.New("a default cannot be a variable"))
	}
	return value
}

// literal reads a number or a string, which are written as in JSON.
func (p *parser) literal(text string) (value any) {
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		panic(fmt.Errorf("unexpected %s", text))
	}
	return value
}

func (p *parser) peek() string {
	if p.at == len(p.tokens) {
		panic(errors.New("unexpected end of document"))
	}
	return p.tokens[p.at]
}

func (p *parser) next() string {
	text := p.peek()
	p.at++
	return text
}

func (p *parser) accept(text string) bool {
	if p.at == len(p.tokens) || p.tokens[p.at] != text {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(text string) {
	if got := p.next(); got != text {
		panic(fmt.Errorf("expected %q, got %q", text, got))
	}
}

func (p *parser) name() string {
	text := p.next()
	if first := text[0] | 0x20; first != '_'|0x20 && (first < 'a' || first > 'z') {
		panic(fmt.Errorf("expected a name, got %q", text))
	}
	return text
}
