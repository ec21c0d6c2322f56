package gitlabapi_test

import (
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// TestErrors: what each answer means, whose answers count, and that nothing of a body is shown.
func TestErrors(t *testing.T) {
	inHTML := map[string]string{"Content-Type": "text/html"}
	for name, row := range map[string]struct {
		fault gitlabfake.Fault
		want  error
	}{
		"401 of GitLab":        {gitlabfake.Fault{Status: 401, Body: `{"message":"planted-token-4f1c"}`}, leak.ErrCredential},
		"401, expired":         {gitlabfake.Fault{Status: 401, Body: `{"error":"invalid_token","error_description":"x"}`}, leak.ErrCredential},
		"401 of a proxy":       {gitlabfake.Fault{Status: 401, Header: inHTML, Body: plainPage}, nil},
		"403 of GitLab":        {gitlabfake.Fault{Status: 403, Body: `{"message":"403 Forbidden"}`}, collect.ErrRefused},
		"403, scope":           {gitlabfake.Fault{Status: 403, Body: `{"error":"insufficient_scope"}`}, collect.ErrRefused},
		"403 of a firewall":    {gitlabfake.Fault{Status: 403, Header: inHTML, Body: plainPage}, nil},
		"404 of GitLab":        {gitlabfake.Fault{Status: 404, Body: `{"message":"404 Not found"}`}, collect.ErrGone},
		"404, no such path":    {gitlabfake.Fault{Status: 404, Body: `{"error":"404 Not Found"}`}, nil},
		"404 of a proxy":       {gitlabfake.Fault{Status: 404, Header: inHTML, Body: plainPage}, nil},
		"404 without a body":   {gitlabfake.Fault{Status: 404}, nil},
		"404, other JSON":      {gitlabfake.Fault{Status: 404, Body: `{"detail":"planted-token-4f1c"}`}, nil},
		"400 of GitLab":        {gitlabfake.Fault{Status: 400, Body: `{"error":"planted-token-4f1c"}`}, nil},
		"418":                  {gitlabfake.Fault{Status: 418, Body: `{"message":"planted-token-4f1c"}`}, nil},
		"503":                  {gitlabfake.Fault{Status: 503, Body: `{"message":"planted-token-4f1c"}`}, nil},
		"another place":        {vendorfake.Redirect(http.StatusMovedPermanently, "https://planted-token-4f1c.example/"), nil},
		"304 out of the blue":  {gitlabfake.Fault{Status: 304}, nil},
		"too long":             {gitlabfake.Fault{Status: 200, Body: strings.Repeat("planted-token-4f1c", 1<<20)}, nil},
		"a secret in the JSON": {gitlabfake.Fault{Status: 200, Body: `{"id":"planted-token-4f1c"}`}, nil},
	} {
		w := newWorld(t, gitlabfake.Options{})
		w.AddFault(row.fault)
		_, err := w.vendor.Fetch(t.Context(), w.add(gitlabfake.Vulnerability{}))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, meaning := range []error{leak.ErrCredential, collect.ErrRefused, collect.ErrGone} {
			if got := errors.Is(err, meaning); got != errors.Is(row.want, meaning) {
				t.Errorf("%s: %q means %q: %v", name, err, meaning, got)
			}
		}
		if strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %q quotes the answer", name, err)
		}
		w.silent(t, err.Error())
	}
}

// TestThrottled: how long GitLab wants us to wait, in all the ways in which it says so.
func TestThrottled(t *testing.T) {
	in := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
	for name, row := range map[string]struct {
		fault     gitlabfake.Fault
		from, to  time.Duration
		untilThen bool // nothing is asked until then
	}{
		"Retry-After":     {gitlabfake.Fault{Status: 429, Header: map[string]string{"Retry-After": "30"}}, 30 * time.Second, 30 * time.Second, false},
		"503":             {gitlabfake.Fault{Status: 503, Header: map[string]string{"Retry-After": "30"}}, 30 * time.Second, 30 * time.Second, false},
		"nothing said":    {gitlabfake.Fault{Status: 429}, time.Minute, time.Minute, false},
		"negative":        {gitlabfake.Fault{Status: 429, Header: map[string]string{"Retry-After": "-5"}}, time.Minute, time.Minute, false},
		"no number":       {gitlabfake.Fault{Status: 429, Header: map[string]string{"Retry-After": "soon"}}, time.Minute, time.Minute, false},
		"absurd":          {gitlabfake.Fault{Status: 429, Header: map[string]string{"Retry-After": "999999999999"}}, time.Hour, time.Hour, false},
		"until a time":    {gitlabfake.Fault{Status: 429, Header: limits("0", in(30*time.Second))}, 20 * time.Second, 30 * time.Second, true},
		"an absurd time":  {gitlabfake.Fault{Status: 429, Header: limits("0", in(9999*time.Hour))}, time.Hour, time.Hour, true},
		"a time long ago": {gitlabfake.Fault{Status: 429, Header: limits("0", in(-time.Hour))}, time.Minute, time.Minute, false},
		"some are left":   {gitlabfake.Fault{Status: 429, Header: limits("5", in(30*time.Second))}, time.Minute, time.Minute, false},
	} {
		w := newWorld(t, gitlabfake.Options{})
		id := w.add(gitlabfake.Vulnerability{})
		w.AddFault(row.fault)
		_, err := w.vendor.Fetch(t.Context(), id)
		wish, ok := errors.AsType[*leak.Throttled](err)
		if !ok || wish.After < row.from || wish.After > row.to {
			t.Errorf("%s: got %v, want to wait %v at most", name, err, row.to)
			continue
		}
		_, err = w.vendor.Fetch(t.Context(), id)
		if _, waits := errors.AsType[*leak.Throttled](err); waits != row.untilThen {
			t.Errorf("%s: got %v the next time, want it throttled: %v", name, err, row.untilThen)
		}
		if asked := w.Count(gitlabfake.GetVulnerability, "", 0); asked != 2 && !row.untilThen || asked != 1 && row.untilThen {
			t.Errorf("%s: got %d calls", name, asked)
		}
	}
}

