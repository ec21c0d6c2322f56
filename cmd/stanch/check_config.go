package main

import (
	"errors"
	"fmt"
	"io"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/config/decode"
	"stanch/cmd/stanch/role"

	"github.com/spf13/cobra"
)

func newCheckConfig() *cobra.Command {
	var roles role.Roles
	command := &cobra.Command{
		Use:   "check-config FILE",
		Short: "Check a configuration file and print every fault of it",
		Long: "Check a configuration file, and whether the secret files that it names are there. Every fault is printed\n" +
			"on standard error as FILE:LINE: TEXT, with the column after the line where it is known, and the exit code is 1\n" +
			"then. No value of the file is ever printed.",
		Example: "  stanch check-config /etc/stanch/stanch.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return checkConfig(args[0], roles, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	roles.Flag(command.Flags())
	return command
}

func checkConfig(file string, roles role.Roles, stdout, stderr io.Writer) error {
	c, faults := config.Load(file, adapters, roles...)
	if len(faults) > 0 {
		return faulty(stderr, faults)
	}
	if _, err := fmt.Fprintf(stdout, "%s: OK\n", file); err != nil {
		return err
	}
	return c.Summarise(stdout)
}

// faulty prints the faults of a configuration and returns an error that counts them.
func faulty(stderr io.Writer, faults []decode.Fault) error {
	for _, fault := range faults {
		_, _ = fmt.Fprintln(stderr, fault)
	}
	if len(faults) == 1 {
		return errors.New("the configuration has a fault")
	}
	return fmt.Errorf("the configuration has %d faults", len(faults))
}
