package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"stanch/dispositions/ledger"
)

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
