package collecttest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"stanch/receiver/leak"
)

func testFetch(t *testing.T, h Harness) {
	t.Run("every place", func(t *testing.T) {
		w, places := h.New(t), 3
		if w.MaxPlaces > 0 {
			places = min(places, w.MaxPlaces)
		}
		ref := w.Add(secret(), changed(), places)
		found := w.mustFetch(t, ref)
		if len(found) != places {
			t.Errorf("got %d contents, want one for each of %d places", len(found), places)
		}
		for _, c := range found {
			if !c.Secret.Equal(secret()) || c.Ref != ref || c.Type == "" || c.Place == "" {
				t.Errorf("got ref %q, type %q and place %q, want ref %q, the secret and all", c.Ref, c.Type, c.Place, ref)
			}
		}
	})
	t.Run("without a place", func(t *testing.T) {
		w := h.New(t)
		if found := w.mustFetch(t, w.Add(secret(), changed(), 0)); len(found) != 1 || !found[0].Secret.Equal(secret()) {
			t.Errorf("got %d contents, want one with the secret", len(found))
		}
	})
	t.Run("very many places", func(t *testing.T) {
		w := h.New(t)
		if w.MaxPlaces > 0 {
			t.Skip("an alert there has few")
		}
		if found := w.mustFetch(t, w.Add(secret(), changed(), 1234)); len(found) < 10 || len(found) > 1000 {
			t.Errorf("got %d contents, want a bounded number", len(found))
		}
	})
	t.Run("closed", func(t *testing.T) { // a human closing an alert never stops containment
		w := h.New(t)
		ref := w.add()
		w.Close(ref, "not a problem")
		if found := w.mustFetch(t, ref); !found[0].Secret.Equal(secret()) {
			t.Error("a closed alert is fetched without its secret")
		}
	})
	t.Run("changes nothing", func(t *testing.T) {
		w := h.New(t)
		ref := w.add()
		w.mustFetch(t, ref)
		w.mustStand(t, ref, State{Open: true})
	})
}

func testOpen(t *testing.T, h Harness) {
	t.Run("newest first", func(t *testing.T) {
		w, at := h.New(t), changed()
		var refs []string
		for n := range w.PageSize + 5 {
			refs = append(refs, w.Add(secret(), at.Add(time.Duration(n)*time.Second), 1))
		}
		slices.Reverse(refs)
		w.mustList(t, time.Time{}, refs)
		w.mustList(t, at.Add(time.Duration(w.PageSize)*time.Second), refs[:5])
		w.mustList(t, at.Add(time.Hour), nil)
	})
	t.Run("none", func(t *testing.T) { h.New(t).mustList(t, time.Time{}, nil) })
	t.Run("closed ones are left out", func(t *testing.T) {
		w := h.New(t)
		open, closed := w.add(), w.add()
		w.Close(closed, "")
		w.mustList(t, time.Time{}, []string{open})
	})
	t.Run("stops when it is told to", func(t *testing.T) {
		w := h.New(t)
		for range w.PageSize * 3 {
			w.add()
		}
		before := w.Calls()
		for range w.Vendor.Open(context.Background(), time.Time{}) { //nolint:errcheck // one alert is enough
			break
		}
		if calls := w.Calls() - before; calls > 3 {
			t.Errorf("got %d calls for one alert, want no more than it takes", calls)
		}
	})
	t.Run("what closes meanwhile hides nothing", func(t *testing.T) {
		w, at := h.New(t), changed()
		refs := map[string]bool{}
		for n := range w.PageSize + 5 {
			refs[w.Add(secret(), at.Add(time.Duration(n)*time.Second), 1)] = true
		}
		closed := 0
		for listed, err := range w.Vendor.Open(context.Background(), time.Time{}) {
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			delete(refs, listed.Ref)
			if closed++; closed < 5 {
				w.Close(listed.Ref, "")
			}
		}
		if len(refs) > 0 {
			t.Errorf("%d open alerts are not listed, because others were closed while the list was read", len(refs))
		}
	})
	t.Run("repeats", func(t *testing.T) {
		w := h.New(t)
		w.add()
		w.Break(Repeat)
		_, err := list(context.Background(), w, time.Time{})
		w.wants(t, "Open", err, nil)
	})
}

