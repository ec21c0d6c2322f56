package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

// sight is a place of an expression at which it looks at a field.
type sight struct {
	*field
	place common.Location
}

// survey lists what an expression looks at, in the order of the text, and refuses what would hide it: a variable as a
// whole, or its name given to something else.
func survey(checked *cel.Ast) (sights []sight, faults []Fault) {
	tree := checked.NativeRep()
	for _, e := range ast.MatchDescendants(ast.NavigateAST(tree), ast.AllMatcher()) {
		place := tree.SourceInfo().GetStartLocation(e.ID())
		name := nameOf(e)
		if f := lookUp(name); f != nil {
			sights = append(sights, sight{f, place})
		} else if text := hides(e, name); text != "" {
			faults = append(faults, at(place, text))
		}
	}
	slices.SortStableFunc(sights, func(a, b sight) int {
		return cmp.Or(cmp.Compare(a.place.Line(), b.place.Line()), cmp.Compare(a.place.Column(), b.place.Column()))
	})
	return sights, faults
}

// nameOf is the name of a variable, with that of the field that is taken of it; empty for everything else.
func nameOf(e ast.NavigableExpr) string {
	if e.Kind() != ast.IdentKind {
		return ""
	}
	name := strings.TrimPrefix(e.AsIdent(), ".")
	if parent, ok := e.Parent(); ok && slices.Contains(objects, name) && parent.Kind() == ast.SelectKind {
		name += "." + parent.AsSelect().FieldName()
	}
	return name
}

// hides says how an expression keeps from sight what it looks at; empty when it does not.
func hides(e ast.NavigableExpr, name string) string {
	switch {
	case slices.Contains(objects, name):
		return fmt.Sprintf("%s is used as a whole; name what of it, as in %s.%s", name, name, fieldsOf(name)[0])
	case e.Kind() == ast.StructKind:
		return "an expression compares what there is, and makes no objects"
	case e.Kind() != ast.ComprehensionKind:
		return ""
	}
	loop := e.AsComprehension()
	for _, own := range []string{loop.IterVar(), loop.IterVar2()} {
		if own == now || slices.Contains(objects, own) {
			return "a variable of this loop has a name that is taken; call it otherwise"
		}
	}
	return ""
}
