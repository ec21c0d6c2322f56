package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"stanch/cmd/stanch/api"
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
	limit := command.Flags().Uint("limit", api.DefaultList, "at most so many; 0 lists all")
	command.RunE = func(command *cobra.Command, _ []string) error {
		c, err := server.dial()
		if err != nil {
			return err
		}
		list, err := c.Incidents(command.Context(), leak.State(state.value), *limit)
		if err != nil {
			return err
		}
		return render(command.OutOrStdout(), output.value, list, func(w io.Writer) { tableOf(w, list) })
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
			v, err := c.Incident(command.Context(), args[0])
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

func tableOf(w io.Writer, list []api.Incident) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	_, _ = fmt.Fprintln(table, "INCIDENT\tSTATE\tACTION\tRULE\tKEY\tNAME\tRECEIVED\tCONTAINED AFTER")
	for _, v := range list {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID.Short(), v.State, dash(string(v.Action)), dash(v.Rule),
			dash(v.Key.ID), dash(printable(v.Key.Name)), v.ReceivedAt.UTC().Format(time.DateTime), api.ContainedAfter(v.Incident))
	}
}

// timeline prints an incident as a person reads it at 3 a.m.: what it is first, what happened after.
func timeline(w io.Writer, v api.Incident) {
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
		{"contained", api.ContainedAfter(v.Incident)},
	}, api.Reach(v.Incident)...) {
		_, _ = fmt.Fprintf(head, "%s\t%s\n", line[0], printable(line[1]))
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
