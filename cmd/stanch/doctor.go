package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/receiver/leak"
)

// How long one part may take: who asks is to be done within askTimeout, and is given up after giveUpTimeout.
const (
	askTimeout    = 14 * time.Second
	giveUpTimeout = 15 * time.Second
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
	output := &choice{value: "table", words: []string{"table", "json"}}
	command.Flags().VarP(output, "output", "o", "table or json")
	var roles role.Roles
	roles.Flag(command.Flags())
	command.RunE = func(command *cobra.Command, _ []string) error {
		c, faults := config.Load(*file, adapters, roles...)
		if len(faults) > 0 {
			return faulty(command.ErrOrStderr(), faults)
		}
		found := examine(command.Context(), parts(c))
		err := render(command.OutOrStdout(), output.value, found, func(w io.Writer) { tableOfFindings(w, found) })
		if err != nil {
			return err
		}
		return failures(found)
	}
	return command
}

// part is one thing that doctor examines.
type part struct {
	name string
	ask  func(ctx context.Context) []leak.Finding
}

// partFinding is a finding with the name of its part.
type partFinding struct {
	Part string `json:"part"`
	leak.Finding
}

// examine examines all parts at once, and returns their findings in the order of the parts.
func examine(ctx context.Context, parts []part) []partFinding {
	found := make([][]leak.Finding, len(parts))
	var group errgroup.Group
	for n, p := range parts {
		group.Go(func() error {
			found[n] = p.examine(ctx)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	all := []partFinding{}
	for n, p := range parts {
		for _, f := range found[n] {
			all = append(all, partFinding{Part: p.name, Finding: f})
		}
	}
	return all
}

// examine asks one part. One that does not end, and one that panics, has failed, and takes nobody with it.
func (p part) examine(ctx context.Context) []leak.Finding {
	done := make(chan []leak.Finding, 1)
	go func() {
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		done <- p.guarded(asking)
	}()
	var found leak.Findings
	select {
	case found = <-done:
	case <-time.After(giveUpTimeout):
		found.Broken("examination", "it did not end within %v", giveUpTimeout)
	}
	if len(found) == 0 {
		found.Good("examination", "nothing to examine")
	}
	return found
}

// guarded turns a panic into a finding. What it says is not repeated: it may hold a secret.
func (p part) guarded(ctx context.Context) (found leak.Findings) {
	defer func() {
		if cause := recover(); cause != nil {
			found.Broken("examination", "it ended in a panic (%T), which is a fault of stanch", cause)
		}
	}()
	return p.ask(ctx)
}

func tableOfFindings(w io.Writer, found []partFinding) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	_, _ = fmt.Fprintln(table, "PART\tCHECK\tRESULT\tTEXT")
	for _, f := range found {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", f.Part, f.Check, f.Result, printable(f.Text))
	}
}

// failures is an error that counts the findings that are failures; nil when there is none.
func failures(found []partFinding) error {
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
