package terminal

import (
	"fmt"
	"io"
	"text/tabwriter"

	"stanch/cmd/stanch/doctor"
)

// Findings prints what doctor found as a table.
func Findings(w io.Writer, found []doctor.Finding) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	_, _ = fmt.Fprintln(table, "PART\tCHECK\tRESULT\tTEXT")
	for _, f := range found {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Part, f.Check, f.Result, printable(f.Text))
	}
}
