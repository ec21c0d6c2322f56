package console_test

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"stanch/notify"
	"stanch/notify/console"
	"stanch/notify/notifytest"
	"stanch/receiver/leak"
)

var update = flag.Bool("update", false, "write the golden files anew")

// output collects what is written, and how often.
type output struct {
	mu     sync.Mutex
	text   strings.Builder
	writes int
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes++
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// reached tells of a write before it goes on.
type reached struct {
	io.Writer
	told chan struct{}
}

func (r reached) Write(p []byte) (int, error) {
	r.told <- struct{}{}
	return r.Writer.Write(p)
}

func open(t *testing.T, out io.Writer) notify.Notifier {
	t.Helper()
	n, err := (&console.Config{Output: out}).Open("console", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Harness{
		Open: func(t *testing.T) (notify.Notifier, func() string) {
			out := &output{}
			return open(t, out), out.String
		},
		Stalled: func(t *testing.T) (notify.Notifier, <-chan struct{}) {
			r, w := io.Pipe() // nobody reads
			t.Cleanup(func() { _ = r.Close() })
			told := make(chan struct{}, 1)
			return open(t, reached{w, told}), told
		},
		Broken: func(t *testing.T) notify.Notifier {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Close() // nobody will ever read
			t.Cleanup(func() { _ = w.Close() })
			return open(t, w)
		},
		Markup: []string{"\x1b]8;;https://evil.example\x1b\\ci", "ci\bx", "ci\x9b2J"},
	})
}

// TestStalledWriteGoesFirst: a write that was given up goes on alone; later notices wait for it, and come whole after it.
func TestStalledWriteGoesFirst(t *testing.T) {
	r, w := io.Pipe()
	n := open(t, w)
	first := make(chan error, 1)
	go func() { first <- n.Notify(t.Context(), notifytest.Notice("1", leak.Info)) }()
	head := make([]byte, 1)
	if _, err := r.Read(head); err != nil { // the write has begun
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() { second <- n.Notify(t.Context(), notifytest.Notice("2", leak.Critical)) }()
	var rest bytes.Buffer
	read := make(chan struct{})
	go func() { _, _ = io.Copy(&rest, r); close(read) }()
	for _, ended := range []chan error{first, second} {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	<-read
	notices := strings.Split(strings.TrimSuffix(string(head)+rest.String(), "\n\n"), "\n\n")
	if len(notices) != 2 || !strings.Contains(notices[0], " INFO ") || !strings.Contains(notices[1], " CRITICAL ") {
		t.Errorf("got %q, want one notice after the other", notices)
	}
}

func TestLayout(t *testing.T) {
	out := &output{}
	if err := open(t, out).Notify(t.Context(), notifytest.Notice("1", leak.Warning)); err != nil {
		t.Fatal(err)
	}
	if out.writes != 1 {
		t.Errorf("got %d writes, want one, so that notices do not mix", out.writes)
	}
	if *update {
		if err := os.WriteFile("testdata/notice.txt", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/notice.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestLongWords: lines break between words, URLs stay whole however long, and a command is never broken over two lines.
func TestLongWords(t *testing.T) {
	url := "https://git.example.com/" + strings.Repeat("a", 200)
	command := "`stanch incidents undo 9f86d081884c`"
	n := notify.Notice{Title: "title", Facts: []notify.Fact{
		{Name: "Where", Text: "seen at " + url + " and " + strings.Repeat("elsewhere ", 20)},
		{Name: "Next", Text: strings.Repeat("x", 75) + " " + command + " and then " + command},
	}}
	out := &output{}
	if err := open(t, out).Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if strings.Count(got, command) != 2 || !strings.Contains(got, url+"\n") {
		t.Errorf("got\n%s\nwant commands and the URL whole", got)
	}
	for line := range strings.Lines(got) {
		if utf8.RuneCountInString(line) > 111 && !strings.Contains(line, url) {
			t.Errorf("got the line %q, want 110 columns at most", line)
		}
	}
}

// TestNoColour: what is not a terminal gets no escape sequences.
func TestNoColour(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := open(t, file).Notify(t.Context(), notifytest.Notice("1", leak.Critical)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got, []byte(" CRITICAL ")) || bytes.Contains(got, []byte("\x1b")) {
		t.Errorf("got %q, want no colours", got)
	}
}

func TestConfigHasNoFaults(t *testing.T) {
	(&console.Config{}).Check(func(field, problem string) { t.Errorf("got %s: %s, want no fault", field, problem) })
}
