package githubapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/githubfake"
)

// list lists what is open.
func (w *world) list(t *testing.T, since time.Time) (refs []string, err error) {
	t.Helper()
	for listed, problem := range w.vendor.Open(t.Context(), since) {
		if problem != nil {
			return refs, problem
		}
		refs = append(refs, listed.Ref)
	}
	return refs, nil
}

// TestOpenAsks: secrets are hidden, and every page after the first is fetched with the cursor of the one before.
func TestOpenAsks(t *testing.T) {
	for _, cursors := range []string{"asked", "always", "never"} {
		w := newWorld(t, githubfake.Options{Switches: githubfake.Switches{Cursors: cursors}})
		for range 250 {
			w.add(githubfake.Alert{Repository: "acme/shop"})
		}
		refs, err := w.list(t, time.Time{})
		if err != nil || len(refs) != 250 {
			t.Fatalf("%s: got %d alerts and error %v, want 250", cursors, len(refs), err)
		}
		for n, e := range w.Journal() {
			query, _ := url.ParseQuery(e.Query)
			if e.Op != githubfake.ListOrgAlerts || e.Target != "acme" || e.Secrets != 0 || query.Get("sort") != "updated" {
				t.Errorf("%s: call %d is %+v, want a list without secrets", cursors, n, e)
			}
			if byNumber := query.Has("page"); byNumber != (cursors == "never" && n > 1) {
				t.Errorf("%s: call %d asks for %q", cursors, n, e.Query)
			}
		}
	}
}

// TestOpenSince: no page is fetched that can only hold older alerts.
func TestOpenSince(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	at := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	for n := range 300 {
		w.add(githubfake.Alert{CreatedAt: at.Add(time.Duration(n) * time.Second)})
	}
	refs, err := w.list(t, at.Add(298*time.Second+time.Second/2))
	if want := []string{"acme/shop/300", "acme/shop/299"}; err != nil || !slices.Equal(refs, want) {
		t.Errorf("got %v and error %v, want %v: times at GitHub have whole seconds", refs, err, want)
	}
	if got := w.Count(githubfake.ListOrgAlerts, "", 0); got != 1 {
		t.Errorf("got %d pages, want 1", got)
	}
}

// TestOpenOddEntries: entries that cannot be read are logged, and do not hide the rest.
func TestOpenOddEntries(t *testing.T) {
	entry := func(number int, repository string) string {
		return fmt.Sprintf(`{"number":%d,"state":"open","repository":{"full_name":%q}}`, number, repository)
	}
	w := newWorld(t, githubfake.Options{})
	w.answer(githubfake.ListOrgAlerts, "["+strings.Join([]string{
		entry(1, "globex/shop"), entry(2, "acme"), entry(3, "acme/../x"), entry(0, "acme/shop"), `{}`, `null`,
		`{"number":5,"repository":null}`, `{"number":6,"repository":{"full_name":"ACME/Shop"}}`,
	}, ",")+"]")
	refs, err := w.list(t, time.Now())
	if err != nil || !slices.Equal(refs, []string{"acme/shop/6"}) {
		t.Errorf("got %v and error %v, want the one that is ours, though it has no time", refs, err)
	}
	if got := strings.Count(w.log.String(), "a listed alert is not of the organisation"); got != 7 {
		t.Errorf("the log tells of %d entries, want 7", got)
	}
}

// TestOpenLinks: only the cursor of a link is used, not its host.
func TestOpenLinks(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	w := newWorld(t, githubfake.Options{})
	w.AddFault(githubfake.Fault{
		Op: githubfake.ListOrgAlerts, Status: 200, Body: "[" + someAlert + "]",
		Header: map[string]string{"Link": "<" + elsewhere.URL + `/x?after=a%26page%3D9&per_page=1>; rel="next"`},
	})
	w.answer(githubfake.ListOrgAlerts, "[]")
	if refs, err := w.list(t, time.Time{}); err != nil || len(refs) != 1 {
		t.Errorf("got %v and error %v, want one alert", refs, err)
	}
	if asked.Load() > 0 {
		t.Error("the host of a link was asked")
	}
	query, _ := url.ParseQuery(w.Journal()[1].Query)
	if query.Get("after") != "a&page=9" || query.Get("per_page") != "100" || query.Has("page") {
		t.Errorf("the second call asks for %v, want the cursor alone to change", query)
	}
}

// TestOpenRepeats: an endless list is an error, in whatever way it repeats itself.
func TestOpenRepeats(t *testing.T) {
	links := map[string]func(n int) string{
		"the same cursor":       func(int) string { return "after=again" },
		"two cursors in turn":   func(n int) string { return fmt.Sprintf("after=%d", n%2) },
		"ever new cursors":      func(n int) string { return fmt.Sprintf("after=%d", n) },
		"numbers without end":   func(n int) string { return fmt.Sprintf("page=%d", n+2) },
		"a page that is itself": func(int) string { return "page=1" },
	}
	for name, link := range links {
		w := newWorld(t, githubfake.Options{})
		for n := range 20 {
			body := "[" + someAlert + "]"
			if name == "two cursors in turn" {
				body = strings.Replace(body, `"number":1`, fmt.Sprintf(`"number":%d`, n+1), 1)
			}
			w.AddFault(githubfake.Fault{
				Op: githubfake.ListOrgAlerts, Status: 200, Body: body,
				Header: map[string]string{"Link": `<https://x/?` + link(n) + `>; rel="next"`},
			})
		}
		if _, err := w.list(t, time.Time{}); err == nil || !strings.Contains(err.Error(), "repeat") {
			t.Errorf("%s: got %v, want that pages repeat", name, err)
		}
		if got := w.Count(githubfake.ListOrgAlerts, "", 0); got > 5 {
			t.Errorf("%s: got %d calls, want that it is left soon", name, got)
		}
	}
}

// TestOpenRefused: a list that we may not see is refused, not gone.
func TestOpenRefused(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	w.config.TokenFile = writeFile(t, w.AddToken(githubfake.Token{Organisations: []string{"globex"}}).Reveal())
	w.open(t)
	w.add(githubfake.Alert{})
	_, err := w.list(t, time.Time{})
	if !errors.Is(err, collect.ErrRefused) || errors.Is(err, collect.ErrGone) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

// TestOpenMissing: a missing list is not an empty one.
func TestOpenMissing(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	w.answer(githubfake.ListOrgAlerts, "null")
	if _, err := w.list(t, time.Time{}); err == nil {
		t.Error("got no error for null")
	}
}
