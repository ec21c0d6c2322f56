package issuertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"stanch/receiver/leak"
)

// states says whether an issuer is new when things go wrong, or has worked before and remembers something.
var states = []string{"at first use", "after use"}

// broken makes a world with a key in it that then goes wrong.
func broken(t *testing.T, h Harness, state string, how Breakage) (w World, id string, secret leak.Secret) {
	t.Helper()
	w = h.New(t)
	id, secret = w.AddKey(false)
	if state == "after use" {
		w.mustLocate(t, secret)
	}
	w.Break(how)
	return w, id, secret
}

// each runs a test for every call in every state.
func each(t *testing.T, h Harness, how Breakage, test func(t *testing.T, w World, c call, secret leak.Secret)) {
	t.Helper()
	w, id, secret := broken(t, h, "at first use", how)
	for _, state := range states {
		for n, c := range w.calls(id, secret) {
			t.Run(string(how)+"/"+state+"/"+c.name, func(t *testing.T) {
				w, id, secret := broken(t, h, state, how)
				test(t, w, w.calls(id, secret)[n], secret)
				w.mustStand(t, id, State{})
			})
		}
	}
}

// testLie: a change that the far side only claims to have made is seen by reading the key again.
func testLie(t *testing.T, h Harness) {
	w := h.New(t)
	for n, c := range w.writes(w.UnknownID) {
		if c.name != "Disable" && c.name != "Delete" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w, id, _ := broken(t, h, "after use", Lie)
			if err := w.writes(id)[n].do(context.Background()); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			w.Mend()
			if key := w.mustRead(t, id); key.Disabled {
				t.Errorf("nothing was done, and the key is read as %+v", key)
			}
		})
	}
}

func testCredential(t *testing.T, h Harness) {
	for _, how := range []Breakage{Credential, Forbidden} {
		each(t, h, how, func(t *testing.T, w World, c call, secret leak.Secret) {
			w.wants(t, c.name, c.do(context.Background()), leak.ErrCredential, secret)
		})
	}
	t.Run("unknown key", func(t *testing.T) {
		for _, state := range states {
			w, _, _ := broken(t, h, state, Credential)
			_, err := w.Issuer.Locate(context.Background(), w.UnknownSecret)
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

// throttled makes a call that must be throttled, and returns how long it is to wait.
func throttled(t *testing.T, w World, c call, secret leak.Secret) time.Duration {
	t.Helper()
	err := c.do(context.Background())
	w.wants(t, c.name, err, nil, secret)
	var wish *leak.Throttled
	if !errors.As(err, &wish) {
		t.Fatalf("%s: error %q is not *leak.Throttled", c.name, err)
	}
	return wish.After
}

func testUnresolved(t *testing.T, h Harness) {
	for _, how := range unresolved {
		each(t, h, how, func(t *testing.T, w World, c call, secret leak.Secret) {
			if how == HTMLSuccess || how == EmptySuccess {
				readsOnly(t, c)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if how == Hang {
				ctx, cancel = context.WithTimeout(ctx, hangTime)
				defer cancel()
			}
			w.wants(t, c.name, c.do(ctx), nil, secret)
		})
	}
}

// readsOnly skips changes: what an answer to a change says in its body proves nothing either way.
func readsOnly(t *testing.T, c call) {
	t.Helper()
	if c.name != "Locate" && c.name != "Read" {
		t.Skip("the answer to a change is not read")
	}
}

func testCancelled(t *testing.T, h Harness) {
	w := h.New(t)
	id, secret := w.AddKey(false)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range w.calls(id, secret) {
		err := c.do(ctx)
		w.wants(t, c.name, err, nil, secret)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %q does not wrap context.Canceled", c.name, err)
		}
	}
	w.mustStand(t, id, State{})
	if key := w.mustLocate(t, secret); key.ID != id {
		t.Errorf("after a cancelled call got %+v, want id %s", key, id)
	}
}

// testConcurrent: methods are safe for concurrent use, from the very first one on.
func testConcurrent(t *testing.T, h Harness) {
	w := h.New(t)
	var group sync.WaitGroup
	for range 64 {
		id, secret := w.AddKey(false)
		group.Go(func() {
			if key, err := w.Issuer.Locate(context.Background(), secret); err != nil || key.ID != id {
				t.Errorf("Locate: got id %q and error %v, want %s", key.ID, err, id)
			}
			if key, err := w.read(context.Background(), id); err != nil || key.ID != id {
				t.Errorf("Read: got id %q and error %v, want %s", key.ID, err, id)
			}
		})
	}
	group.Wait()
}
