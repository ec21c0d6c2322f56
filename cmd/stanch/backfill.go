package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/common/model"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"stanch/receiver/collect"
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
	server := &running{}
	server.flags(command.Flags())
	source := command.Flags().String("source", "", "the configured name of the source")
	_ = command.MarkFlagRequired("source") // it is there
	since := command.Flags().String("since", "", "only what changed within this time, such as 12h or 30d; all that is open by default")
	dryRun := command.Flags().Bool("dry-run", false, "count, and queue nothing")
	output := &choice{value: "table", words: []string{"table", "json"}}
	command.Flags().VarP(output, "output", "o", "table or json")
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
		swept, err := client.Sweep(command.Context(), *source, from, *dryRun, progressOn(command.ErrOrStderr(), *source))
		if err != nil {
			return err
		}
		return render(command.OutOrStdout(), output.value, swept, func(w io.Writer) { tellSwept(w, *source, swept, *dryRun) })
	}
	return command
}

// progressOn shows progress on a terminal, and nothing elsewhere.
func progressOn(w io.Writer, source string) func(collect.Swept) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(collect.Swept) {}
	}
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(),
		progressbar.OptionSetDescription("sweeping "+source), progressbar.OptionClearOnFinish())
	return func(s collect.Swept) {
		bar.Describe(fmt.Sprintf("sweeping %s: %d missed", source, s.Missed))
		_ = bar.Set(s.Listed) // a terminal that is gone
	}
}

func tellSwept(w io.Writer, source string, s collect.Swept, dryRun bool) {
	verb := "are queued now"
	if dryRun {
		verb = "would be queued"
	}
	_, _ = fmt.Fprintf(w, "%s holds %d open alerts; %d that no incident knew %s\n", source, s.Listed, s.Missed, verb)
	switch {
	case s.Problem != "":
		_, _ = fmt.Fprintf(w, "failed deliveries could not be looked for: %s\n", printable(s.Problem))
	case !dryRun:
		_, _ = fmt.Fprintf(w, "%d failed deliveries are sent again\n", s.Redelivered)
	}
}
