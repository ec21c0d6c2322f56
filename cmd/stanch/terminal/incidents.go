package terminal

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"stanch/cmd/stanch/api"
)

// Incidents prints incidents as a table.
func Incidents(w io.Writer, list []api.Incident) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	_, _ = fmt.Fprintln(table, "INCIDENT\tSTATE\tACTION\tRULE\tKEY\tNAME\tRECEIVED\tCONTAINED AFTER")
	for _, v := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID.Short(), v.State, dash(string(v.Action)), dash(v.Rule),
			dash(v.Key.ID), dash(printable(v.Key.Name)), v.ReceivedAt.UTC().Format(time.DateTime), api.ContainedAfter(v.Incident))
	}
}

// Incident prints an incident as a person reads it at 3 a.m.: what it is first, what happened after.
func Incident(w io.Writer, v api.Incident) {
	head := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range append([][2]string{
		{"incident", string(v.ID)},
		{"state", string(v.State)},
		{"severity", string(v.Severity)},
		{"key", fmt.Sprintf("%s %s", dash(v.Key.ID), printable(v.Key.Name))},
		{"issuer", dash(v.Issuer)},
		{"owner", dash(printable(strings.TrimSpace(v.Key.Owner + " " + v.Key.OwnerName)))},
		{"account", dash(printable(v.Key.Account))},
		{"action", fmt.Sprintf("%s (rule %s)", dash(string(v.Action)), dash(v.Rule))},
		{"reason", dash(printable(v.Reason))},
		{"failure", dash(printable(v.Failure))},
		{"contained after", api.ContainedAfter(v.Incident)},
	}, api.Reach(v.Incident)...) {
		_, _ = fmt.Fprintf(head, "%s\t%s\n", line[0], printable(line[1]))
	}
	_ = head.Flush()
	_, _ = fmt.Fprintf(w, "\nseen %s\n", times(v.SightingCount))
	for _, s := range v.Sightings {
		_, _ = fmt.Fprintf(w, "  %s  %s  %s  %s\n", s.SeenAt.UTC().Format(time.DateTime), s.Source, dash(s.Place), printable(dash(s.URL)))
	}
	_, _ = fmt.Fprintln(w, "\nsteps")
	for _, s := range v.Steps {
		_, _ = fmt.Fprintf(w, "  %s  %-8s  %s  (%s)\n", s.At.UTC().Format("2006-01-02 15:04:05.000"), s.Step, printable(s.Text), s.By)
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// Taken prints what became of an order.
func Taken(w io.Writer, a api.Taken) {
	if a.Incident == nil {
		_, _ = fmt.Fprintln(w, printable(a.Text))
		return
	}
	_, _ = fmt.Fprintf(w, "order taken: %s\n", printable(a.Text))
	last := a.Incident.Steps[len(a.Incident.Steps)-1]
	_, _ = fmt.Fprintf(w, "the incident is %s: %s\n", a.Incident.State, printable(last.Text))
}
