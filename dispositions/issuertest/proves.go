package issuertest

import (
	"context"
	"errors"
	"testing"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// testProve holds a Prover to what it may say: that a secret is refused only when its key is dead, and that it works only when
// it does.
func testProve(t *testing.T, h Harness) {
	open := func(t *testing.T) (World, dispositions.Prover) {
		w := h.New(t)
		prover, ok := w.Issuer.(dispositions.Prover)
		if !ok {
			t.Skip("it cannot try a secret")
		}
		return w, prover
	}
	t.Run("alive", func(t *testing.T) {
		w, prover := open(t)
		_, secret := w.AddKey(false)
		err := refused(context.Background(), prover, secret)
		if !errors.Is(err, leak.ErrAlive) {
			t.Errorf("got %v of a secret that works", err)
		}
		w.clean(t, "Refused", err, secret)
	})
	t.Run("dead", func(t *testing.T) {
		w, prover := open(t)
		id, secret := w.AddKey(false)
		if disabler, ok := w.Issuer.(dispositions.Disabler); ok {
			if err := disabler.Disable(context.Background(), named(id)); err != nil {
				t.Fatal(err)
			}
			if err := refused(context.Background(), prover, secret); err != nil {
				t.Errorf("got %v of a disabled key", err)
			}
		}
		if deleter, ok := w.Issuer.(dispositions.Deleter); ok {
			if err := deleter.Delete(context.Background(), named(id)); err != nil {
				t.Fatal(err)
			}
			if err := refused(context.Background(), prover, secret); err != nil {
				t.Errorf("got %v of a deleted key", err)
			}
		}
	})
	t.Run("empty", func(t *testing.T) {
		_, prover := open(t)
		if err := refused(context.Background(), prover, leak.Secret{}); err == nil {
			t.Error("no secret is said to be refused")
		}
	})
	for _, b := range append([]Breakage{Throttle, Stranger}, unresolved...) {
		t.Run(string(b), func(t *testing.T) {
			w, prover := open(t)
			_, secret := w.AddKey(false)
			w.Break(b)
			ctx, cancel := context.WithTimeout(context.Background(), hangTime)
			defer cancel()
			err := refused(ctx, prover, secret)
			if err == nil || errors.Is(err, leak.ErrAlive) {
				t.Errorf("got %v, want that nobody can tell", err)
				return
			}
			w.clean(t, "Refused", err, secret)
		})
	}
}
