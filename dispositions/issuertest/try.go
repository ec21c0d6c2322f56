package issuertest

import (
	"context"
	"testing"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// testTry holds a Prover to what it may say: that a value is refused only when its key is dead, and that it works only when it
// does.
func testTry(t *testing.T, h Harness) {
	if !h.New(t).able().Prove {
		t.Skip("it cannot try a value")
	}
	t.Run("alive, then dead", func(t *testing.T) {
		kills(t, h, func(t *testing.T, w World, c call, target dispositions.Target) {
			if got := w.mustTry(t, target.Secret); got != leak.Works {
				t.Errorf("a live key's value is %s", got)
			}
			if err := c.do(context.Background()); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			w.settle()
			if got := w.mustTry(t, target.Secret); got != leak.Dead && (got != leak.Refused || !w.refusalProves()) {
				t.Errorf("after %s the value is %s, which proves nothing", c.name, got)
			}
		})
	})
	t.Run("unknown", func(t *testing.T) {
		w := h.New(t)
		trial, err := w.Issuer.(dispositions.Prover).Try(context.Background(), w.Unknown.Secret)
		if trial.Result == leak.Works {
			t.Error("a value that nobody has works")
		}
		if err != nil {
			w.clean(t, "Try", err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		w := h.New(t)
		w.refusesUnasked(t, "Try of no value", func(ctx context.Context) error {
			_, err := w.Issuer.(dispositions.Prover).Try(ctx, leak.Secret{})
			return err
		})
	})
	for _, how := range append([]Breakage{Throttle, Stranger, Credential, Forbidden}, unresolved...) {
		t.Run(string(how), func(t *testing.T) {
			for _, state := range states {
				tryBroken(t, h, state, how)
			}
		})
	}
}

// refusalProves reports whether a refusal without a documented code is ever of use: after the value was seen to work, or beside
// what the issuer reads.
func (w World) refusalProves() bool { return w.able().Control || w.able().Read }

// tryBroken: what nobody can tell is an error. A refusal with a code that nobody has documented may be told as that, but not where
// it would be taken for death. Our own credential has nothing to do with a trial.
func tryBroken(t *testing.T, h Harness, state string, how Breakage) {
	t.Helper()
	ours := how == Credential || how == Forbidden
	if ours && h.New(t).Own.Empty() {
		return
	}
	w, target := broken(t, h, state, how)
	ctx, cancel := patience(how)
	defer cancel()
	trial, err := w.Issuer.(dispositions.Prover).Try(ctx, target.Secret)
	switch {
	case err != nil && trial != (leak.Trial{}):
		t.Errorf("both %+v and %v", trial, err)
	case err != nil:
		w.clean(t, "Try", err, target.Secret)
	case ours && trial.Result == leak.Works:
	case how == Stranger && trial.Result == leak.Refused && !w.able().Control:
	default:
		t.Errorf("%s: the value is %+v, and nobody can tell", state, trial)
	}
}
