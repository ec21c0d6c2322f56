package expr

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
)

// Sight is a place of an expression at which it looks at a field.
type Sight struct {
	Field  string // its whole name
	Line   int    // from 1
	Column int    // within the line, in characters from 1
}

// Sights are what the expression looks at, in the order of the text. Whatever makes it true or false is among them.
func (x *Expression[S]) Sights() []Sight { return x.sights }

// survey lists what an expression looks at, in the order of the text, and refuses what would hide it: a variable as a
// whole, or its name given to something else.
func (l *Language[S]) survey(checked *cel.Ast) (sights []Sight, faults []Fault) {
	tree := checked.NativeRep()
	for _, e := range ast.MatchDescendants(ast.NavigateAST(tree), ast.AllMatcher()) {
		place := tree.SourceInfo().GetStartLocation(e.ID())
		name := l.nameOf(e)
		if f := l.field(name); f != nil {
			sights = append(sights, Sight{f.Name, place.Line(), place.Column() + 1})
		} else if text := l.hides(e, name); text != "" {
			faults = append(faults, at(place, text))
		}
	}
	slices.SortStableFunc(sights, func(a, b Sight) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return sights, faults
}

// nameOf is the name of a variable, with that of the field that is taken of it; empty for everything else.
func (l *Language[S]) nameOf(e ast.NavigableExpr) string {
	if e.Kind() != ast.IdentKind {
		return ""
	}
	name := strings.TrimPrefix(e.AsIdent(), ".")
	if parent, ok := e.Parent(); ok && l.fieldsOf(name) != nil && parent.Kind() == ast.SelectKind {
		name += "." + parent.AsSelect().FieldName()
	}
	return name
}

// hides says how an expression keeps from sight what it looks at; empty when it does not.
func (l *Language[S]) hides(e ast.NavigableExpr, name string) string {
	switch {
	case l.fieldsOf(name) != nil:
		return fmt.Sprintf("%s is used as a whole; name what of it, as in %s.%s", name, name, l.fieldsOf(name)[0])
	case e.Kind() == ast.StructKind:
		return "an expression compares what there is, and makes no objects"
	case e.Kind() != ast.ComprehensionKind:
		return ""
	}
	loop := e.AsComprehension()
	for _, own := range []string{loop.IterVar(), loop.IterVar2()} {
		if slices.Contains(l.variables, own) {
			return "a variable of this loop has a name that is taken; call it otherwise"
		}
	}
	return ""
}
