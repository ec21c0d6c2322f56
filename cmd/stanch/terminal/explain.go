package terminal

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"stanch/cmd/stanch/api"
)

// Explanations prints what would be done with keys, and why.
func Explanations(w io.Writer, all []api.Explanation) {
	for i, e := range all {
		if i > 0 {
			_, _ = fmt.Fprintln(w)
		}
		explanation(w, e)
	}
}

// explanation prints an explanation as a person reads it: the answer first, then what led to it.
func explanation(w io.Writer, e api.Explanation) {
	if e.Decided != "" {
		_, _ = fmt.Fprintf(w, "decided before  %s\n\nas policy stands now\n", printable(e.Decided))
	}
	if e.Explanation == nil {
		_, _ = fmt.Fprintln(w, printable(e.Problem))
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	action := string(e.Decision.Action)
	if e.Decision.Approval {
		action += " after approval"
	}
	for _, line := range [][2]string{
		{"key", fmt.Sprintf("%s %s", e.Key.ID, e.Key.Name)},
		{"issuer", e.Issuer},
		{"owner", e.Key.Owner},
		{"account", e.Key.Account},
		{"action", fmt.Sprintf("%s (rule %s), severity %s", action, e.Decision.Rule, e.Decision.Severity)},
		{"reason", e.Decision.Reason},
	} {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], dash(printable(strings.TrimSpace(line[1]))))
	}
	_ = table.Flush()
	if len(e.Looked) > 0 {
		_, _ = fmt.Fprintln(w, "\nrules in their order: + matches, - does not, ! could not be evaluated")
	}
	for _, look := range e.Looked {
		_, _ = fmt.Fprintf(w, "  %s %s: %s\n      %s\n", mark(look.Matched, look.Failure), look.Rule, printable(look.When), printable(look.Text))
	}
	_, _ = fmt.Fprintln(w, "\nthen")
	for _, sentence := range e.Then {
		_, _ = fmt.Fprintln(w, "  "+printable(sentence))
	}
}

func mark(matched bool, failure string) string {
	switch {
	case matched:
		return "+"
	case failure != "":
		return "!"
	}
	return "-"
}
