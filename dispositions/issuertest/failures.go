package issuertest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// states says whether an issuer is new when things go wrong, or has worked before and remembers something.
var states = []string{"at first use", "after use"}

// broken makes a world with a key in it that then goes wrong.
func broken(t *testing.T, h Harness, state string, how Breakage) (World, dispositions.Target) {
	t.Helper()
	w := h.New(t)
	target := w.AddKey(false)
	if state == "after use" {
		w.mustLocate(t, target.Secret)
	}
	w.Break(how)
	return w, target
}

// patience is how long a call may take in a broken world.
func patience(how Breakage) (context.Context, context.CancelFunc) {
	if how == Hang {
		return context.WithTimeout(context.Background(), hangTime)
	}
	return context.WithCancel(context.Background())
}

// each runs a test for every call in every state.
func each(t *testing.T, h Harness, how Breakage, test func(t *testing.T, w World, c call, secret leak.Secret)) {
	t.Helper()
	w := h.New(t)
	for _, state := range states {
		for n, c := range w.calls(w.Unknown) {
			t.Run(string(how)+"/"+state+"/"+c.name, func(t *testing.T) {
				w, target := broken(t, h, state, how)
				test(t, w, w.calls(target)[n], target.Secret)
				w.mustStand(t, target, State{})
			})
		}
	}
}

// testLie: a change that the far side only claims to have made is seen, each way that the issuer has, not to be there.
func testLie(t *testing.T, h Harness) {
	kills(t, h, func(t *testing.T, w World, c call, target dispositions.Target) {
		w.mustLocate(t, target.Secret)
		w.Break(Lie)
		if err := c.do(context.Background()); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		w.Mend()
		w.settle()
		if w.able().Read {
			if key := w.mustRead(t, target); key.Disabled {
				t.Errorf("nothing was done, and the key is read as %+v", key)
			}
		}
		if w.able().Prove {
			if got := w.mustTry(t, target.Secret); got != leak.Works {
				t.Errorf("nothing was done, and the value is %s", got)
			}
		}
	})
}

// testCommitted: a change that was made behind an error is seen, each way that the issuer has.
func testCommitted(t *testing.T, h Harness) {
	kills(t, h, func(t *testing.T, w World, c call, target dispositions.Target) {
		w.mustLocate(t, target.Secret)
		w.Break(Committed)
		w.wants(t, c.name, c.do(context.Background()), nil, target.Secret)
		w.Mend()
		w.settle()
		w.mustBeDead(t, c.kind, target)
	})
}

func testCredential(t *testing.T, h Harness) {
	if h.New(t).Own.Empty() {
		t.Skip("it needs no credential")
	}
	for _, how := range []Breakage{Credential, Forbidden} {
		each(t, h, how, func(t *testing.T, w World, c call, secret leak.Secret) {
			if c.kind == tries {
				t.Skip("a finder uses a value without our credential")
			}
			w.wants(t, c.name, c.do(context.Background()), leak.ErrCredential, secret)
		})
	}
	t.Run("unknown key", func(t *testing.T) {
		for _, state := range states {
			w, _ := broken(t, h, state, Credential)
			_, err := w.Issuer.Locate(context.Background(), w.Unknown.Secret)
			w.wants(t, "Locate of an unknown key "+state, err, leak.ErrCredential)
		}
	})
}

func testThrottled(t *testing.T, h Harness) {
	each(t, h, Throttle, func(t *testing.T, w World, c call, secret leak.Secret) {
		if after := throttled(t, w, c, secret); after != RetryAfter {
			t.Errorf("%s: asked to wait %v, want %v", c.name, after, RetryAfter)
		}
	})
	each(t, h, ThrottleAbsurdly, func(t *testing.T, w World, c call, secret leak.Secret) {
		if after := throttled(t, w, c, secret); after <= RetryAfter {
			t.Errorf("%s: asked to wait %v, want longer than %v", c.name, after, RetryAfter)
		}
	})
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

// throttled makes a call that must be throttled, and returns how long it is to wait.
func throttled(t *testing.T, w World, c call, secret leak.Secret) time.Duration {
	t.Helper()
	err := c.do(context.Background())
	w.wants(t, c.name, err, nil, secret)
	wish, ok := errors.AsType[*leak.Throttled](err)
	if !ok {
		t.Fatalf("%s: error %q is not *leak.Throttled", c.name, err)
	}
	return wish.After
}

// testUnresolved: what nobody can tell is told as that. The body of an answer to a change is not asked for: it proves nothing
// either way.
func testUnresolved(t *testing.T, h Harness) {
	for _, how := range unresolved {
		each(t, h, how, func(t *testing.T, w World, c call, secret leak.Secret) {
			if (how == HTMLSuccess || how == EmptySuccess) && c.kind != asks && c.kind != tries {
				t.Skip("the answer to a change is not read")
			}
			ctx, cancel := patience(how)
			defer cancel()
			w.wants(t, c.name, c.do(ctx), nil, secret)
		})
	}
}

func testCancelled(t *testing.T, h Harness) {
	w := h.New(t)
	target := w.AddKey(false)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range w.calls(target) {
		err := c.do(ctx)
		w.wants(t, c.name, err, nil, target.Secret)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %q does not wrap context.Canceled", c.name, err)
		}
	}
	w.settle()
	w.mustStand(t, target, State{})
	if key := w.mustLocate(t, target.Secret); key.ID != target.Key.ID {
		t.Errorf("after a cancelled call got %+v, want id %q", key, target.Key.ID)
	}
}

// testRedirect: an answer that sends us elsewhere is not followed, whatever its status, because a secret would go along.
func testRedirect(t *testing.T, h Harness) {
	if h.New(t).Redirect == nil {
		t.Skip("it does not speak HTTP")
	}
	var visits atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, state := range states {
			w := h.New(t)
			target := w.AddKey(false)
			if state == "after use" {
				w.mustLocate(t, target.Secret)
			}
			w.Redirect(status, elsewhere.URL)
			for _, c := range w.calls(target) {
				w.wants(t, c.name, c.do(context.Background()), nil, target.Secret)
			}
			w.mustStand(t, target, State{})
		}
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("%d requests went to another host", n)
	}
}

// testConcurrent: methods are safe for concurrent use, from the very first one on.
func testConcurrent(t *testing.T, h Harness) {
	w := h.New(t)
	var group sync.WaitGroup
	for range 64 {
		target := w.AddKey(false)
		group.Go(func() {
			key, err := w.Issuer.Locate(context.Background(), target.Secret)
			if err != nil || key.ID != target.Key.ID {
				t.Errorf("Locate: got id %q and error %v, want %q", key.ID, err, target.Key.ID)
			}
			if w.able().Read {
				key, err := w.Issuer.(dispositions.Reader).Read(context.Background(), w.named(target))
				if err != nil || key.ID != target.Key.ID {
					t.Errorf("Read: got id %q and error %v, want %q", key.ID, err, target.Key.ID)
				}
			}
			if w.able().Prove {
				if trial, err := w.Issuer.(dispositions.Prover).Try(context.Background(), target.Secret); err != nil || trial.Result != leak.Works {
					t.Errorf("Try: got %+v and error %v", trial, err)
				}
			}
		})
	}
	group.Wait()
}
