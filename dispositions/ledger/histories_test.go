package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// counted counts the scans of a store.
type counted struct {
	queue.Store
	scans *int
}

func (c counted) Scan(ctx context.Context, filter string) iter.Seq2[queue.Message, error] {
	*c.scans++
	return c.Store.Scan(ctx, filter)
}

// TestSeveralAtOnce asks for a few and for most of many incidents: the answer is the same, and most cost a single pass.
func TestSeveralAtOnce(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		scans := 0
		l, s := ledger.New(counted{store, &scans}), sightings(t, counted{store, &scans})
		var ids []leak.Fingerprint
		for n := range 100 {
			ids = append(ids, life(t, l, s, fmt.Sprintf("a%02d", n)))
		}
		for name, row := range map[string]struct {
			ids   []leak.Fingerprint
			scans int
		}{
			"none": {nil, 0},
			"one":  {ids[50:51], 1},
			"two":  {[]leak.Fingerprint{ids[99], ids[0]}, 2},
			"most": {ids[10:], 1},
		} {
			scans = 0
			histories, err := l.Histories(t.Context(), row.ids...)
			if err != nil || len(histories) != len(row.ids) || scans != row.scans {
				t.Errorf("%s: got %d histories of %d in %d scans, %v", name, len(histories), len(row.ids), scans, err)
			}
			scans = 0
			seen, err := s.OfAll(t.Context(), row.ids...)
			if err != nil || len(seen) != len(row.ids) || scans != row.scans {
				t.Errorf("%s: got sightings of %d of %d in %d scans, %v", name, len(seen), len(row.ids), scans, err)
			}
			for _, id := range row.ids {
				wantLife(t, id, histories[id], seen[id])
			}
		}
	})
}

// life is the log of an incident in two entries, with two sightings.
func life(t *testing.T, l *ledger.Ledger, s *ledger.Sightings, name string) leak.Fingerprint {
	t.Helper()
	h := appended(t, l, ledger.Head{}, incident(name, leak.Open), step(leak.Seen, "s1"), step(leak.Intended, ""))
	appended(t, l, h, incident(name, leak.Contained), step(leak.Proved, ""))
	for _, id := range []string{"s1", "s2"} {
		if err := s.Add(t.Context(), h.ID, id, leak.Sighting{URL: name + id, SeenAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	return h.ID
}

func wantLife(t *testing.T, id leak.Fingerprint, h ledger.History, seen []leak.Sighting) {
	t.Helper()
	if h.ID != id || h.State != leak.Contained || len(h.Steps) != 3 || h.Steps[2].Step != leak.Proved {
		t.Errorf("%s: got %s, %s after %v", id, h.ID, h.State, h.Steps)
	}
	if len(seen) != 2 || seen[0].URL != string(id)+"s1" || seen[1].URL != string(id)+"s2" {
		t.Errorf("%s: got sightings %v", id, seen)
	}
}

func TestHistoriesRefuseWhatIsNotThere(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		l := ledger.New(store)
		appended(t, l, ledger.Head{}, incident("a1", leak.Open), step(leak.Seen, "s1"))
		for _, ids := range [][]leak.Fingerprint{{"b2"}, {"a1", "b2"}} {
			if got, err := l.Histories(t.Context(), ids...); !errors.Is(err, ledger.ErrNoIncident) || got != nil {
				t.Errorf("%v: got %v, %v", ids, got, err)
			}
		}
	})
}

// TestHistoriesCheckChains breaks the chain of one incident: it is told, and only to who asks for that one.
func TestHistoriesCheckChains(t *testing.T) {
	store := memory.New()
	l := ledger.New(store)
	heads := map[string]ledger.Head{}
	for _, id := range []string{"a1", "b2", "c3"} {
		h := appended(t, l, ledger.Head{}, incident(id, leak.Open), step(leak.Seen, "s1"))
		heads[id] = appended(t, l, h, incident(id, leak.Contained), step(leak.Proved, ""))
	}
	for m, err := range store.Scan(t.Context(), queue.IncidentSubject("b2")) {
		if err != nil {
			t.Fatal(err)
		}
		broken := changed(t, m.Data, func(e *leak.Entry) { e.Prev = "" })
		if err := store.Append(t.Context(), queue.Message{Subject: m.Subject, Data: broken}); err != nil {
			t.Fatal(err)
		}
		break
	}
	appended(t, l, heads["c3"], incident("c3", leak.Closed), step(leak.Ended, "")) // nobody reads on behind what is broken
	if _, err := l.Histories(t.Context(), "a1", "b2", "c3"); !errors.Is(err, ledger.ErrBroken) {
		t.Errorf("got %v, want ErrBroken", err)
	}
	if got, err := l.Histories(t.Context(), "a1", "c3"); err != nil || len(got) != 2 {
		t.Errorf("got %d histories, %v", len(got), err)
	}
}
