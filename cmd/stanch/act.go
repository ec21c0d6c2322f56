package main

import (
	"errors"
	"fmt"
	"io"

	"stanch/cmd/stanch/terminal"
	"stanch/dispositions"
	"stanch/dispositions/ledger"

	"github.com/spf13/cobra"
)

// newOrders makes the commands that act on an incident.
func newOrders(server *running, output *terminal.Choice) []*cobra.Command {
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

func newOrder(server *running, output *terminal.Choice, verb dispositions.Verb, short, long, reason string) *cobra.Command {
	command := &cobra.Command{
		Use:     string(verb) + " ID",
		Short:   short,
		Long:    long + "\n\nWho did it, when, and the reason are in the log for ever. To order it twice has one effect.",
		Example: fmt.Sprintf("  stanch incidents %s 3f9a2c71d0aa --reason '%s'", verb, reason),
		Args:    cobra.MatchAll(cobra.ExactArgs(1), idArg),
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
func forAccount(command *cobra.Command, server *running, output *terminal.Choice) {
	issuer := command.Flags().String("issuer", "", "with --account: the issuer of the keys")
	account := command.Flags().String("account", "", "instead of ID: every incident of this account that the fuse holds")
	single, verb := command.RunE, command.Name()
	command.Use = verb + " (ID | --issuer NAME --account ACCOUNT)"
	command.Example += fmt.Sprintf("\n  stanch incidents %s --issuer ibm --account 0f1e2d3c --reason 'checked with security'", verb)
	command.MarkFlagsRequiredTogether("issuer", "account")
	command.Args = func(command *cobra.Command, args []string) error {
		if *account == "" {
			return cobra.MatchAll(cobra.ExactArgs(1), idArg)(command, args)
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
