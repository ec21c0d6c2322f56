package embedded_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/queuetest"
)

// victimDir names, in the environment of a process that is going to be killed, the directory of its store.
const victimDir = "STANCH_TEST_VICTIM_DIR"

// TestEmbeddedKilled: what was appended in batches before kill -9 is there afterwards, whole and in order.
func TestEmbeddedKilled(t *testing.T) {
	const each, acknowledged = 200, 5
	if dir := os.Getenv(victimDir); dir != "" {
		appendUntilKilled(t, dir, each)
	}
	c := embedded.Config{Dir: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	victim := exec.CommandContext(t.Context(), self, "-test.run=^TestEmbeddedKilled$")
	victim.Env = append(os.Environ(), victimDir+"="+c.Dir)
	said, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	for range acknowledged {
		if !lines.Scan() {
			t.Error("the victim ended by itself")
		}
	}
	if err := victim.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := victim.Wait(); err == nil {
		t.Error("the victim ended well, want it killed")
	}
	wantNumbered(t, c, each*acknowledged)
}

// appendUntilKilled appends numbered messages, and says so each time.
func appendUntilKilled(t *testing.T, dir string, each int) {
	s, err := embedded.Open(t.Context(), embedded.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n += each {
		messages := many("dead.gh", each, 1<<10)
		for i := range messages {
			messages[i].Data = fmt.Append(nil, n+i)
		}
		queuetest.Append(t, s, messages...)
		fmt.Println("appended")
	}
}

// wantNumbered wants a store to hold some messages at least, numbered from 0.
func wantNumbered(t *testing.T, c embedded.Config, least int) {
	t.Helper()
	s := mustReopen(t, c)
	defer mustClose(t, s)
	n := 0
	for m, err := range s.Scan(t.Context(), "dead.>") {
		if err != nil {
			t.Fatalf("scanning: %v", err)
		}
		if want := fmt.Sprint(n); string(m.Data) != want {
			t.Fatalf("got %q, want %s", m.Data, want)
		}
		n++
	}
	if n < least {
		t.Errorf("got %d messages, want %d at least", n, least)
	}
}