// mustList fails the test unless these alerts are listed, in this order, with times that do not grow.
func (w World) mustList(t *testing.T, since time.Time, want []string) {
	t.Helper()
	all, err := list(context.Background(), w, since)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	var got []string
	for n, listed := range all {
		got = append(got, listed.Ref)
		if listed.UpdatedAt.IsZero() || n > 0 && listed.UpdatedAt.After(all[n-1].UpdatedAt) {
			t.Errorf("alert %d of the list changed at %v, want none newer than the one before", n, listed.UpdatedAt)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("Open lists %d alerts: %v, want %d: %v", len(got), got, len(want), want)
	}
}

func testResolve(t *testing.T, h Harness) {
	w := h.New(t)
	ref := w.add()
	for range 2 {
		if err := w.Vendor.Resolve(context.Background(), ref, comment); err != nil {
			t.Fatalf("Resolve: %v", err)
		}
		w.mustStand(t, ref, State{Comment: comment})
	}
	t.Run("closed by somebody else", func(t *testing.T) {
		w := h.New(t)
		ref := w.add()
		w.Close(ref, "not a problem")
		if err := w.Vendor.Resolve(context.Background(), ref, comment); err != nil {
			t.Errorf("Resolve: %v, want nil: it is closed already", err)
		}
		w.mustStand(t, ref, State{Comment: "not a problem"})
	})
	t.Run("long comment", func(t *testing.T) {
		w := h.New(t)
		ref := w.add()
		long := make([]rune, 100_000)
		for n := range long {
			long[n] = '鍵'
		}
		if err := w.Vendor.Resolve(context.Background(), ref, string(long)); err != nil {
			t.Errorf("Resolve: %v", err)
		}
		if got := w.State(ref); got.Open || got.Comment == "" || slices.Contains([]rune(got.Comment), '\uFFFD') {
			t.Errorf("the far side has the alert as open: %v, comment %q, want it closed with whole characters", got.Open, got.Comment)
		}
	})
}

func testReopen(t *testing.T, h Harness) {
	w := h.New(t)
	ref := w.add()
	if err := w.Vendor.Resolve(context.Background(), ref, comment); err != nil {
		t.Fatalf("Resolve: %v", err)
	}
	for range 2 {
		if err := w.Vendor.Reopen(context.Background(), ref, "The key works again."); err != nil {
			t.Fatalf("Reopen: %v", err)
		}
		if !w.State(ref).Open {
			t.Fatal("the far side has the alert closed after Reopen")
		}
	}
	if err := w.Vendor.Resolve(context.Background(), ref, comment); err != nil {
		t.Errorf("Resolve after Reopen: %v", err)
	}
	w.mustStand(t, ref, State{Comment: comment})
	t.Run("closed by somebody else", func(t *testing.T) {
		w := h.New(t)
		ref := w.add()
		w.Close(ref, "not a problem")
		if err := w.Vendor.Reopen(context.Background(), ref, comment); err != nil {
			t.Errorf("Reopen: %v, want nil: it is not for us to open", err)
		}
		w.mustStand(t, ref, State{Comment: "not a problem"})
	})
}

func testCancelled(t *testing.T, h Harness) {
	w := h.New(t)
	ref := w.add()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range w.calls() {
		err := c.do(ctx, ref)
		w.wants(t, c.name, err, nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %q does not wrap context.Canceled", c.name, err)
		}
	}
	w.mustStand(t, ref, State{Open: true})
	if found := w.mustFetch(t, ref); !found[0].Secret.Equal(secret()) {
		t.Error("after a cancelled call the alert is fetched without its secret")
	}
}

// testConcurrent: methods are safe for concurrent use, from the very first one on.
func testConcurrent(t *testing.T, h Harness) {
	w := h.New(t)
	done := make(chan error)
	const many = 32
	for range many {
		ref := w.Add(leak.NewSecret("planted-4f9d2c61-"+rand.Text()), changed(), 1)
		go func() {
			found, err := w.Vendor.Fetch(context.Background(), ref)
			if err == nil && (len(found) != 1 || found[0].Ref != ref) {
				err = errors.New("another alert was fetched")
			}
			done <- errors.Join(err, w.Vendor.Resolve(context.Background(), ref, comment))
		}()
	}
	for range many {
		if err := <-done; err != nil {
			t.Errorf("at the same time as others: %v", err)
		}
	}
}
