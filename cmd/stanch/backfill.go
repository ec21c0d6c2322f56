package main

import (
	"errors"
	"io"
	"time"

	"stanch/cmd/stanch/terminal"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"
)

// newBackfill makes the command that sweeps a source now.
func newBackfill() *cobra.Command {
	command := &cobra.Command{
		Use:   "backfill --source NAME",
		Short: "Find what a source still holds and no incident knows",
		Long: `Backfill lets a running serve ask a source for its open alerts, and for deliveries that failed. Each alert that no
incident knows is fetched and worked on as if its delivery had come. It can be stopped and begun again: what is known is
left out. Serve does the same by itself, as often as the source's configuration says.`,
		Example: "  stanch backfill --source acme --dry-run\n  stanch backfill --source acme --since 30d",
		Args:    cobra.NoArgs,
	}
	server := &serveFlags{}
	server.add(command.Flags())
	source := command.Flags().String("source", "", "the configured name of the source")
	_ = command.MarkFlagRequired("source") // it is there
	since := command.Flags().String("since", "", "only what changed within this time, such as 12h or 30d; all that is open by default")
	dryRun := command.Flags().Bool("dry-run", false, "count, and queue nothing")
	output := terminal.OutputFlag(command.Flags())
	command.RunE = func(command *cobra.Command, _ []string) error {
		var from time.Time
		if *since != "" {
			age, err := model.ParseDuration(*since)
			if err != nil {
				return errors.New("--since must be a duration such as 12h or 30d")
			}
			from = time.Now().Add(-time.Duration(age))
		}
		client, err := server.dial()
		if err != nil {
			return err
		}
		swept, err := client.Sweep(command.Context(), *source, from, *dryRun, terminal.CountSwept(command.ErrOrStderr(), *source))
		if err != nil {
			return err
		}
		return terminal.Render(command.OutOrStdout(), output.Value, swept, func(w io.Writer) { terminal.Swept(w, *source, swept, *dryRun) })
	}
	return command
}
