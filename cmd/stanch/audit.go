package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"stanch/dispositions/ledger"
	"stanch/receiver/queue/embedded"
)

func newAudit() *cobra.Command {
	command := &cobra.Command{
		Use:     "audit",
		Short:   "Check that the log is as it was written",
		Example: "  stanch audit verify",
	}
	command.AddCommand(newAuditVerify())
	return command
}

func newAuditVerify() *cobra.Command {
	command := &cobra.Command{
		Use:   "verify",
		Short: "Verify the log and its checkpoints",
		Long: `Verify reads the whole log and checks that nothing in it was changed, moved, put in or lost: every entry names the one
before it of its incident, none is missing, and the checkpoints fit, which serve appends to the store and also writes to its
own log. Whoever can write to the store can forge the first ones too; what was logged elsewhere they cannot, so give that
with --log or --expect. It names the first entry that does not fit, and ends with exit code 1 if there is one.

A serve that runs on the store does it itself. Otherwise the log in the store directory is copied to a directory for
temporary files (TMPDIR), because to open a store is to write to it, and read there: nothing in the directory is changed, and
neither keys nor a configuration are needed. So a backup is verified with --store.dir.`,
		Example: "  stanch audit verify --log /var/log/stanch.log\n" +
			"  journalctl -u stanch -o cat | stanch audit verify --log -\n" +
			"  stanch audit verify --store.dir /backup/stanch/data -o json",
		Args: cobra.NoArgs,
	}
	server := &running{}
	server.flags(command.Flags())
	output := &choice{value: "table", words: []string{"table", "json"}}
	command.Flags().VarP(output, "output", "o", "table or json")
	expected := command.Flags().StringArray("expect", nil, "a checkpoint that was logged, as SEQ:HASH; may be repeated")
	logs := command.Flags().StringArray("log", nil, "a file with the JSON lines that serve logged, - is standard input; may be repeated")
	command.RunE = func(command *cobra.Command, _ []string) error {
		logged, err := loggedCheckpoints(command.InOrStdin(), *expected, *logs)
		if err != nil {
			return err
		}
		count := countOn(command.ErrOrStderr(), "verifying entries")
		counting := func(read, of uint64) { count(int(read), int(of)) }
		audit, err := server.verify(command.Context(), logged, counting)
		if err != nil {
			return err
		}
		if err := render(command.OutOrStdout(), output.value, audit, func(w io.Writer) { describeAudit(w, audit) }); err != nil {
			return err
		}
		if n := len(audit.Problems) + audit.Omitted; n > 0 {
			return fmt.Errorf("the log is not as it was written: %d problems", n)
		}
		return nil
	}
	return command
}

// verify lets a running serve verify the log, or does it on a copy when none runs on the store.
func (r *running) verify(ctx context.Context, logged []ledger.Checkpoint, progress func(read, of uint64)) (ledger.Audit, error) {
	c, err := r.dial()
	if err != nil {
		return ledger.Audit{}, err
	}
	if r.server == "" && !c.Answers(ctx) {
		return r.verifyCopy(ctx, logged, progress)
	}
	return c.Verify(ctx, logged, progress)
}

func (r *running) verifyCopy(ctx context.Context, logged []ledger.Checkpoint, progress func(read, of uint64)) (audit ledger.Audit, err error) {
	dir, err := r.storeDir()
	if err != nil {
		return ledger.Audit{}, err
	}
	store, err := embedded.OpenCopy(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return ledger.Audit{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return ledger.Verify(ctx, store, logged, progress)
}

func describeAudit(w io.Writer, a ledger.Audit) {
	for _, p := range a.Problems {
		_, _ = fmt.Fprintf(w, "%s: %s\n", whereIs(p), printable(p.Text))
		for _, hash := range [][2]string{{"expected", p.Expected}, {"found", p.Found}} {
			if hash[1] != "" {
				_, _ = fmt.Fprintf(w, "    %-8s  %s\n", hash[0], printable(hash[1]))
			}
		}
	}
	if a.Omitted > 0 {
		_, _ = fmt.Fprintf(w, "and %d more problems\n", a.Omitted)
	}
	if len(a.Problems) > 0 {
		_, _ = fmt.Fprintln(w)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	for _, line := range [][2]string{
		{"read", fmt.Sprintf("%d entries of %d incidents", a.Entries, a.Incidents)},
		{"compared", fmt.Sprintf("%d checkpoints in the store, %d from outside", a.Checkpoints, a.Logged)},
		{"uncovered", fmt.Sprintf("%d entries at the end, newer than the newest checkpoint that fits", a.Uncovered)},
		{"now", a.Last.String()},
		{"problems", fmt.Sprint(len(a.Problems) + a.Omitted)},
	} {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
}

// whereIs names the place of a problem.
func whereIs(p ledger.Problem) (place string) {
	switch {
	case p.To > 0:
		place = fmt.Sprintf("entries %d to %d", p.Entry, p.To)
	case p.Entry > 0:
		place = fmt.Sprintf("entry %d", p.Entry)
	default:
		place = "the store"
	}
	if p.Incident != "" {
		place += " of incident " + printable(p.Incident.Short())
	}
	if p.Step != "" {
		place += ", step " + printable(string(p.Step))
	}
	if !p.At.IsZero() {
		place += ", " + p.At.UTC().Format(time.DateTime) + " UTC"
	}
	return place
}

// countOn counts on a terminal, up to a number that is known by then, and nowhere else.
func countOn(w io.Writer, what string) func(done, all int) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(int, int) {}
	}
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(),
		progressbar.OptionSetDescription(what), progressbar.OptionClearOnFinish())
	return func(done, all int) {
		if all > 0 {
			bar.ChangeMax(all)
		}
		_ = bar.Set(done) // a terminal that is gone
	}
}
