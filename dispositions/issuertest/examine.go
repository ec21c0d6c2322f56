package issuertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"stanch/receiver/leak"
)

// testExamine: an examination finds fault with a far side that fails, none with one that works, and shows no secret.
func testExamine(t *testing.T, h Harness) {
	t.Run("works", func(t *testing.T) {
		w := h.New(t)
		id, secret := w.AddKey(true)
		if found := w.examine(context.Background(), t, secret); hasFailure(found) {
			t.Errorf("a far side that works fails: %+v", found)
		}
		w.mustStand(t, id, State{Locked: true})
	})
	for _, how := range append([]Breakage{Credential, Forbidden, Throttle, ThrottleAbsurdly}, unresolved...) {
		t.Run(string(how), func(t *testing.T) {
			w := h.New(t)
			id, secret := w.AddKey(false)
			w.Break(how)
			ctx := context.Background()
			if how == Hang {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, hangTime)
				defer cancel()
			}
			if found := w.examine(ctx, t, secret); !hasFailure(found) {
				t.Errorf("no failure is found: %+v", found)
			}
			w.mustStand(t, id, State{})
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
			if strings.Contains(fmt.Sprintf("%+v", f), planted) {
				t.Errorf("the finding about %q shows a secret or a URL", f.Check)
			}
		}
	}
	return found
}
