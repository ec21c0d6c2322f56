package terminal

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"stanch/dispositions/ledger"
)

// Audit prints what a verification of the log found: every problem first.
func Audit(w io.Writer, a ledger.Audit) {
	for _, p := range a.Problems {
		_, _ = fmt.Fprintf(w, "%s: %s\n", whereIs(p), printable(p.Text))
		for _, hash := range [][2]string{{"expected", p.Expected}, {"found", p.Found}} {
			if hash[1] != "" {
				_, _ = fmt.Fprintf(w, "    %-8s  %s\n", hash[0], printable(hash[1]))
			}
		}
	}
	if a.Omitted > 0 {
		_, _ = fmt.Fprintf(w, "and %d more problems\n", a.Omitted)
	}
	if len(a.Problems) > 0 {
		_, _ = fmt.Fprintln(w)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	for _, line := range [][2]string{
		{"read", fmt.Sprintf("%d entries of %d incidents", a.Entries, a.Incidents)},
		{"compared", fmt.Sprintf("%d checkpoints in the store, %d from outside", a.Checkpoints, a.Logged)},
		{"uncovered", fmt.Sprintf("%d entries at the end, newer than the newest checkpoint that fits", a.Uncovered)},
		{"now", a.Last.String()},
		{"problems", fmt.Sprint(len(a.Problems) + a.Omitted)},
	} {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
}

// whereIs names the place of a problem.
func whereIs(p ledger.Problem) (place string) {
	switch {
	case p.To > 0:
		place = fmt.Sprintf("entries %d to %d", p.Entry, p.To)
	case p.Entry > 0:
		place = fmt.Sprintf("entry %d", p.Entry)
	default:
		place = "the store"
	}
	if p.Incident != "" {
		place += " of incident " + printable(p.Incident.Short())
	}
	if p.Step != "" {
		place += ", step " + printable(string(p.Step))
	}
	if !p.At.IsZero() {
		place += ", " + p.At.UTC().Format(time.DateTime) + " UTC"
	}
	return place
}
