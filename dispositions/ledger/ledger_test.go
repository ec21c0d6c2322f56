package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/memory"
	"stanch/receiver/seal"
)

// onEachStore runs a test on a ledger in the real store, and on its twin.
func onEachStore(t *testing.T, test func(t *testing.T, store queue.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, memory.New()) })
	t.Run("embedded", func(t *testing.T) {
		store, err := embedded.Open(t.Context(), embedded.Config{Dir: t.TempDir(), Keys: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		test(t, store)
	})
}

func incident(id string, state leak.State) leak.Incident {
	return leak.Incident{ID: leak.Fingerprint(id), State: state, ReceivedAt: time.Unix(1e9, 0).UTC(), First: "s1", Last: "s1", SightingCount: 1}
}

func step(name leak.StepName, sighting string) leak.Step {
	return leak.Step{At: time.Unix(1e9, 0).UTC(), Step: name, Text: "test", By: "test", Sighting: sighting}
}

func appended(t *testing.T, l *ledger.Ledger, h ledger.Head, i leak.Incident, steps ...leak.Step) ledger.Head {
	t.Helper()
	next, err := l.Append(t.Context(), h, i, steps...)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestAppendAndRead(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		l := ledger.New(store)
		if h, err := l.Read(t.Context(), "a1"); err != nil || h.Exists() {
			t.Fatalf("an incident that is not there: %v, %v", h.Exists(), err)
		}
		if _, err := l.Steps(t.Context(), "a1"); !errors.Is(err, ledger.ErrNoIncident) {
			t.Errorf("steps of an incident that is not there: %v", err)
		}
		h := appended(t, l, ledger.Head{}, incident("a1", leak.Open), step(leak.Seen, "s1"), step(leak.Intended, ""))
		appended(t, l, h, incident("a1", leak.Contained), step(leak.Proved, ""))
		appended(t, l, ledger.Head{}, incident("b2", leak.Open), step(leak.Seen, "s2"))

		read, err := l.Read(t.Context(), "a1")
		if err != nil || read.State != leak.Contained || len(read.Steps) != 1 {
			t.Errorf("read %s with %d steps, %v", read.State, len(read.Steps), err)
		}
		steps, err := l.Steps(t.Context(), "a1")
		if err != nil || len(steps) != 3 || steps[2].Step != leak.Proved {
			t.Errorf("got steps %v, %v", steps, err)
		}
	})
}

func TestAppendComparesAndSwaps(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		l := ledger.New(store)
		h := appended(t, l, ledger.Head{}, incident("a1", leak.Open), step(leak.Seen, "s1"))
		for name, stale := range map[string]ledger.Head{"none": {}, "one that is no more": h} {
			if name != "none" {
				appended(t, l, h, incident("a1", leak.Failed), step(leak.Failure, ""))
			}
			if _, err := l.Append(t.Context(), stale, incident("a1", leak.Closed), step(leak.Proved, "")); !errors.Is(err, ledger.ErrConflict) {
				t.Errorf("after %s: got %v, want ErrConflict", name, err)
			}
		}

		var group sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 8 {
			group.Go(func() {
				if _, err := l.Append(t.Context(), ledger.Head{}, incident("c3", leak.Open), step(leak.Seen, "s1")); err == nil {
					mu.Lock()
					won++
					mu.Unlock()
				} else if !errors.Is(err, ledger.ErrConflict) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if won != 1 {
			t.Errorf("%d of 8 wrote first, want 1", won)
		}
	})
}

// lossy stores what it is given and loses the answer.
type lossy struct{ queue.Store }

func (s lossy) AppendAfter(ctx context.Context, m queue.Message, last uint64) (uint64, error) {
	if _, err := s.Store.AppendAfter(ctx, m, last); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("the answer was lost: %w", queue.ErrConflict)
}

func TestAppendKnowsItsOwnEntryAfterALostAnswer(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		l := ledger.New(lossy{store})
		h := appended(t, l, ledger.Head{}, incident("a1", leak.Open), step(leak.Seen, "s1"))
		appended(t, l, h, incident("a1", leak.Contained), step(leak.Proved, ""))
		if steps, err := ledger.New(store).Steps(t.Context(), "a1"); err != nil || len(steps) != 2 {
			t.Errorf("got steps %v, %v", steps, err)
		}
	})
}

