package terminal

import (
	"fmt"
	"io"
	"text/tabwriter"

	"stanch/cmd/stanch/doctor"
	"stanch/receiver/leak"
)

// Findings prints what doctor found as a table, and how many results of each kind there are.
func Findings(w io.Writer, found []doctor.Finding) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	results := map[leak.Result]int{}
	_, _ = fmt.Fprintln(table, "PART\tCHECK\tRESULT\tTEXT")
	for _, f := range found {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Part, f.Check, f.Result, printable(f.Text))
		results[f.Result]++
	}
	_ = table.Flush()
	_, _ = fmt.Fprintf(w, "\nresults: %d ok, %d warning, %d failure\n", results[leak.Good], results[leak.Doubt], results[leak.Broken])
}
