package expr

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/lithammer/fuzzysearch/fuzzy"
)

// Fault is something wrong with an expression. Its text is worded to follow the name of the setting; names of fields are all
// that it repeats.
type Fault struct {
	Line   int // from 1; 0: the fault is not at a place
	Column int // within the line, in characters from 1
	Text   string
}

// about is a fault of an expression as a whole.
func about(text string) []Fault { return []Fault{{Text: text}} }

// at is a fault at a place of an expression.
func at(place common.Location, text string) Fault {
	if place == nil || place.Line() < 1 {
		return Fault{Text: text}
	}
	return Fault{place.Line(), max(place.Column(), 0) + 1, text}
}

// explain makes faults of what CEL found. Without the parsed expression it is syntax errors, of which it makes one: the others
// follow from it.
func (l *Language[S]) explain(issues *cel.Issues, parsed *cel.Ast) []Fault {
	var faults []Fault
	for _, e := range issues.Errors() {
		faults = append(faults, at(e.Location, l.inWords(e, parsed)))
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if parsed == nil {
		return faults[:1]
	}
	return faults
}

// CEL says what it means in its messages only. Those that are not known here are told without their words, which may
// repeat what was written.
var wordings = []struct {
	message *regexp.Regexp
	text    string // what is matched in parentheses is put in
}{
	{regexp.MustCompile(`^Syntax error: .*input '<EOF>'`), "the expression ends too early"},
	{
		regexp.MustCompile(`^Syntax error|^unsupported syntax`),
		"not an expression from here on; compare with ==, join with && and ||, negate with !, and put text in quotes",
	},
	{regexp.MustCompile(`^undeclared reference to .* \(did you mean '(\w+)'\?\)$`), "there is no such name; did you mean %s?"},
	{regexp.MustCompile(`^found no matching overload for '(.*)' applied to '(.*)'$`), "%s does not go with %s"},
	{regexp.MustCompile(`^expected type '(.*)' but found '(.*)'$`), "must be %s here, and is %s"},
	{regexp.MustCompile(`^type '(.*)' does not support field selection$`), "a %s has no fields"},
	{regexp.MustCompile(`^expression of type '(.*)' cannot be range`), "a %s holds nothing to go through; it must be a list"},
	{regexp.MustCompile(`^invalid argument to has\(\) macro`), "has takes a field, as in has(key.name)"},
	{regexp.MustCompile(`^invalid matches argument`), "not a regular expression (RE2)"},
	{regexp.MustCompile(`^regex program size`), "a pattern that is too large; repeat less in it"},
	{regexp.MustCompile(`^invalid duration argument`), "not a duration; write it in hours, minutes and seconds, as in 720h or 1h30m"},
	{regexp.MustCompile(`^invalid timestamp argument`), "not a timestamp; write it as in 2026-01-31T15:04:05Z"},
}

func (l *Language[S]) inWords(e *cel.Error, parsed *cel.Ast) string {
	if text := l.noSuchField(e, parsed); text != "" {
		return text
	}
	for _, w := range wordings {
		if found := w.message.FindStringSubmatch(e.Message); found != nil {
			var words []any
			for _, word := range found[1:] {
				words = append(words, plain(word))
			}
			return fmt.Sprintf(w.text, words...)
		}
	}
	if strings.HasPrefix(e.Message, "undeclared reference") {
		return fmt.Sprintf("there is no such name; there are %s, and the functions of CEL", listed(l.variables))
	}
	return "not an expression that can be used here"
}

// plain is the name of a function or operator as it is written.
func plain(name string) string {
	if written, ok := operators.FindReverse(name); ok && written != "" {
		return written
	}
	return name
}

// noSuchField names the fields that there are instead of one that there is not; empty when that is not the error.
func (l *Language[S]) noSuchField(e *cel.Error, parsed *cel.Ast) string {
	if !strings.HasPrefix(e.Message, "undefined field") {
		return ""
	}
	wanted := func(x ast.NavigableExpr) bool { return x.ID() == e.ExprID && x.Kind() == ast.SelectKind }
	for _, x := range ast.MatchDescendants(ast.NavigateAST(parsed.NativeRep()), wanted) {
		of, name := x.AsSelect().Operand(), x.AsSelect().FieldName()
		if of.Kind() == ast.IdentKind && l.fieldsOf(of.AsIdent()) != nil {
			known := l.fieldsOf(of.AsIdent())
			return fmt.Sprintf("%s has no such field%s it has %s", of.AsIdent(), cmp.Or(Suggestion(name, known), ";"), strings.Join(known, ", "))
		}
	}
	return ""
}

// listed names a few things.
func listed(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// farthest is the largest edit distance at which a word is taken for a misspelling of another.
const farthest = 2

// Suggestion returns the end of a sentence that names the word that was probably meant, or nothing.
func Suggestion(written string, known []string) string {
	best, distance := "", farthest+1
	for _, word := range known {
		limit := min(distance, len(word)/2+1)
		if n := fuzzy.LevenshteinDistance(strings.ToLower(written), strings.ToLower(word)); n < limit {
			best, distance = word, n
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