func TestChain(t *testing.T) {
	for name, tamper := range map[string]func(e *leak.Entry){
		"another text":    func(e *leak.Entry) { e.Steps[0].Text = "changed" },
		"another link":    func(e *leak.Entry) { e.Prev = strings.Repeat("0", 64) },
		"no link":         func(e *leak.Entry) { e.Prev = "" },
		"another outcome": func(e *leak.Entry) { e.Incident.State = leak.Left },
	} {
		t.Run(name, func(t *testing.T) {
			store, copied := memory.New(), memory.New()
			l := ledger.New(store)
			h := ledger.Head{}
			for range 3 {
				h = appended(t, l, h, incident("a1", leak.Open), step(leak.Seen, "s1"))
			}
			var seq uint64
			n := 0
			for m, err := range store.Scan(t.Context(), queue.AllIncidents) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == 2 {
					m.Data = changed(t, m.Data, tamper)
				}
				if seq, err = copied.AppendAfter(t.Context(), queue.Message{Subject: m.Subject, Data: m.Data}, seq); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := l.Steps(t.Context(), "a1"); err != nil {
				t.Errorf("the log as it was: %v", err)
			}
			if _, err := ledger.New(copied).Steps(t.Context(), "a1"); !errors.Is(err, ledger.ErrBroken) {
				t.Errorf("got %v, want ErrBroken", err)
			}
		})
	}
}

func changed(t *testing.T, data []byte, tamper func(e *leak.Entry)) []byte {
	t.Helper()
	var e leak.Entry
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	tamper(&e)
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReadRefusesWhatItCannotRead(t *testing.T) {
	store := memory.New()
	for subject, data := range map[string]string{"incidents.a1": "not json", "incidents.b2": `{"v":2}`} {
		if err := store.Append(t.Context(), queue.Message{Subject: subject, Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	l := ledger.New(store)
	if _, err := l.Read(t.Context(), "a1"); !errors.Is(err, ledger.ErrBroken) {
		t.Errorf("damaged: got %v", err)
	}
	if _, err := l.Read(t.Context(), "b2"); err == nil || !strings.Contains(err.Error(), "newer than this program") {
		t.Errorf("newer: got %v", err)
	}
}

func TestKnows(t *testing.T) {
	l := ledger.New(memory.New())
	h := ledger.Head{}
	for n := 1; n <= 4; n++ {
		i := incident("a1", leak.Open)
		i.Last, i.SightingCount = fmt.Sprintf("s%d", n), n
		h = appended(t, l, h, i, step(leak.Seen, i.Last))
	}
	for sighting, want := range map[string]bool{"s1": true, "s2": true, "s3": true, "s4": true, "s5": false} {
		if got, err := l.Knows(t.Context(), h, sighting); err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", sighting, got, err, want)
		}
	}
}

func TestIndex(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		l := ledger.New(store)
		first := incident("aa11", leak.Open)
		first.Key.Name, first.Key.ID = "Build-Server", "ApiKey-7"
		h := appended(t, l, ledger.Head{}, first, step(leak.Seen, "s1"))
		held := incident("ab22", leak.Held)
		held.Issuer, held.Key.Account = "ibm", "acme"
		held.Rule, held.ReceivedAt = leak.RuleFuse, held.ReceivedAt.Add(time.Second)
		appended(t, l, ledger.Head{}, held, step(leak.HeldBack, ""))

		index := ledger.NewIndex(l)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if err := index.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		defer group.Wait()
		defer cancel()
		<-index.Ready()
		if c := index.Counts(); c[leak.Open] != 1 || c[leak.Held] != 1 || c[leak.Contained] != 0 || index.Fused() != 1 {
			t.Errorf("got counts %v, %d held by the fuse", c, index.Fused())
		}
		wantList(t, index, ledger.Query{Text: "d-SERV"}, "aa11")
		if in := index.FusedIn(); len(in) != 1 || in[ledger.Account{Issuer: "ibm", ID: "acme"}] != 1 {
			t.Errorf("the fuse holds %v", in)
		}
		if n := index.TokensLive(); n != 0 {
			t.Errorf("tokens of %d keys live, want none", n)
		}
		contained := incident("aa11", leak.Contained)
		contained.TokensLiveUntil = time.Now().Add(time.Hour)
		h = appended(t, l, h, contained, step(leak.Proved, ""))
		for index.Counts()[leak.Contained] != 1 {
			time.Sleep(time.Millisecond)
		}
		if c := index.Counts(); c[leak.Open] != 0 {
			t.Errorf("an incident counts in two states: %v", c)
		}
		if n := index.TokensLive(); n != 1 {
			t.Errorf("tokens of %d keys live, want those of one", n)
		}
		contained.TokensLiveUntil = time.Now().Add(-time.Second)
		appended(t, l, h, contained, step(leak.Looked, ""))
		for index.TokensLive() != 0 {
			time.Sleep(time.Millisecond)
		}
		wantList(t, index, ledger.Query{}, "ab22", "aa11")
		wantList(t, index, ledger.Query{Limit: 1}, "ab22")
		wantList(t, index, ledger.Query{State: leak.Contained}, "aa11")
		wantList(t, index, ledger.Query{After: "ab22"}, "aa11")
		wantList(t, index, ledger.Query{After: "aa11"})
		wantList(t, index, ledger.Query{After: "zz"})
		wantList(t, index, ledger.Query{Text: "AB2"}, "ab22")
		wantList(t, index, ledger.Query{Text: "build"})
		early := incident("ac33", leak.Left)
		early.ReceivedAt = early.ReceivedAt.Add(-time.Hour)
		h = appended(t, l, ledger.Head{}, early, step(leak.Spared, ""))
		for index.Counts()[leak.Left] != 1 {
			time.Sleep(time.Millisecond)
		}
		wantList(t, index, ledger.Query{}, "ab22", "aa11", "ac33")
		early.ReceivedAt = early.ReceivedAt.Add(2 * time.Hour)
		early.State = leak.Closed
		appended(t, l, h, early, step(leak.Ended, ""))
		for index.Counts()[leak.Closed] != 1 {
			time.Sleep(time.Millisecond)
		}
		wantList(t, index, ledger.Query{}, "ac33", "ab22", "aa11")
		for prefix, want := range map[string]leak.Fingerprint{"aa": "aa11", "ab22": "ab22", "a": "", "": "", "zz": ""} {
			if got, err := index.Find(prefix); got != want || (err == nil) != (want != "") {
				t.Errorf("find %q: got %q, %v; want %q", prefix, got, err, want)
			}
		}
		asked := incident("ad44", leak.Held) // by a rule that asks, not by the fuse
		asked.Issuer, asked.Key.Account, asked.Rule = held.Issuer, held.Key.Account, "ask"
		appended(t, l, ledger.Head{}, asked, step(leak.HeldBack, ""))
		for index.Counts()[leak.Held] != 2 {
			time.Sleep(time.Millisecond)
		}
		if in := index.FusedIn(); index.Fused() != 1 || in[ledger.Account{Issuer: "ibm", ID: "acme"}] != 1 {
			t.Errorf("the fuse holds %v with one that waits for approval", in)
		}
	})
}

func wantList(t *testing.T, x *ledger.Index, q ledger.Query, want ...leak.Fingerprint) {
	t.Helper()
	got := x.IDs(q)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v: got %v, want %v", q, got, want)
	}
}

