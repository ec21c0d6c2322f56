package embedded_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
)

// files are the files below a directory, with what they hold.
func files(t *testing.T, dir string) map[string][sha256.Size]byte {
	t.Helper()
	found := map[string][sha256.Size]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found[path] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func mustCopy(t *testing.T, dir string) *embedded.Copy {
	t.Helper()
	c, err := embedded.OpenCopy(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("opening a copy: %v", err)
	}
	return c
}

// TestCopy reads the log of a store without its keys, writes to the copy, and leaves the store as it is.
func TestCopy(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := embedded.Config{Dir: t.TempDir(), Keys: "k1"}
	stored(t, c)
	before := files(t, c.Dir)
	one := mustCopy(t, c.Dir)
	last, err := one.Last(t.Context(), step.Subject)
	if err != nil || string(last.Data) != string(step.Data) {
		t.Errorf("got %q, %v", last.Data, err)
	}
	if err := one.Append(t.Context(), step); err != nil {
		t.Errorf("appending to the copy: %v", err)
	}
	stats, err := one.Stats(t.Context(), queue.Incidents)
	if err != nil || stats.Last != 2 || stats.Changed != "" {
		t.Errorf("got %+v, %v", stats, err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	after := files(t, c.Dir)
	if len(after) != len(before) {
		t.Errorf("%d files, want %d", len(after), len(before))
	}
	for path, sum := range before {
		if after[path] != sum {
			t.Errorf("%s was changed", path)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("%d things are left behind, %v", len(left), err)
	}
	wantStep(t, c)
}

// TestCopyOfTampered: a store that serve would refuse is opened, and Stats says why.
func TestCopyOfTampered(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir()}
	stored(t, c)
	tamper(t, c.Dir, func(js jetstream.JetStream) error {
		s, err := js.Stream(t.Context(), queue.Incidents)
		if err != nil {
			return err
		}
		config := s.CachedInfo().Config
		config.MaxAge = time.Hour
		_, err = js.UpdateStream(t.Context(), config)
		return errors.Join(err, js.DeleteStream(t.Context(), queue.Checkpoints))
	})
	one := mustCopy(t, c.Dir)
	defer func() { _ = one.Close() }()
	for stream, want := range map[string]string{queue.Incidents: "max_age", queue.Checkpoints: ""} {
		if stats, err := one.Stats(t.Context(), stream); err != nil || stats.Changed != want {
			t.Errorf("%s: got %q, %v, want %q", stream, stats.Changed, err, want)
		}
	}
}

// TestCopyOfDamaged: a message whose bytes were changed on the disk is left out, wherever it lies, and all others are read.
func TestCopyOfDamaged(t *testing.T) {
	t.Parallel()
	for _, damaged := range []int{0, 5, 9} {
		c := embedded.Config{Dir: t.TempDir()}
		s := mustReopen(t, c)
		var want []string
		for n := range 10 {
			text := fmt.Sprint("this is step ", n)
			if err := s.Append(t.Context(), queue.Message{Subject: step.Subject, Data: []byte(text)}); err != nil {
				t.Fatal(err)
			}
			if n != damaged {
				want = append(want, text)
			}
		}
		mustClose(t, s)
		flip(t, filepath.Join(c.Dir, "jetstream", "$G", "streams", queue.Incidents, "msgs", "1.blk"), fmt.Sprint("this is step ", damaged))
		one := mustCopy(t, c.Dir)
		var got []string
		for m, err := range one.Scan(t.Context(), queue.AllIncidents) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(m.Data))
		}
		stats, err := one.Stats(t.Context(), queue.Incidents)
		if !slices.Equal(got, want) || err != nil || stats.Last != 10 {
			t.Errorf("damaged step %d: got %q, %+v, %v", damaged, got, stats, err)
		}
		if err := one.Close(); err != nil {
			t.Error(err)
		}
	}
}

// flip changes one bit of the first place in a file that holds a text.
func flip(t *testing.T, path, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte(text))
	if at < 0 {
		t.Fatalf("%q is not in %s", text, path)
	}
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCopyRefused: a store in use, or a directory without one, is not copied, and nothing is left behind.
func TestCopyRefused(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	empty := t.TempDir()
	if _, err := embedded.OpenCopy(t.Context(), empty, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: got %v", err)
	}
	if made := files(t, empty); len(made) > 0 {
		t.Errorf("made %d files", len(made))
	}
	c := embedded.Config{Dir: t.TempDir()}
	s := mustReopen(t, c)
	if _, err := embedded.OpenCopy(t.Context(), c.Dir, nil); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("a store in use: got %v", err)
	}
	mustClose(t, s)
	linked := filepath.Join(c.Dir, "jetstream", "$G", "streams", queue.Incidents, "link")
	if err := os.Symlink(empty, linked); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.OpenCopy(t.Context(), c.Dir, nil); err == nil {
		t.Error("a store with a link in it: no error")
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("%d things are left behind, %v", len(left), err)
	}
}
