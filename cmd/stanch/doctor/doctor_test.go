package doctor_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"stanch/cmd/stanch/doctor"
	"stanch/receiver/leak"
)

// TestExamineHangAndPanic checks that a part that does not behave costs nobody but itself.
func TestExamineHangAndPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, begin := make(chan struct{}), time.Now()
		defer close(end)
		found := doctor.ExamineParts(t.Context(),
			func(context.Context) []leak.Finding { <-end; return nil },
			func(context.Context) []leak.Finding { panic("planted") },
			func(ctx context.Context) []leak.Finding {
				<-ctx.Done()
				return []leak.Finding{{Check: "slow", Result: leak.Doubt, Text: "in part"}}
			},
			func(context.Context) []leak.Finding { return nil },
		)
		want := []leak.Result{leak.Broken, leak.Broken, leak.Doubt, leak.Good}
		for n, f := range found {
			if f.Result != want[n] || strings.Contains(f.Text, "planted") {
				t.Errorf("part %d: got %+v, want %s", n, f, want[n])
			}
		}
		if took := time.Since(begin); len(found) != len(want) || took > 15*time.Second {
			t.Errorf("got %d findings after %v, want %d within 15 s", len(found), took, len(want))
		}
	})
}

// TestJudges looks at what a test cannot make a machine do.
func TestJudges(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	full := &fs.PathError{Op: "write", Path: "planted", Err: syscall.ENOSPC}
	for name, row := range map[string]struct {
		judge func(*leak.Findings)
		want  leak.Result
		text  string
	}{
		"room":        {func(f *leak.Findings) { doctor.JudgeSpace(9*gib, 8*gib, f) }, leak.Good, "9.0GiB are free"},
		"exactly":     {func(f *leak.Findings) { doctor.JudgeSpace(8*gib, 8*gib, f) }, leak.Good, "grow by 8.0GiB"},
		"little room": {func(f *leak.Findings) { doctor.JudgeSpace(64*mib, 65*mib, f) }, leak.Doubt, "max_bytes"},
		"no room":     {func(f *leak.Findings) { doctor.JudgeSpace(63*mib, 0, f) }, leak.Broken, "grow by nothing"},
		"fast":        {func(f *leak.Findings) { doctor.JudgeFlush(50*time.Millisecond, nil, f) }, leak.Good, "50ms"},
		"slow":        {func(f *leak.Findings) { doctor.JudgeFlush(51*time.Millisecond, nil, f) }, leak.Doubt, "51ms"},
		"full":        {func(f *leak.Findings) { doctor.JudgeFlush(0, full, f) }, leak.Broken, "no space left"},
	} {
		var found leak.Findings
		row.judge(&found)
		if len(found) != 1 || found[0].Result != row.want || !strings.Contains(found[0].Text, row.text) {
			t.Errorf("%s: got %+v, want %s with %q", name, found, row.want, row.text)
		}
		if strings.Contains(fmt.Sprint(found), "planted") {
			t.Errorf("%s: the path is repeated: %+v", name, found)
		}
	}
}
