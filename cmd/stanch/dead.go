package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/spf13/cobra"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/terminal"
)

// newDead makes the command that lists dead letters, shows one, and puts them back, by asking a running serve.
func newDead() *cobra.Command {
	command := &cobra.Command{
		Use:   "dead",
		Short: "List dead letters, show one, and put them back",
		Long: `A dead letter is what no retry can help: an alert that opens with none of our keys, a pointer that could not be
followed, or a record that could not be read. It is kept for 90 days, sealed as it came. Dead asks a running
'stanch serve' as 'stanch incidents' does.`,
		Example: "  stanch dead list\n  stanch dead show 17\n  stanch dead replay 17 --reason 'the identity file is restored'",
	}
	server := &serveFlags{}
	server.add(command.PersistentFlags())
	output := terminal.OutputFlag(command.PersistentFlags())
	command.AddCommand(newDeadList(server, output), newDeadShow(server, output), newDeadReplay(server, output))
	return command
}

func newDeadList(server *serveFlags, output *terminal.Choice) *cobra.Command {
	command := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, newest first",
		Example: "  stanch dead list\n  stanch dead list --source gh-partner --limit 0 -o json",
		Args:    cobra.NoArgs,
	}
	source := command.Flags().String("source", "", "only those of this source")
	limit := command.Flags().Uint("limit", api.DefaultList, "list at most this many; 0 lists all")
	command.RunE = func(command *cobra.Command, _ []string) error {
		c, err := server.dial()
		if err != nil {
			return err
		}
		list, err := c.DeadLetters(command.Context(), *source, *limit)
		if err != nil {
			return err
		}
		return terminal.Render(command.OutOrStdout(), output.Value, list, func(w io.Writer) { terminal.DeadLetters(w, list) })
	}
	return command
}

func newDeadShow(server *serveFlags, output *terminal.Choice) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter",
		Long: `Show prints what is known of one dead letter, and whether it can be put back now. What is sealed stays sealed: its
fingerprint and its size are all that is shown of it.`,
		Example: "  stanch dead show 17",
		Args:    cobra.MatchAll(give("one ID"), deadArg),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := server.dial()
			if err != nil {
				return err
			}
			v, err := c.DeadLetter(command.Context(), args[0])
			if err != nil {
				return err
			}
			return terminal.Render(command.OutOrStdout(), output.Value, v, func(w io.Writer) { terminal.DeadLetter(w, v) })
		},
	}
}

// deadForm is the id of a dead letter.
var deadForm = regexp.MustCompile(`^[0-9]{1,19}$`)

func deadArg(_ *cobra.Command, args []string) error {
	if !deadForm.MatchString(args[0]) {
		return api.ErrDeadID
	}
	return nil
}

func newDeadReplay(server *serveFlags, output *terminal.Choice) *cobra.Command {
	command := &cobra.Command{
		Use:   "replay (ID | --all)",
		Short: "Put dead letters back",
		Long: `Replay puts a dead letter back on its queue, as if it had just come, and removes it from the dead letters once it is
there: an alert when our keys open it again, a pointer when its source is configured again, and a record when this
version of stanch can read it. What nothing would come of stays where it is, and replay says why. To put one back twice has
no second effect. Who did it and why is in the service's log.`,
		Example: "  stanch dead replay 17 --reason 'the identity file is restored'\n" +
			"  stanch dead replay --all --source acme --reason 'its token works again'",
	}
	all := command.Flags().Bool("all", false, "instead of ID: every dead letter that can be put back")
	source := command.Flags().String("source", "", "with --all: only those of this source")
	why := command.Flags().String("reason", "", "why, in a line that everybody may read")
	_ = command.MarkFlagRequired("reason") // it is there
	command.Args = func(command *cobra.Command, args []string) error {
		switch {
		case *all && len(args) > 0:
			return errors.New("give an ID or --all, not both")
		case *all:
			return nil
		case *source != "":
			return errors.New("--source is for --all")
		}
		return cobra.MatchAll(give("one ID or --all"), deadArg)(command, args)
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		c, err := server.dial()
		if err != nil {
			return err
		}
		if *all {
			return replayAll(command, c, output.Value, *source, *why)
		}
		v, err := c.Replay(command.Context(), args[0], *why)
		if err != nil {
			return err
		}
		return terminal.Render(command.OutOrStdout(), output.Value, v, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "the %s is on its queue again\n", v.What)
		})
	}
	return command
}

// replayAll puts back whatever can be, and shows progress on a terminal.
func replayAll(command *cobra.Command, c *api.Client, format, source, why string) error {
	progress := terminal.Count(command.ErrOrStderr(), "putting back")
	replayed, err := c.ReplayAll(command.Context(), source, why, func(done int) { progress(done, 0) })
	if err != nil {
		return err
	}
	return terminal.Render(command.OutOrStdout(), format, replayed, func(w io.Writer) { terminal.Replayed(w, replayed) })
}
