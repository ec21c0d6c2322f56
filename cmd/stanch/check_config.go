package main

import (
	"fmt"

	"stanch/cmd/stanch/role"

	"github.com/spf13/cobra"
)

func newCheckConfig() *cobra.Command {
	var roles role.Roles
	command := &cobra.Command{
		Use:   "check-config FILE",
		Short: "Check a configuration file and print every fault in it",
		Long: "Check a configuration file, and whether the secret files that it names are there. Every fault is printed\n" +
			"on standard error as FILE:LINE: TEXT, with the column after the line where it is known, and the exit code is 1\n" +
			"then. No value of the file is ever printed.",
		Example: "  stanch check-config /etc/stanch/stanch.yaml",
		Args:    give("one FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := load(cmd, args[0], roles...)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: OK\n", args[0]); err != nil {
				return err
			}
			return c.Summarise(cmd.OutOrStdout())
		},
	}
	roles.Flag(command.Flags())
	return command
}
