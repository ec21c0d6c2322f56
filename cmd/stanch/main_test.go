package main_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	stanch "stanch/cmd/stanch"
)

func TestExitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "bad.yaml", "nothing: known\n")
	for _, row := range []struct {
		args string
		want int
	}{
		{"", 0},
		{"help", 0},
		{"version", 0},
		{"check-config --help", 0},
		{"check-config bad.yaml", 1},
		{"check-config missing.yaml", 1},
		{"check-config", 2},
		{"check-config a b", 2},
		{"check-config --no-such-flag a", 2},
		{"no-such-command", 2},
	} {
		var out, errs bytes.Buffer
		got := stanch.Run(context.Background(), strings.Fields(row.args), strings.NewReader(""), &out, &errs)
		if got != row.want {
			t.Errorf("stanch %s: got exit code %d, want %d", row.args, got, row.want)
		}
		if (errs.Len() > 0) != (row.want != 0) || (out.Len() > 0) != (row.want == 0) {
			t.Errorf("stanch %s: got %q on standard output and %q on standard error", row.args, out.String(), errs.String())
		}
		if hinted := strings.Contains(errs.String(), "--help"); hinted != (row.want == 2) {
			t.Errorf("stanch %s: got %q; a hint at --help belongs to wrong usage only", row.args, errs.String())
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(args ...string)
	walk = func(args ...string) {
		help := helpOf(t, args)
		if !strings.Contains(help, "\nExamples:\n  stanch "+strings.Join(args, " ")) {
			t.Errorf("stanch %s --help shows no example of it:\n%s", strings.Join(args, " "), help)
		}
		_, list, _ := strings.Cut(help, "Available Commands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for line := range strings.Lines(list) {
			if name := strings.Fields(line)[0]; name != "help" {
				walk(append(args[:len(args):len(args)], name)...)
			}
		}
	}
	walk()
}

func helpOf(t *testing.T, args []string) string {
	t.Helper()
	var out bytes.Buffer
	all := append(args[:len(args):len(args)], "--help")
	if code := stanch.Run(context.Background(), all, strings.NewReader(""), &out, &out); code != 0 {
		t.Fatalf("stanch %s: got exit code %d", strings.Join(all, " "), code)
	}
	return out.String()
}
