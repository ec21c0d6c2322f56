package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"stanch/cmd/stanch/config/decode"
	"stanch/receiver/leak"

	"github.com/spf13/cobra"
)

// newIncidents makes the command that lists incidents and shows one, by asking a running serve.
func newIncidents() *cobra.Command {
	command := &cobra.Command{
		Use:   "incidents",
		Short: "List incidents, show one, and act on one",
		Long: `Incidents asks a running 'stanch serve' over the unix socket in its store directory, which is that of the
configuration file, or ./data when there is none. Only the user that serve runs as, and root, may ask. With --server it
asks the private listener; acting needs a user of its web configuration file then.`,
		Example: "  stanch incidents list --state failed\n  stanch incidents show 3f9a2c -o json\n" +
			"  stanch incidents undo 3f9a2c --reason 'it is the public demo key'",
	}
	server := &running{}
	server.flags(command.PersistentFlags())
	output := &choice{value: "table", words: []string{"table", "json"}}
	command.PersistentFlags().VarP(output, "output", "o", "table or json")
	command.AddCommand(newIncidentsList(server, output), newIncidentsShow(server, output))
	command.AddCommand(newOrders(server, output)...)
	return command
}

func newIncidentsList(server *running, output *choice) *cobra.Command {
	command := &cobra.Command{
		Use:     "list",
		Short:   "List incidents, newest first",
		Example: "  stanch incidents list\n  stanch incidents list --state held --limit 0 -o json",
		Args:    cobra.NoArgs,
	}
	state := &choice{}
	for _, s := range leak.States {
		state.words = append(state.words, string(s))
	}
	command.Flags().Var(state, "state", "only those in this state: "+strings.Join(state.words, ", "))
	limit := command.Flags().Uint("limit", defaultList, "at most so many; 0 lists all")
	command.RunE = func(command *cobra.Command, _ []string) error {
		query := url.Values{"limit": {strconv.FormatUint(uint64(*limit), 10)}}
		if state.value != "" {
			query.Set("state", state.value)
		}
		c, err := server.dial()
		if err != nil {
			return err
		}
		var views []view
		if err := c.get(command.Context(), "/api/v1/incidents", query, &views); err != nil {
			return err
		}
		return render(command.OutOrStdout(), output.value, views, func(w io.Writer) { tableOf(w, views) })
	}
	return command
}

func newIncidentsShow(server *running, output *choice) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show one incident with its steps",
		Long:    "Show prints one incident with its steps. ID is the incident's id, or as much of its beginning as no other has.",
		Example: "  stanch incidents show 3f9a2c71d0aa",
		Args:    cobra.MatchAll(cobra.ExactArgs(1), idArg),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := server.dial()
			if err != nil {
				return err
			}
			v, err := getIncident(command.Context(), c, args[0])
			if err != nil {
				return err
			}
			return render(command.OutOrStdout(), output.value, v, func(w io.Writer) { timeline(w, v) })
		},
	}
}

// idForm is the beginning of an incident's id.
var idForm = regexp.MustCompile(`^[0-9a-f]{1,64}$`)

func idArg(_ *cobra.Command, args []string) error {
	if !idForm.MatchString(args[0]) {
		return errID
	}
	return nil
}

var errID = errors.New("ID must be of the digits 0-9 and a-f, as 'stanch incidents list' prints it")

func getIncident(ctx context.Context, c *client, id string) (view, error) {
	var v view
	err := c.get(ctx, "/api/v1/incidents/"+url.PathEscape(id), nil, &v)
	return v, err
}

// render prints a value as JSON, or as people read it.
func render(w io.Writer, format string, v any, forPeople func(io.Writer)) error {
	if format == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	forPeople(w)
	return nil
}

// choice is a flag that is one of some words; every other is wrong usage.
type choice struct {
	value string
	words []string
}

// String implements [pflag.Value].
func (c *choice) String() string { return c.value }

// Type implements [pflag.Value].
func (c *choice) Type() string { return "string" }

// Set implements [pflag.Value].
func (c *choice) Set(word string) error {
	if !slices.Contains(c.words, word) {
		return errors.New(decode.OneOf(c.words, word))
	}
	c.value = word
	return nil
}

