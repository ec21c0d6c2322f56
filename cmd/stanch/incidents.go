package main

import (
	"errors"
	"io"
	"regexp"
	"strings"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/terminal"
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
	output := terminal.OutputFlag(command.PersistentFlags())
	command.AddCommand(newIncidentsList(server, output), newIncidentsShow(server, output))
	command.AddCommand(newOrders(server, output)...)
	return command
}

func newIncidentsList(server *running, output *terminal.Choice) *cobra.Command {
	command := &cobra.Command{
		Use:     "list",
		Short:   "List incidents, newest first",
		Example: "  stanch incidents list\n  stanch incidents list --state held --limit 0 -o json",
		Args:    cobra.NoArgs,
	}
	state := &terminal.Choice{}
	for _, s := range leak.States {
		state.Words = append(state.Words, string(s))
	}
	command.Flags().Var(state, "state", "only those in this state: "+strings.Join(state.Words, ", "))
	limit := command.Flags().Uint("limit", api.DefaultList, "at most so many; 0 lists all")
	command.RunE = func(command *cobra.Command, _ []string) error {
		c, err := server.dial()
		if err != nil {
			return err
		}
		list, err := c.Incidents(command.Context(), leak.State(state.Value), *limit)
		if err != nil {
			return err
		}
		return terminal.Render(command.OutOrStdout(), output.Value, list, func(w io.Writer) { terminal.Incidents(w, list) })
	}
	return command
}

func newIncidentsShow(server *running, output *terminal.Choice) *cobra.Command {
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
			return terminal.Render(command.OutOrStdout(), output.Value, v, func(w io.Writer) { terminal.Incident(w, v) })
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
