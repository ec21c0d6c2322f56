package issuertest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// testRedirect: an answer that sends us elsewhere is not followed, whatever its status, because a secret would go along.
func testRedirect(t *testing.T, h Harness) {
	var visits atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, state := range states {
			w := h.New(t)
			id, secret := w.AddKey(false)
			if state == "after use" {
				w.mustLocate(t, secret)
			}
			w.Redirect(status, elsewhere.URL)
			for _, c := range w.calls(id, secret) {
				w.wants(t, c.name, c.do(context.Background()), nil, secret)
			}
			if prover, ok := w.Issuer.(dispositions.Prover); ok {
				err := refused(context.Background(), prover, secret)
				w.wants(t, "Refused", err, nil, secret)
			}
			w.mustStand(t, id, State{})
		}
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("%d requests went to another host", n)
	}
}

// testCommitted: a change that was made behind an error is seen by reading the key again, and made once.
func testCommitted(t *testing.T, h Harness) {
	w := h.New(t)
	for n, c := range w.writes(w.UnknownID) {
		if c.name != "Disable" && c.name != "Delete" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w, id, secret := broken(t, h, "after use", Committed)
			w.wants(t, c.name, w.writes(id)[n].do(context.Background()), nil, secret)
			w.Mend()
			key, err := w.read(context.Background(), id)
			if dead := key.Disabled || errors.Is(err, leak.ErrNotFound); !dead {
				t.Errorf("the change was made, and the key is read as %+v, %v", key, err)
			}
		})
	}
}

// testWishes: whatever a far side asks to wait for, the wish is one that can be kept.
func testWishes(t *testing.T, h Harness) {
	for _, how := range []Breakage{ThrottleNegative, ThrottleGarbage, ThrottleUntil} {
		each(t, h, how, func(t *testing.T, w World, c call, secret leak.Secret) {
			after := throttled(t, w, c, secret)
			if after < 0 || how != ThrottleUntil && after > RetryAfter {
				t.Errorf("%s: asked to wait %v", c.name, after)
			}
		})
	}
}

// testWatch: how a key was used is told, or it is told that nobody knows.
func testWatch(t *testing.T, h Harness) {
	if _, ok := h.New(t).Issuer.(dispositions.Watcher); !ok {
		t.Skip("no Watcher")
	}
	w := h.New(t)
	id, _ := w.AddKey(false)
	if used, err := w.Issuer.(dispositions.Watcher).Activity(context.Background(), named(id)); err != nil || used.Count != 0 {
		t.Errorf("got %+v, %v of a key that nobody used", used, err)
	}
	_, err := w.Issuer.(dispositions.Watcher).Activity(context.Background(), named(w.UnknownID))
	w.wants(t, "Activity of an unknown key", err, leak.ErrNotFound)
	failing(t, h, "Activity", func(ctx context.Context, w World, key leak.Key) error {
		used, err := w.Issuer.(dispositions.Watcher).Activity(ctx, named(key.ID))
		if used.Known {
			t.Errorf("nobody can tell, and it is known as %+v", used)
		}
		return err
	})
}

// testTrace: what an owner made is told, or it is told that nobody knows; never that it made nothing.
func testTrace(t *testing.T, h Harness) {
	if _, ok := h.New(t).Issuer.(dispositions.Tracer); !ok {
		t.Skip("no Tracer")
	}
	failing(t, h, "MadeBy", func(ctx context.Context, w World, key leak.Key) error {
		made, err := w.Issuer.(dispositions.Tracer).MadeBy(ctx, key, time.Now().Add(-time.Hour))
		if len(made) > dispositions.MaxMade {
			t.Errorf("got %d things", len(made))
		}
		return err
	})
}

// failing asks something of an issuer whose far side fails in each way after which nobody can tell anything.
func failing(t *testing.T, h Harness, name string, ask func(context.Context, World, leak.Key) error) {
	t.Helper()
	for _, how := range unresolved {
		w := h.New(t)
		_, secret := w.AddKey(false)
		key := w.mustLocate(t, secret)
		w.Break(how)
		ctx, cancel := context.WithCancel(context.Background())
		if how == Hang {
			ctx, cancel = context.WithTimeout(ctx, hangTime)
		}
		w.wants(t, name+", "+string(how), ask(ctx, w, key), nil, secret)
		cancel()
	}
}

// testRecognise: an ordinary key is none that only a person can revoke.
func testRecognise(t *testing.T, h Harness) {
	w := h.New(t)
	r, ok := w.Issuer.(dispositions.Recogniser)
	if !ok {
		t.Skip("no Recogniser")
	}
	_, secret := w.AddKey(false)
	for _, s := range []leak.Secret{secret, w.Own, w.UnknownSecret, {}} {
		if kind, _, ok := r.Recognise(leak.Content{Secret: s}); ok {
			t.Errorf("an ordinary key is recognised as a %s", kind)
		}
	}
}
