package terminal

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"stanch/cmd/stanch/api"
	"stanch/dispositions/deadletter"
)

// Replayed prints how many dead letters are back on their queues, and why others are not.
func Replayed(w io.Writer, r deadletter.Replayed) {
	_, _ = fmt.Fprintf(w, "%d dead letters are on their queues again\n", r.Replayed)
	for _, text := range slices.Sorted(maps.Keys(r.Refused)) {
		_, _ = fmt.Fprintf(w, "%d stay: %s\n", r.Refused[text], printable(text))
	}
}

// DeadLetters prints dead letters as a table.
func DeadLetters(w io.Writer, list []deadletter.Dead) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	_, _ = fmt.Fprintln(table, "ID\tSOURCE\tWHAT\tAT\tREASON")
	for _, d := range list {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n",
			d.ID, printable(d.Source), d.What, d.At.UTC().Format(time.DateTime), printable(d.Reason))
	}
}

// DeadLetter prints one dead letter.
func DeadLetter(w io.Writer, v api.DeadLetter) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	lines := [][2]string{
		{"dead letter", strconv.FormatUint(v.ID, 10)},
		{"what", string(v.What)},
		{"source", printable(v.Source)},
		{"reason", printable(v.Reason)},
		{"at", v.At.UTC().Format(time.DateTime) + " UTC"},
		{"forgotten", v.ForgottenAt.UTC().Format(time.DateTime) + " UTC"},
	}
	if v.Pointer != nil {
		lines = append(lines, [][2]string{
			{"points to", printable(v.Pointer.Ref)},
			{"event", printable(v.Pointer.Event)},
			{"received", v.Pointer.ReceivedAt.UTC().Format(time.DateTime) + " UTC"},
		}...)
	} else {
		lines = append(lines, [][2]string{
			{"fingerprint", dash(string(v.Fingerprint))}, {"sealed", fmt.Sprintf("%d bytes", v.Size)},
		}...)
	}
	replay := "it can be put back now"
	if v.Obstacle != "" {
		replay = "it cannot be put back: " + printable(v.Obstacle)
	}
	for _, line := range append(lines, [2]string{"replay", replay}) {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
}
