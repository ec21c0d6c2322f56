// Stanch stops the flow from a leaked key. It takes the secret-scanning alerts of GitHub and GitLab, and disables or
// deletes each key as its owner configured, proves that it is dead, and tells the people on call.
//
//	stanch COMMAND [FLAGS]
//
// "stanch help" lists the commands, "stanch COMMAND --help" shows one with an example; [config.Config] is the manual of the
// configuration file. Results go to standard output, everything else to standard error. An interrupt or SIGTERM ends a
// command in order, a second one at once. The exit code is 0 for success, 1 for failure, 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program, and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "stanch: %v\n", err)
	if _, ok := errors.AsType[*commandError](err); ok {
		return exitError
	}
	_, _ = fmt.Fprintf(stderr, "Run '%s --help' for its usage.\n", cmd.CommandPath())
	return exitUsage
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:               "stanch",
		Short:             "Stop the flow from a leaked key",
		Long:              "Stanch takes secret-scanning alerts, disables or deletes the leaked keys, proves it, and tells people.",
		Example:           "  stanch demo\n  stanch check-config /etc/stanch/stanch.yaml",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(
		newServe(),
		newDemo(),
		newDoctor(),
		newIncidents(),
		newExplain(),
		newBackfill(),
		newNotify(),
		newDead(),
		newAudit(),
		newStreams(),
		newCheckConfig(),
		newKeygen(),
		newVersion(),
	)
	for _, sub := range root.Commands() {
		refuseUnknown(sub)
	}
	markErrors(root)
	return root
}

// refuseUnknown makes an unknown subcommand wrong usage, where cobra would print the help and succeed. Without a subcommand it
// prints the help.
func refuseUnknown(cmd *cobra.Command) {
	if !cmd.HasSubCommands() || cmd.Runnable() {
		return
	}
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// give wants one argument, and says in words what it is.
func give(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("give %s", what)
		}
		return nil
	}
}

// commandError is the error of a command that was called correctly and failed. Cobra's own errors mean wrong usage.
type commandError struct{ error }

// Unwrap returns the error of the command.
func (e *commandError) Unwrap() error { return e.error }

func markErrors(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		markErrors(sub)
	}
	runE := cmd.RunE
	if runE == nil {
		return
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := runE(cmd, args); err != nil {
			return &commandError{err}
		}
		return nil
	}
}
