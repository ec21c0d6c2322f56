package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/doctor"
	"stanch/cmd/stanch/role"
	"stanch/cmd/stanch/terminal"
	"stanch/receiver/leak"
)

func newDoctor() *cobra.Command {
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Examine everything that the service depends on",
		Long: `Doctor asks every source, issuer and notifier of the configuration, the store, and a serve that runs on it, how they
stand: reachable, authorised, durable, on time. It changes nothing. A result is ok, warning (it works, and somebody
should look) or failure; the exit code is 0 without any failure, and 1 otherwise. Run it as the user that serve runs as, and
with the same roles: it examines what those need.`,
		Example: "  stanch doctor --config.file stanch.yaml\n  stanch doctor --config.file stanch.yaml -o json",
		Args:    cobra.NoArgs,
	}
	file := command.Flags().String("config.file", config.DefaultFile, "the configuration file")
	output := terminal.OutputFlag(command.Flags())
	var roles role.Roles
	roles.Flag(command.Flags())
	command.RunE = func(command *cobra.Command, _ []string) error {
		c, err := load(command, *file, roles...)
		if err != nil {
			return err
		}
		found := doctor.Examine(command.Context(), c)
		err = terminal.Render(command.OutOrStdout(), output.Value, found, func(w io.Writer) { terminal.Findings(w, found) })
		if err != nil {
			return err
		}
		return failures(found)
	}
	return command
}

// failures is an error that counts the findings that are failures; nil when there is none.
func failures(found []doctor.Finding) error {
	n := 0
	for _, f := range found {
		if f.Result == leak.Broken {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed", n, len(found))
}
