package gitlabapi_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"stanch/receiver/collect"
	"stanch/receiver/gitlabfake"
)

func (w *world) mustBe(t *testing.T, ref string, state gitlabfake.State, comment string) {
	t.Helper()
	if v, _ := w.Vulnerability(number(ref)); v.State != state || v.Comment != comment {
		t.Errorf("the vulnerability is %s with %q, want %s with %q", v.State, v.Comment, state, comment)
	}
}

// TestResolve: resolving and reopening a vulnerability, in every position of the fake's switches.
func TestResolve(t *testing.T) {
	for _, s := range gitlabfake.Positions() {
		w := newWorld(t, gitlabfake.Options{Switches: s})
		id := w.add(gitlabfake.Vulnerability{})
		dead, alive := "dead", "alive"
		if s.NoComment {
			dead, alive = "", ""
		}
		if err := w.vendor.Resolve(t.Context(), id, "dead"); err != nil {
			t.Errorf("Resolve with %+v: %v", s, err)
		}
		w.mustBe(t, id, gitlabfake.Resolved, dead)
		if err := w.vendor.Reopen(t.Context(), id, "alive"); err != nil {
			t.Errorf("Reopen with %+v: %v", s, err)
		}
		w.mustBe(t, id, gitlabfake.Detected, alive)
		w.silent(t)
	}
}

// TestResolveRace: somebody else is first, between our look and our change.
func TestResolveRace(t *testing.T) {
	for name, row := range map[string]struct {
		body   string
		closed bool
	}{
		"resolved meanwhile": {`{"data":{"vulnerabilityResolve":{"vulnerability":null,"errors":["planted-token-4f1c"]}}}`, true},
		"something else":     {`{"data":{"vulnerabilityResolve":{"vulnerability":null,"errors":["planted-token-4f1c"]}}}`, false},
	} {
		w := newWorld(t, gitlabfake.Options{})
		id := w.add(gitlabfake.Vulnerability{})
		w.AddFault(gitlabfake.Fault{Op: gitlabfake.MutateResolve, Status: 200, Body: row.body, Commit: row.closed})
		err := w.vendor.Resolve(t.Context(), id, "dead")
		if (err == nil) != row.closed {
			t.Errorf("%s: got %v, want an error: %v", name, err, !row.closed)
		}
		if err != nil && strings.Contains(err.Error(), planted) {
			t.Errorf("%s: the error quotes the answer: %q", name, err)
		}
		if got := w.Count(gitlabfake.MutateResolve, "", 0); got != 1 {
			t.Errorf("%s: got %d changes, want 1", name, got)
		}
	}
}

// TestResolveAnswers: without a proof in the answer there is no success, and nothing of the answer is shown.
func TestResolveAnswers(t *testing.T) {
	for _, body := range []string{
		"", "{}", "null", "[]", `{"data":null}`, `{"data":{}}`, `{"data":{"vulnerabilityResolve":null}}`, `{"data":[]}`,
		`{"data":{"vulnerabilityResolve":{}}}`, `{"errors":[{"message":"planted-token-4f1c"}]}`, `{"errors":[{}],"data":{}}`,
		`{"data":{"vulnerabilityResolve":{"vulnerability":{"id":"gid://gitlab/Vulnerability/2","state":"RESOLVED"}}}}`,
		`{"data":{"vulnerabilityResolve":{"vulnerability":{"id":"gid://gitlab/Epic/5000000001","state":"RESOLVED"}}}}`,
	} {
		w := newWorld(t, gitlabfake.Options{})
		id := w.add(gitlabfake.Vulnerability{})
		w.answer(gitlabfake.MutateResolve, body)
		err := w.vendor.Resolve(t.Context(), id, "dead")
		if err == nil || errors.Is(err, collect.ErrGone) || errors.Is(err, collect.ErrRefused) || strings.Contains(err.Error(), planted) {
			t.Errorf("%q: got %v, want an unresolved error that shows nothing", body, err)
		}
	}
}

