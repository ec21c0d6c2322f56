package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/terminal"
	"stanch/dispositions"
	"stanch/dispositions/ledger"
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
asks the private listener instead; to act there you sign in as a user of web.private.config_file (--user, --password-file).`,
		Example: "  stanch incidents list --state failed\n  stanch incidents show 3f9a2c -o json\n" +
			"  stanch incidents undo 3f9a2c --reason 'it is the public demo key'",
	}
	server := &serveFlags{}
	server.add(command.PersistentFlags())
	output := terminal.OutputFlag(command.PersistentFlags())
	command.AddCommand(newIncidentsList(server, output), newIncidentsShow(server, output))
	command.AddCommand(newOrders(server, output)...)
	return command
}

const listHelp = `List prints incidents, newest first. The state says where an incident stands:

  open       stanch is working on it
  held       it waits for a person, who approves or rejects it
  failed     the key is not contained; somebody was paged, and stanch tries again
  unknown    no issuer told whose key it is; it is looked up again for a day
  accepted   the issuer accepted the action, and nobody can prove that the key is dead
  contained  the key is proved dead
  left       policy says to do nothing, or only a person can revoke the key
  closed     a person ended it, or it is a part of another incident`

func newIncidentsList(server *serveFlags, output *terminal.Choice) *cobra.Command {
	command := &cobra.Command{
		Use:     "list",
		Short:   "List incidents, newest first",
		Long:    listHelp,
		Example: "  stanch incidents list\n  stanch incidents list --state held --limit 0 -o json",
		Args:    cobra.NoArgs,
	}
	state := &terminal.Choice{}
	for _, s := range leak.States {
		state.Words = append(state.Words, string(s))
	}
	command.Flags().Var(state, "state", "only those in this state: "+strings.Join(state.Words, ", "))
	limit := command.Flags().Uint("limit", api.DefaultList, "list at most this many; 0 lists all")
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

func newIncidentsShow(server *serveFlags, output *terminal.Choice) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show one incident with its steps",
		Long:    "Show prints one incident with its steps. ID is the incident's id, or as much of its beginning as no other has.",
		Example: "  stanch incidents show 3f9a2c71d0aa",
		Args:    cobra.MatchAll(give("one ID"), idArg),
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

// newOrders makes the commands that act on an incident.
func newOrders(server *serveFlags, output *terminal.Choice) []*cobra.Command {
	one := func(verb dispositions.Verb, short, long, reason string) *cobra.Command {
		return newOrder(server, output, verb, short, long, reason)
	}
	approve := one(dispositions.Approve, "Do what an incident is held for",
		"Approve does to the key what the incident is held for, and proves it. With --account it releases every incident of\n"+
			"the account that the fuse holds.", "checked with the owner")
	reject := one(dispositions.Reject, "Do not do what an incident is held for",
		"Reject ends a held incident: its key is left as it is now. With --account it refuses every incident of the account\n"+
			"that the fuse holds.", "a test of our scanner")
	for _, command := range []*cobra.Command{approve, reject} {
		forAccount(command, server, output)
	}
	return []*cobra.Command{
		approve, reject,
		one(dispositions.Undo, "Enable a disabled key again",
			"Undo enables the key again, proves it, and closes the incident. What is known so far of the leak never acts on the\n"+
				"key again; a new sighting does.", "it is the public demo key"),
		one(dispositions.Retry, "Try an incident again now",
			"Retry decides about the incident again, as policy says now, and acts. It takes up a failed or unknown incident, and\n"+
				"one that was left alone or closed.", "the key is unlocked now"),
		one(dispositions.Close, "Close an incident",
			"Close ends the incident: nothing more is done to its key, whatever is known so far of the leak. A new sighting\n"+
				"acts again.", "rotated by its owner"),
	}
}

func newOrder(server *serveFlags, output *terminal.Choice, verb dispositions.Verb, short, long, reason string) *cobra.Command {
	command := &cobra.Command{
		Use:     string(verb) + " ID",
		Short:   short,
		Long:    long + "\n\nWho did it, when, and the reason are in the log for ever. To order it twice has one effect.",
		Example: fmt.Sprintf("  stanch incidents %s 3f9a2c71d0aa --reason '%s'", verb, reason),
		Args:    cobra.MatchAll(give("one ID"), idArg),
	}
	why := command.Flags().String("reason", "", "why, in a line that everybody may read")
	_ = command.MarkFlagRequired("reason") // it is there
	command.RunE = func(command *cobra.Command, args []string) error {
		c, err := server.dial()
		if err != nil {
			return err
		}
		taken, err := c.Order(command.Context(), args[0], verb, *why)
		if err != nil {
			return err
		}
		return terminal.Render(command.OutOrStdout(), output.Value, taken, func(w io.Writer) { terminal.Taken(w, taken) })
	}
	return command
}

// forAccount lets a command name an account instead of an incident.
func forAccount(command *cobra.Command, server *serveFlags, output *terminal.Choice) {
	issuer := command.Flags().String("issuer", "", "with --account: the issuer of the keys")
	account := command.Flags().String("account", "", "instead of ID: every incident of this account that the fuse holds")
	single, verb := command.RunE, command.Name()
	command.Use = verb + " (ID | --issuer NAME --account ACCOUNT)"
	command.Example += fmt.Sprintf("\n  stanch incidents %s --issuer ibm --account 0f1e2d3c --reason 'checked with security'", verb)
	command.MarkFlagsRequiredTogether("issuer", "account")
	command.Args = func(command *cobra.Command, args []string) error {
		if *account == "" {
			return cobra.MatchAll(give("one ID, or --issuer and --account"), idArg)(command, args)
		}
		if len(args) > 0 {
			return errors.New("give an ID or an account, not both")
		}
		return nil
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		if *account == "" {
			return single(command, args)
		}
		c, err := server.dial()
		if err != nil {
			return err
		}
		why, _ := command.Flags().GetString("reason") // it is there
		held := ledger.Account{Issuer: *issuer, ID: *account}
		taken, err := c.OrderHeld(command.Context(), held, dispositions.Verb(verb), why)
		if err != nil {
			return err
		}
		return terminal.Render(command.OutOrStdout(), output.Value, taken, func(w io.Writer) { terminal.Taken(w, taken) })
	}
}
