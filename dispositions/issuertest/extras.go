package issuertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// testExamine: an examination finds fault with a far side that fails, none with one that works, and shows no secret.
func testExamine(t *testing.T, h Harness) {
	t.Run("works", func(t *testing.T) {
		w := h.New(t)
		locked := w.able().Lock
		target := w.AddKey(locked)
		if found := w.examine(context.Background(), t, target.Secret); hasFailure(found) {
			t.Errorf("a far side that works fails: %+v", found)
		}
		w.mustStand(t, target, State{Locked: locked})
	})
	for _, how := range append([]Breakage{Credential, Forbidden, Throttle, ThrottleAbsurdly}, unresolved...) {
		t.Run(string(how), func(t *testing.T) {
			w := h.New(t)
			if (how == Credential || how == Forbidden) && w.Own.Empty() {
				t.Skip("it needs no credential")
			}
			target := w.AddKey(false)
			w.Break(how)
			ctx, cancel := patience(how)
			defer cancel()
			if found := w.examine(ctx, t, target.Secret); !hasFailure(found) {
				t.Errorf("no failure is found: %+v", found)
			}
			w.mustStand(t, target, State{})
		})
	}
}

func hasFailure(found []leak.Finding) bool {
	return slices.ContainsFunc(found, func(f leak.Finding) bool { return f.Result == leak.Broken })
}

// examine returns what an examination finds, after checking what holds for every finding.
func (w World) examine(ctx context.Context, t *testing.T, secret leak.Secret) []leak.Finding {
	t.Helper()
	found := w.Issuer.Examine(ctx)
	if len(found) == 0 {
		t.Error("nothing is found")
	}
	for _, f := range found {
		if f.Check == "" || f.Text == "" || !slices.Contains([]leak.Result{leak.Good, leak.Doubt, leak.Broken}, f.Result) {
			t.Errorf("an incomplete finding: %+v", f)
		}
		for _, planted := range []string{w.Own.Reveal(), secret.Reveal(), w.URL, "://"} {
			if planted != "" && strings.Contains(fmt.Sprintf("%+v", f), planted) {
				t.Errorf("the finding about %q shows a secret or a URL", f.Check)
			}
		}
	}
	return found
}

// testWatch: how a key was used is told, or it is told that nobody knows.
func testWatch(t *testing.T, h Harness) {
	w := h.New(t)
	watcher, ok := w.Issuer.(dispositions.Watcher)
	if !ok {
		t.Skip("no Watcher")
	}
	target := w.AddKey(false)
	if used, err := watcher.Activity(context.Background(), w.named(target)); err != nil || used.Count != 0 {
		t.Errorf("got %+v, %v of a key that nobody used", used, err)
	}
	_, err := watcher.Activity(context.Background(), w.named(w.Unknown))
	w.wants(t, "Activity of an unknown key", err, leak.ErrNotFound)
	failing(t, h, "Activity", func(ctx context.Context, w World, target dispositions.Target) error {
		used, err := w.Issuer.(dispositions.Watcher).Activity(ctx, w.named(target))
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
	failing(t, h, "MadeBy", func(ctx context.Context, w World, target dispositions.Target) error {
		made, err := w.Issuer.(dispositions.Tracer).MadeBy(ctx, target.Key, time.Now().Add(-time.Hour))
		if len(made) > dispositions.MaxMade {
			t.Errorf("got %d things", len(made))
		}
		return err
	})
}

// failing asks something of an issuer whose far side fails in each way after which nobody can tell anything.
func failing(t *testing.T, h Harness, name string, ask func(context.Context, World, dispositions.Target) error) {
	t.Helper()
	for _, how := range unresolved {
		w := h.New(t)
		target := w.AddKey(false)
		target.Key = w.mustLocate(t, target.Secret)
		w.Break(how)
		ctx, cancel := patience(how)
		w.wants(t, name+", "+string(how), ask(ctx, w, target), nil, target.Secret)
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
	for _, s := range []leak.Secret{w.AddKey(false).Secret, w.Own, w.Unknown.Secret, {}} {
		if kind, _, ok := r.Recognise(leak.Content{Secret: s}); ok {
			t.Errorf("an ordinary key is recognised as a %s", kind)
		}
	}
}