// TestResolveRefused: GraphQL refuses in its own way.
func TestResolveRefused(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	id := w.add(gitlabfake.Vulnerability{})
	developer := w.AddToken(gitlabfake.Token{Name: "developer", Role: gitlabfake.Developer})
	w.config.TokenFile = writeFile(t, developer.Reveal())
	w.open(t)
	if err := w.vendor.Resolve(t.Context(), id, "dead"); !errors.Is(err, collect.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
	w.mustBe(t, id, gitlabfake.Detected, "")
}

// TestResolveLost: the next try sees a change whose answer was lost.
func TestResolveLost(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	id := w.add(gitlabfake.Vulnerability{})
	w.AddFault(gitlabfake.Fault{Op: gitlabfake.MutateResolve, Commit: true, Cut: true})
	if err := w.vendor.Resolve(t.Context(), id, "dead"); err == nil {
		t.Error("got no error for an answer that was lost")
	}
	if err := w.vendor.Resolve(t.Context(), id, "another comment"); err != nil {
		t.Errorf("got %v the next time", err)
	}
	w.mustBe(t, id, gitlabfake.Resolved, "dead")
}

// TestResolveComment: a comment that is too long is cut between characters.
func TestResolveComment(t *testing.T) {
	for comment, want := range map[string]string{
		strings.Repeat("é", 1000): strings.Repeat("é", 1000), strings.Repeat("鍵", 1001): strings.Repeat("鍵", 999) + "…",
		"bad \xff byte": "bad \uFFFD byte", "": "",
	} {
		w := newWorld(t, gitlabfake.Options{})
		id := w.add(gitlabfake.Vulnerability{})
		if err := w.vendor.Resolve(t.Context(), id, comment); err != nil {
			t.Errorf("Resolve: %v", err)
		}
		w.mustBe(t, id, gitlabfake.Resolved, want)
		if v, _ := w.Vulnerability(number(id)); !utf8.ValidString(v.Comment) {
			t.Errorf("%q is no text", v.Comment)
		}
	}
}

// TestReopen: a claim that the key is dead is taken back, whoever made it; a dismissal is none.
func TestReopen(t *testing.T) {
	for before, after := range map[gitlabfake.State]gitlabfake.State{
		gitlabfake.Detected: gitlabfake.Detected, gitlabfake.Confirmed: gitlabfake.Confirmed,
		gitlabfake.Resolved: gitlabfake.Detected, gitlabfake.Dismissed: gitlabfake.Dismissed,
	} {
		w := newWorld(t, gitlabfake.Options{})
		id := w.add(gitlabfake.Vulnerability{State: before})
		if err := w.vendor.Reopen(t.Context(), id, ""); err != nil {
			t.Errorf("%s: %v", before, err)
		}
		w.mustBe(t, id, after, "")
	}
}

// TestSelf: GitLab is asked once who we are, and its hooks use the same number.
func TestSelf(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	self := w.vendor.(collect.Selfaware)
	for _, body := range []string{"{}", `{"id":0,"username":"a"}`, `{"id":-1,"username":"a"}`, `{"id":7}`, "null", `{"id":7,"username":"a b"}`} {
		w.AddFault(gitlabfake.Fault{Op: gitlabfake.GetUser, Status: 200, Body: body})
		if got, err := self.Self(t.Context()); err == nil {
			t.Errorf("%s: got %q and no error", body, got)
		}
	}
	w.ClearJournal()
	received := newInbox(t, w)
	first, err := self.Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := w.add(gitlabfake.Vulnerability{})
	w.mustFetch(t, id)
	w.Wait()
	if by := received.pointers(t); len(by) != 1 || by[0].By != first || by[0].Event != "confirmed" {
		t.Errorf("our own change comes back as %+v, want one by %s", by, first)
	}
	if again, err := self.Self(t.Context()); err != nil || again != first || w.Count(gitlabfake.GetUser, "", 0) != 1 {
		t.Errorf("got %q and error %v after %d calls", again, err, w.Count(gitlabfake.GetUser, "", 0))
	}
}