// sightings are those in a store, under keys made for the test.
func sightings(t *testing.T, store queue.Store) *ledger.Sightings {
	t.Helper()
	dir := t.TempDir()
	if err := seal.Ensure(dir); err != nil {
		t.Fatal(err)
	}
	recipient, err := seal.LoadRecipient(dir)
	if err != nil {
		t.Fatal(err)
	}
	identities, err := seal.LoadIdentities(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.NewSightings(store, recipient, identities)
}

func TestSightings(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		s := sightings(t, store)
		now := time.Now()
		old := leak.Sighting{Source: "gh", URL: "https://example.com/planted-old", SeenAt: now.AddDate(0, 0, -31)}
		fresh := leak.Sighting{Source: "gh", URL: "https://example.com/planted-new", SeenAt: now}
		for id, seen := range map[string]leak.Sighting{"s1": old, "s2": fresh} {
			for range 2 { // twice is no error, and one sighting
				if err := s.Add(t.Context(), "a1", id, seen); err != nil {
					t.Fatal(err)
				}
			}
		}
		for m, err := range store.Scan(t.Context(), queue.SightingSubject("a1", "*")) {
			if err != nil || strings.Contains(string(m.Data), "planted") {
				t.Errorf("a sighting is in clear (%v)", err)
			}
		}
		if got, err := s.Of(t.Context(), "a1"); err != nil || len(got) != 2 {
			t.Errorf("got %d sightings, %v; want 2", len(got), err)
		}
		if _, err := s.Forget(t.Context(), now.AddDate(0, 0, -30)); err != nil {
			t.Fatal(err)
		}
		got, err := s.Of(t.Context(), "a1")
		if err != nil || len(got) != 1 || got[0].URL != fresh.URL {
			t.Errorf("after forgetting: got %v, %v", got, err)
		}
	})
}

// TestForgottenOnDisk: of the key of a day that is forgotten nothing is left on the disk.
func TestForgottenOnDisk(t *testing.T) {
	dir := t.TempDir()
	store, err := embedded.Open(t.Context(), embedded.Config{Dir: dir, Keys: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s, now := sightings(t, store), time.Now()
	if err := s.Add(t.Context(), "a1", "s1", leak.Sighting{SeenAt: now}); err != nil {
		t.Fatal(err)
	}
	key, err := store.Last(t.Context(), queue.DaySubject(now.UTC().Format(time.DateOnly)))
	if err != nil {
		t.Fatal(err)
	}
	if !onDisk(t, dir, key.Data) {
		t.Fatal("the key is not on the disk to begin with")
	}
	if n, err := s.Forget(t.Context(), now.AddDate(0, 0, 1)); err != nil || n != 1 {
		t.Fatalf("forgot %d days, %v; want 1", n, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if onDisk(t, dir, key.Data) {
		t.Error("the key is still on the disk")
	}
}

// onDisk reports whether some bytes are in a file below a directory.
func onDisk(t *testing.T, dir string, data []byte) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || bytes.Contains(content, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
