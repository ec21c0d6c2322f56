package githubapi_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"stanch/receiver/collect"
	"stanch/receiver/githubfake"
)

func (w *world) mustHave(t *testing.T, state, resolution, comment, validity string) {
	t.Helper()
	a, _ := w.Alert("acme/shop", 1)
	if a.State != state || a.Resolution != resolution || a.Comment != comment || a.Validity != validity {
		t.Errorf("the alert is %s, %q, %q and %s, want %s, %q, %q and %s",
			a.State, a.Resolution, a.Comment, a.Validity, state, resolution, comment, validity)
	}
}

// TestResolve: closing and reopening an alert, in every position of the fake's switches.
func TestResolve(t *testing.T) {
	for _, s := range githubfake.Positions() {
		if s.DelegatedDismissal {
			continue
		}
		w := newWorld(t, githubfake.Options{Switches: s})
		ref := w.add(githubfake.Alert{})
		inactive := "inactive"
		if s.Validity != "" {
			inactive = "unknown"
		}
		if err := w.vendor.Resolve(t.Context(), ref, "dead"); err != nil {
			t.Errorf("Resolve with %+v: %v", s, err)
		}
		w.mustHave(t, "resolved", "revoked", "dead", inactive)
		if err := w.vendor.Reopen(t.Context(), ref, "alive"); err != nil {
			t.Errorf("Reopen with %+v: %v", s, err)
		}
		w.mustHave(t, "open", "", "", "unknown")
		for _, e := range w.Journal() {
			if e.Op == githubfake.GetAlert && e.Secrets > 0 {
				t.Error("the secret was asked for")
			}
		}
		w.silent(t)
	}
}

// TestResolveDelegated: where dismissals need approval, people are told what to do.
func TestResolveDelegated(t *testing.T) {
	w := newWorld(t, githubfake.Options{Switches: githubfake.Switches{DelegatedDismissal: true}})
	err := w.vendor.Resolve(t.Context(), w.add(githubfake.Alert{}), "dead")
	if !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "delegated alert dismissal") {
		t.Errorf("got %v, want ErrRefused in words for people", err)
	}
	w.mustHave(t, "open", "", "", "unknown")
}

// TestResolveRace: somebody else is first, between our look and our change.
func TestResolveRace(t *testing.T) {
	for name, row := range map[string]struct {
		status int
		body   string
		closed bool
	}{
		"closed meanwhile":           {400, `{"message":"no"}`, true},
		"not modified, but closed":   {304, "", true},
		"something else is wrong":    {400, `{"message":"no"}`, false},
		"not modified, and not done": {304, "", false},
	} {
		w := newWorld(t, githubfake.Options{})
		ref := w.add(githubfake.Alert{})
		w.AddFault(githubfake.Fault{Op: githubfake.UpdateAlert, Status: row.status, Body: row.body, Commit: row.closed})
		if err := w.vendor.Resolve(t.Context(), ref, "dead"); (err == nil) != row.closed {
			t.Errorf("%s: got %v, want an error: %v", name, err, !row.closed)
		}
		if got := w.Count(githubfake.UpdateAlert, "", 0); got != 1 {
			t.Errorf("%s: got %d changes, want 1", name, got)
		}
	}
}

// TestResolveAnswers: without a proof in the answer there is no success.
func TestResolveAnswers(t *testing.T) {
	for _, body := range []string{
		"", "{}", "null", "[]", `{"number":1}`, `{"number":1,"state":"open"}`, `{"number":2,"state":"resolved"}`, `{"number":1,"state":"resolved`,
	} {
		w := newWorld(t, githubfake.Options{})
		ref := w.add(githubfake.Alert{})
		w.answer(githubfake.UpdateAlert, body)
		if err := w.vendor.Resolve(t.Context(), ref, "dead"); err == nil || errors.Is(err, collect.ErrGone) || errors.Is(err, collect.ErrRefused) {
			t.Errorf("%q: got %v, want an unresolved error", body, err)
		}
	}
}

// TestResolveLost: the next try sees a change whose answer was lost.
func TestResolveLost(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	ref := w.add(githubfake.Alert{})
	w.AddFault(githubfake.Fault{Op: githubfake.UpdateAlert, Commit: true, Cut: true})
	if err := w.vendor.Resolve(t.Context(), ref, "dead"); err == nil {
		t.Error("got no error for an answer that was lost")
	}
	if err := w.vendor.Resolve(t.Context(), ref, "another comment"); err != nil {
		t.Errorf("got %v the next time", err)
	}
	w.mustHave(t, "resolved", "revoked", "dead", "inactive")
}

// TestResolveComment: a comment that is too long is cut between characters, and keeps the link at its end.
func TestResolveComment(t *testing.T) {
	const link = " https://stanch.example/incidents/0123456789"
	for name, row := range map[string]struct{ comment, want string }{
		"fits":          {strings.Repeat("é", 280), strings.Repeat("é", 280)},
		"too long":      {strings.Repeat("é", 281), strings.Repeat("é", 279) + "…"},
		"with a link":   {strings.Repeat("鍵", 300) + link, strings.Repeat("鍵", 279-len(link)) + "…" + link},
		"one long word": {"a " + strings.Repeat("x", 400), "a " + strings.Repeat("x", 277) + "…"},
		"no text":       {"bad \xff byte", "bad \uFFFD byte"},
		"empty":         {"", ""},
	} {
		w := newWorld(t, githubfake.Options{Switches: githubfake.Switches{CommentLimit: 280}})
		if err := w.vendor.Resolve(t.Context(), w.add(githubfake.Alert{}), row.comment); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if a, _ := w.Alert("acme/shop", 1); a.Comment != row.want || !utf8.ValidString(a.Comment) {
			t.Errorf("%s: got %q, want %q", name, a.Comment, row.want)
		}
	}
}

// TestReopenRevoked: only our own claim is taken back.
func TestReopenRevoked(t *testing.T) {
	for _, resolution := range []string{"false_positive", "wont_fix", "used_in_tests", "pattern_deleted", "revoked"} {
		w := newWorld(t, githubfake.Options{})
		ref := w.add(githubfake.Alert{})
		w.Act(githubfake.Resolve, "acme/shop", 1, githubfake.Change{Resolution: resolution})
		if err := w.vendor.Reopen(t.Context(), ref, ""); err != nil {
			t.Errorf("%s: %v", resolution, err)
		}
		a, _ := w.Alert("acme/shop", 1)
		if got, want := a.State == "open", resolution == "revoked"; got != want {
			t.Errorf("%s: opened: %v, want %v", resolution, got, want)
		}
	}
}