func tableOf(w io.Writer, views []view) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	_, _ = fmt.Fprintln(table, "INCIDENT\tSTATE\tACTION\tRULE\tKEY\tNAME\tRECEIVED\tCONTAINED AFTER")
	for _, v := range views {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID.Short(), v.State, dash(string(v.Action)), dash(v.Rule),
			dash(v.Key.ID), dash(printable(v.Key.Name)), v.ReceivedAt.UTC().Format(time.DateTime), containedAfter(v.Incident))
	}
}

// timeline prints an incident as a person reads it at 3 a.m.: what it is first, what happened after.
func timeline(w io.Writer, v view) {
	head := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range append([][2]string{
		{"incident", string(v.ID)},
		{"state", string(v.State)},
		{"severity", string(v.Severity)},
		{"key", fmt.Sprintf("%s %s", dash(v.Key.ID), printable(v.Key.Name))},
		{"issuer", dash(v.Issuer)},
		{"owner", dash(printable(strings.TrimSpace(v.Key.Owner + " " + v.Key.OwnerName)))},
		{"account", dash(printable(v.Key.Account))},
		{"action", fmt.Sprintf("%s by %s", dash(string(v.Action)), dash(v.Rule))},
		{"reason", dash(printable(v.Reason))},
		{"failure", dash(printable(v.Failure))},
		{"contained", containedAfter(v.Incident)},
	}, reach(v.Incident)...) {
		_, _ = fmt.Fprintf(head, "%s\t%s\n", line[0], line[1])
	}
	_ = head.Flush()
	_, _ = fmt.Fprintf(w, "\nseen %d times\n", v.SightingCount)
	for _, s := range v.Sightings {
		_, _ = fmt.Fprintf(w, "  %s  %s  %s  %s\n", s.SeenAt.UTC().Format(time.DateTime), s.Source, dash(s.Place), printable(dash(s.URL)))
	}
	_, _ = fmt.Fprintln(w, "\nsteps")
	for _, s := range v.Steps {
		_, _ = fmt.Fprintf(w, "  %s  %-8s  %s  (%s)\n", s.At.UTC().Format("15:04:05.000"), s.Step, printable(s.Text), s.By)
	}
}

// reach says how far a leak reached, as far as the issuer told.
func reach(i leak.Incident) [][2]string {
	return [][2]string{
		{"tokens live", tokensLive(i)},
		{"used before", usedBefore(i.Key)},
		{"used since", usedSince(i.Aftermath)},
		{"made since", madeSince(i.Aftermath)},
	}
}

func containedAfter(i leak.Incident) string {
	if i.ContainedAt.IsZero() {
		return "-"
	}
	return i.ContainedAt.Sub(i.ReceivedAt).Round(100 * time.Microsecond).String()
}

func tokensLive(i leak.Incident) string {
	if i.TokensLiveUntil.IsZero() {
		return "-"
	}
	return "until " + i.TokensLiveUntil.UTC().Format(time.DateTime) + " UTC at most"
}

// usedBefore says how a key was used until it was looked up.
func usedBefore(k leak.Key) string {
	switch {
	case k.Used.Known && k.Used.Count == 0:
		return "never"
	case k.Used.Known && !k.LastUsedAt.IsZero():
		return fmt.Sprintf("%d times, last at %s UTC", k.Used.Count, k.LastUsedAt.UTC().Format(time.DateTime))
	case !k.LastUsedAt.IsZero():
		return "last at " + k.LastUsedAt.UTC().Format(time.DateTime) + " UTC"
	}
	return "-"
}

// usedSince says how often a key was used between its lookup and the second look.
func usedSince(a *leak.Aftermath) string {
	if a == nil || !a.Used.Known {
		return "-"
	}
	return fmt.Sprintf("%d times", a.Used.Count)
}

// madeSince lists what a key's owner made between the first sighting and the second look.
func madeSince(a *leak.Aftermath) string {
	switch {
	case a == nil || !a.Traced:
		return "-"
	case len(a.Made) == 0:
		return "nothing"
	}
	var list []string
	for _, m := range a.Made {
		list = append(list, fmt.Sprintf("%s %s %s", m.Kind, m.ID, printable(m.Name)))
	}
	if a.More > 0 {
		list = append(list, fmt.Sprintf("and %d more", a.More))
	}
	return strings.Join(list, ", ")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// printable replaces what could steer a terminal; names and places come from strangers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