func limits(remaining, reset string) map[string]string {
	return map[string]string{"RateLimit-Limit": "60", "RateLimit-Remaining": remaining, "RateLimit-Reset": reset}
}

// TestRateLimit: at GitLab's own limit we stop by ourselves, and go-gitlab does not slow us down before.
func TestRateLimit(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{RateLimit: 6})
	id := w.add(gitlabfake.Vulnerability{State: gitlabfake.Confirmed})
	for n := range 8 {
		_, err := w.vendor.Fetch(t.Context(), id)
		if _, limited := errors.AsType[*leak.Throttled](err); limited != (n >= 6) {
			t.Errorf("call %d: got %v", n, err)
		}
	}
	if n := w.Count("", "", 0); n != 6 {
		t.Errorf("got %d calls, want 6", n)
	}
}

// TestOnce: a vendor tries once; the queue retries.
func TestOnce(t *testing.T) {
	for _, status := range []int{429, 500, 502, 503, 504} {
		w := newWorld(t, gitlabfake.Options{})
		id := w.add(gitlabfake.Vulnerability{})
		w.AddFault(gitlabfake.Fault{Status: status, Times: vendorfake.Forever})
		_, _ = w.vendor.Fetch(t.Context(), id)
		_ = w.vendor.Resolve(t.Context(), id, "dead")
		if n := w.Count("", "", 0); n != 2 {
			t.Errorf("%d: got %d calls, want 2", status, n)
		}
	}
}

// TestQueries: no secret and no token is in the query of any call.
func TestQueries(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{Switches: gitlabfake.Switches{RawMetadata: "absent"}})
	w.AddHook(ourHook)
	id := w.add(gitlabfake.Vulnerability{})
	w.mustFetch(t, id)
	_ = w.vendor.Resolve(t.Context(), id, plantedToken.Reveal())
	_ = w.vendor.Reopen(t.Context(), id, plantedToken.Reveal())
	_, _ = w.opened(t.Context(), time.Time{})
	_, _ = w.vendor.(collect.Redeliverer).Redeliver(t.Context(), time.Time{})
	for _, e := range w.Journal() {
		w.silent(t, e.Query, e.Target)
	}
}

// TestTokenFile: a token that is refused is read again from its file, once.
func TestTokenFile(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	id := w.add(gitlabfake.Vulnerability{State: gitlabfake.Confirmed})
	before, err := w.vendor.(collect.Selfaware).Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.ClearJournal()
	w.RevokeTokens()
	if _, err := w.vendor.Fetch(t.Context(), id); !errors.Is(err, leak.ErrCredential) || w.Count("", "", 0) != 1 {
		t.Errorf("got %v after %d calls with a token that was revoked, want ErrCredential after one", err, w.Count("", "", 0))
	}
	next := w.AddToken(gitlabfake.Token{Name: "next", Login: "next-bot"})
	if err := os.WriteFile(w.config.TokenFile, []byte(next.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	w.mustFetch(t, id)
	if by := w.Journal()[len(w.Journal())-1].By; by != "next" {
		t.Errorf("the last call is by %q, want next", by)
	}
	if after, err := w.vendor.(collect.Selfaware).Self(t.Context()); err != nil || after == before {
		t.Errorf("got %q and error %v for another user's token, want another number than %s", after, err, before)
	}
	w.ClearJournal()
	w.mustFetch(t, id)
	if n := w.Count("", "", 0); n != 1 {
		t.Errorf("got %d calls, want 1: the old token is not sent again", n)
	}
	w.silent(t)
}
