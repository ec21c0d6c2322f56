package collecttest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
)

// states says whether a vendor is new when things go wrong, or has worked before and remembers something.
var states = []string{"at first use", "after use"}

// each runs a test for every call in every state, in a world with an open alert whose far side then fails.
func each(t *testing.T, h Harness, how Breakage, test func(t *testing.T, w World, c call, ref string)) {
	t.Helper()
	for _, state := range states {
		for n, c := range h.New(t).calls() {
			t.Run(string(how)+"/"+state+"/"+c.name, func(t *testing.T) {
				w := h.New(t)
				ref := w.add()
				if state == "after use" {
					w.mustFetch(t, ref)
				}
				w.Break(how)
				test(t, w, w.calls()[n], ref)
				w.Mend()
				w.mustStand(t, ref, State{Open: true})
			})
		}
	}
}

func testGone(t *testing.T, h Harness) {
	w := h.New(t)
	removed := w.add()
	w.Remove(removed)
	for _, c := range w.aboutOne() {
		w.wants(t, c.name+" of what is gone", c.do(context.Background(), removed), collect.ErrGone)
		w.wants(t, c.name+" of what never was", c.do(context.Background(), w.Absent), collect.ErrGone)
	}
}

// testForeign: what is not of the configured organisation, or is no ref at all, is refused without asking anybody.
func testForeign(t *testing.T, h Harness) {
	w := h.New(t)
	before := w.Calls()
	for _, ref := range []string{w.Foreign, "", "/", "../../user", w.Absent + "/..", w.Absent + "?x=1", w.Absent + "#x"} {
		for _, c := range w.aboutOne() {
			w.wants(t, c.name+" of "+ref, c.do(context.Background(), ref), collect.ErrRefused)
		}
	}
	if calls := w.Calls() - before; calls > 0 {
		t.Errorf("got %d calls for what is not ours, want none", calls)
	}
}

func testRefused(t *testing.T, h Harness) {
	each(t, h, Credential, func(t *testing.T, w World, c call, ref string) {
		w.wants(t, c.name, c.do(context.Background(), ref), leak.ErrCredential)
	})
	each(t, h, Forbidden, func(t *testing.T, w World, c call, ref string) {
		w.wants(t, c.name, c.do(context.Background(), ref), collect.ErrRefused)
	})
}

func testThrottled(t *testing.T, h Harness) {
	each(t, h, Throttle, func(t *testing.T, w World, c call, ref string) {
		if after := throttled(t, w, c, ref); after > RetryAfter || after <= 0 {
			t.Errorf("%s: asked to wait %v, want %v", c.name, after, RetryAfter)
		}
	})
	each(t, h, ThrottleAbsurdly, func(t *testing.T, w World, c call, ref string) {
		if after := throttled(t, w, c, ref); after <= RetryAfter {
			t.Errorf("%s: asked to wait %v, want longer than %v", c.name, after, RetryAfter)
		}
	})
}

// throttled makes a call that must be throttled, and returns how long it is to wait.
func throttled(t *testing.T, w World, c call, ref string) time.Duration {
	t.Helper()
	err := c.do(context.Background(), ref)
	w.wants(t, c.name, err, nil)
	wish, ok := errors.AsType[*leak.Throttled](err)
	if !ok {
		t.Fatalf("%s: error %q is not *leak.Throttled", c.name, err)
	}
	return wish.After
}

func testUnresolved(t *testing.T, h Harness) {
	for _, how := range unresolved {
		each(t, h, how, func(t *testing.T, w World, c call, ref string) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if how == Hang {
				ctx, cancel = context.WithTimeout(ctx, hangTime)
				defer cancel()
			}
			w.wants(t, c.name, c.do(ctx, ref), nil)
		})
	}
}

// testLie: a change that the far side only claims to have made is not taken for made.
func testLie(t *testing.T, h Harness) {
	w := h.New(t)
	ref := w.add()
	w.Break(Lie)
	w.wants(t, "Resolve", w.Vendor.Resolve(context.Background(), ref, comment), nil)
	w.Mend()
	w.mustStand(t, ref, State{Open: true})
}

// testRedirected: another host is not asked, and so gets no credential.
func testRedirected(t *testing.T, h Harness) {
	for n, c := range h.New(t).calls() {
		t.Run(c.name, func(t *testing.T) {
			var asked atomic.Int64
			elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
			defer elsewhere.Close()
			w := h.New(t)
			ref := w.add()
			w.Redirect(elsewhere.URL + "/elsewhere")
			w.wants(t, c.name, w.calls()[n].do(context.Background(), ref), nil)
			if n := asked.Load(); n > 0 {
				t.Errorf("the other host was asked %d times, want never", n)
			}
			w.Mend()
			w.mustStand(t, ref, State{Open: true})
		})
	}
}
