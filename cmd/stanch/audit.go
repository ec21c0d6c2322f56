package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"stanch/cmd/stanch/terminal"
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
own log. Whoever can write to the store can forge the checkpoints in it too, but not those that were logged
elsewhere: give these with --log or --expect. It names the first entry that does not fit, and ends with exit code 1 if there is one.

A serve that runs on the store does it itself. Otherwise the log in the store directory is copied to a directory for
temporary files (TMPDIR), because to open a store is to write to it, and read there: nothing in the directory is changed, and
neither keys nor a configuration are needed. So a backup is verified with --store.dir.`,
		Example: "  stanch audit verify --log /var/log/stanch.log\n" +
			"  journalctl -u stanch -o cat | stanch audit verify --log -\n" +
			"  stanch audit verify --store.dir /backup/stanch/data -o json",
		Args: cobra.NoArgs,
	}
	server := &serveFlags{}
	server.add(command.Flags())
	output := terminal.OutputFlag(command.Flags())
	expected := command.Flags().StringArray("expect", nil, "a checkpoint that was logged, as SEQ:HASH; may be repeated")
	logs := command.Flags().StringArray("log", nil, "a file with the JSON lines that serve logged, - is standard input; may be repeated")
	command.RunE = func(command *cobra.Command, _ []string) error {
		logged, err := loggedCheckpoints(command.InOrStdin(), *expected, *logs)
		if err != nil {
			return err
		}
		count := terminal.Count(command.ErrOrStderr(), "verifying entries")
		counting := func(read, of uint64) { count(int(read), int(of)) }
		audit, err := server.verify(command.Context(), logged, counting)
		if err != nil {
			return err
		}
		if err := terminal.Render(command.OutOrStdout(), output.Value, audit, func(w io.Writer) { terminal.Audit(w, audit) }); err != nil {
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
func (r *serveFlags) verify(ctx context.Context, logged []ledger.Checkpoint, progress func(read, of uint64)) (ledger.Audit, error) {
	c, err := r.dial()
	if err != nil {
		return ledger.Audit{}, err
	}
	if r.server == "" && !c.Answers(ctx) {
		return r.verifyCopy(ctx, logged, progress)
	}
	return c.Verify(ctx, logged, progress)
}

func (r *serveFlags) verifyCopy(ctx context.Context, logged []ledger.Checkpoint, progress func(read, of uint64)) (audit ledger.Audit, err error) {
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

// loggedCheckpoints are those that a person gives: one by one, and in what serve logged.
func loggedCheckpoints(stdin io.Reader, expected, logs []string) (all []ledger.Checkpoint, err error) {
	for _, text := range expected {
		c, err := ledger.ParseCheckpoint(text)
		if err != nil {
			return nil, fmt.Errorf("--expect: %w", err)
		}
		all = append(all, c)
	}
	for _, path := range logs {
		found, err := checkpointsIn(stdin, path)
		if err != nil {
			return nil, fmt.Errorf("--log: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// checkpointsIn reads one log. A log without any is an error: nothing would be compared.
func checkpointsIn(stdin io.Reader, path string) ([]ledger.Checkpoint, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		stdin = file
	}
	found, err := readCheckpoints(stdin)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s holds no checkpoint: is it what serve logs?", path)
	}
	return found, nil
}

// maxLogLine bounds one line of a log, in bytes.
const maxLogLine = 4 << 20

// readCheckpoints finds the lines of checkpoints in a log, whatever stands before each line's JSON object.
func readCheckpoints(r io.Reader) (found []ledger.Checkpoint, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLogLine)
	for lines.Scan() {
		_, object, ok := bytes.Cut(lines.Bytes(), []byte("{"))
		var line struct {
			Msg  string `json:"msg"`
			Seq  uint64 `json:"seq"`
			Hash string `json:"hash"`
		}
		if !ok || json.Unmarshal(append([]byte("{"), object...), &line) != nil || line.Msg != ledger.CheckpointMessage {
			continue
		}
		c, err := ledger.ParseCheckpoint(fmt.Sprintf("%d:%s", line.Seq, line.Hash))
		if err != nil {
			return nil, fmt.Errorf("a line of it: %w", err)
		}
		found = append(found, c)
	}
	return found, lines.Err()
}
