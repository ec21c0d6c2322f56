package githubapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"stanch/receiver/collect"
	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// planted is a secret that must appear only in a Content.
var planted = leak.NewSecret("acme_planted_7f3a9c")

const alertPage = "https://github.example/acme/shop/security/secret-scanning/1"

// add adds an alert of acme/shop with the planted secret, and returns its ref.
func (w *world) add(a githubfake.Alert) string {
	a.Repository, a.Secret = "Acme/Shop", planted
	return fmt.Sprintf("acme/shop/%d", w.AddAlert(a))
}

func (w *world) mustFetch(t *testing.T, ref string) []leak.Content {
	t.Helper()
	found, err := w.vendor.Fetch(t.Context(), ref)
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	return found
}

// silent fails the test if the log or a text shows a secret.
func (w *world) silent(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range append(texts, w.log.String()) {
		for _, value := range []string{planted.Reveal(), w.token.Reveal(), "PRIVATE KEY", "ghs_", "://"} {
			if value != "" && strings.Contains(text, value) {
				t.Errorf("%q is shown in %q", value, text)
			}
		}
	}
}

func TestFetch(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	ref := w.add(githubfake.Alert{
		SecretType: "acme_custom", Validity: "active", PubliclyLeaked: true, MultiRepo: true,
		Locations: []githubfake.Location{{Path: "a b/%41#?.env", Line: 12}},
	})
	found := w.mustFetch(t, ref)
	if len(found) != 1 {
		t.Fatalf("got %d contents, want 1", len(found))
	}
	got := found[0]
	if !got.Secret.Equal(planted) {
		t.Error("the content does not hold the secret")
	}
	got.Secret = leak.Secret{}
	want := leak.Content{
		Type: "acme_custom", Place: "commit", Ref: "acme/shop/1",
		URL:   "https://github.example/Acme/Shop/blob/4a5b6c7d8e9f00112233445566778899aabbccdd/a%20b/%2541%23%3F.env#L12",
		Marks: leak.Marks{Public: true, Several: true, Validity: "active"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if printed := fmt.Sprintf("%+v %#v", found, found); strings.Contains(printed, planted.Reveal()) {
		t.Error("a printed content shows the secret")
	}
	w.silent(t)
}

// TestFetchPlaces checks what each type of GitHub's locations becomes.
func TestFetchPlaces(t *testing.T) {
	const repository = "https://github.example/Acme/Shop"
	page := repository + "/security/secret-scanning/1"
	want := map[string]string{
		"commit":                      repository + "/blob/4a5b6c7d8e9f00112233445566778899aabbccdd/config/settings.env#L7",
		"wiki_commit":                 repository + "/wiki/Home",
		"issue_title":                 repository + "/issues/12",
		"issue_body":                  repository + "/issues/12",
		"issue_comment":               page + "#issues/comments/3456",
		"discussion_title":            repository + "/discussions/21",
		"discussion_body":             repository + "/discussions/21#discussion-4567",
		"discussion_comment":          repository + "/discussions/21#discussioncomment-5678",
		"pull_request_title":          repository + "/pull/34",
		"pull_request_body":           repository + "/pull/34",
		"pull_request_comment":        page + "#issues/comments/6789",
		"pull_request_review":         repository + "/pull/34#pullrequestreview-56",
		"pull_request_review_comment": page + "#pulls/comments/78",
	}
	w := newWorld(t, githubfake.Options{})
	var locations []githubfake.Location
	for _, kind := range githubfake.LocationTypes() {
		locations = append(locations, githubfake.Location{Type: kind})
	}
	for _, c := range w.mustFetch(t, w.add(githubfake.Alert{Locations: locations})) {
		if c.URL != want[c.Place] {
			t.Errorf("%s: got %q, want %q", c.Place, c.URL, want[c.Place])
		}
		delete(want, c.Place)
	}
	if len(want) > 0 {
		t.Errorf("no content for %v", want)
	}
}

// TestFetchOddPlaces: a link that leads nowhere, or to another host, is replaced by the alert's own page.
func TestFetchOddPlaces(t *testing.T) {
	for name, row := range map[string]struct{ location, want string }{
		"new type":              {`{"type":"moon_base","details":{"moon_base_url":"` + "https://github.example/acme/moon" + `"}}`, "https://github.example/acme/moon"},
		"new type, no URL":      {`{"type":"moon_base","details":{"crater":7}}`, alertPage},
		"no details":            {`{"type":"commit"}`, alertPage},
		"null details":          {`{"type":"issue_title","details":null}`, alertPage},
		"commit without a path": {`{"type":"commit","details":{"commit_sha":"c0ffee"}}`, alertPage},
		"no line": {
			`{"type":"commit","details":{"commit_sha":"c0ffee","path":"/x"}}`, "https://github.example/acme/shop/blob/c0ffee/x",
		},
		"line is no number": {
			`{"type":"commit","details":{"commit_sha":"c0ffee","path":"x","start_line":"7"}}`,
			"https://github.example/acme/shop/blob/c0ffee/x",
		},
		"another host":       {`{"type":"discussion_title","details":{"discussion_title_url":"https://evil.example/x"}}`, alertPage},
		"no web page":        {`{"type":"discussion_title","details":{"discussion_title_url":"javascript:alert(1)"}}`, alertPage},
		"no URL":             {`{"type":"issue_title","details":{"issue_title_url":":"}}`, alertPage},
		"Enterprise Server":  {`{"type":"issue_title","details":{"issue_title_url":"https://github.example/api/v3/repos/a/b/issues/5"}}`, "https://github.example/acme/shop/issues/5"},
		"only API":           {`{"type":"issue_title","details":{"issue_title_url":"https://api.github.example/repos/a/b/issues/5/events"}}`, alertPage + "#issues/5/events"},
		"URL is no text":     {`{"type":"issue_title","details":{"issue_title_url":5}}`, alertPage},
		"type is another's":  {`{"type":"issue_title","details":{"pull_request_title_url":"https://api.github.example/repos/a/b/pulls/5"}}`, alertPage},
		"no type whatsoever": {`{}`, alertPage},
	} {
		w := newWorld(t, githubfake.Options{})
		ref := w.add(githubfake.Alert{})
		w.answer(githubfake.GetAlert, `{"number":1,"secret":"s","html_url":"`+alertPage+`"}`)
		w.answer(githubfake.ListLocations, "["+row.location+"]")
		if got := w.mustFetch(t, ref); len(got) != 1 || got[0].URL != row.want {
			t.Errorf("%s: got %d contents, the first %+v, want the URL %q", name, len(got), got[0], row.want)
		}
	}
}

// answer makes every call of an operation answer 200 with this body.
func (w *world) answer(op githubfake.Operation, body string) {
	w.AddFault(githubfake.Fault{Op: op, Times: vendorfake.Forever, Status: http.StatusOK, Body: body})
}

// TestFetchOddAlerts: only the number and the secret are needed.
func TestFetchOddAlerts(t *testing.T) {
	for name, row := range map[string]struct {
		body string
		want leak.Content
	}{
		"nothing else": {`{"number":1,"secret":"s"}`, leak.Content{}},
		"null":         {`{"number":1,"secret":"s","html_url":null,"validity":null,"publicly_leaked":null,"secret_type":null}`, leak.Content{}},
		"new validity": {`{"number":1,"secret":"s","validity":"zombie","html_url":"javascript:x"}`, leak.Content{}},
		"first place": {
			`{"number":1,"secret":"s","html_url":"` + alertPage + `","first_location_detected":{"issue_body_url":"https://api.github.example/repos/a/b/issues/9"}}`,
			leak.Content{Place: "issue_body", URL: "https://github.example/acme/shop/issues/9"},
		},
		"first commit": {
			`{"number":1,"secret":"s","html_url":"` + alertPage + `","first_location_detected":` +
				`{"commit_sha":"c0ffee","path":"x","blob_url":"b","commit_url":"c","start_line":3}}`,
			leak.Content{Place: "commit", URL: "https://github.example/acme/shop/blob/c0ffee/x#L3"},
		},
		"first wiki page": {
			`{"number":1,"secret":"s","html_url":"` + alertPage + `","first_location_detected":` +
				`{"commit_sha":"c0ffee","path":"x","commit_url":"c","page_url":"https://github.example/acme/shop/wiki/X"}}`,
			leak.Content{Place: "wiki_commit", URL: "https://github.example/acme/shop/wiki/X"},
		},
	} {
		w := newWorld(t, githubfake.Options{})
		ref := w.add(githubfake.Alert{})
		w.answer(githubfake.GetAlert, row.body)
		got := w.mustFetch(t, ref)
		if len(got) != 1 || got[0].Secret.Reveal() != "s" || got[0].URL != row.want.URL || got[0].Place != row.want.Place || got[0].Marks != row.want.Marks {
			t.Errorf("%s: got %+v, want one content with the secret and %+v", name, got, row.want)
		}
	}
}

// TestFetchWithoutPlaces: containment does not wait for the places.
func TestFetchWithoutPlaces(t *testing.T) {
	for name, fault := range map[string]githubfake.Fault{
		"500":       {Status: 500},
		"404":       {Status: 404, Body: `{"message":"Not Found"}`},
		"throttled": githubfake.SecondaryLimit(http.StatusForbidden, "60"),
		"null":      {Status: 200, Body: "null"},
	} {
		w := newWorld(t, githubfake.Options{})
		ref := w.add(githubfake.Alert{Locations: []githubfake.Location{{}, {Type: "issue_title"}}})
		fault.Op, fault.Times = githubfake.ListLocations, vendorfake.Forever
		w.AddFault(fault)
		got := w.mustFetch(t, ref)
		if len(got) != 1 || !got[0].Secret.Equal(planted) || got[0].Place != "commit" {
			t.Errorf("%s: got %+v, want one content with the secret and the first place", name, got)
		}
		if log := w.log.String(); !strings.Contains(log, "the places of an alert are not known") {
			t.Errorf("%s: the log does not tell of it: %q", name, log)
		}
		w.silent(t)
	}
}

// TestFetchManyPlaces: the places of one alert are bounded, and no page beyond them is fetched.
func TestFetchManyPlaces(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	var locations []githubfake.Location
	for n := range 250 {
		locations = append(locations, githubfake.Location{Line: n + 1})
	}
	if got := w.mustFetch(t, w.add(githubfake.Alert{Locations: locations})); len(got) != 100 {
		t.Errorf("got %d contents, want 100", len(got))
	}
	if got := w.Count(githubfake.ListLocations, "", 0); got != 1 {
		t.Errorf("got %d calls for places, want 1", got)
	}
}

// TestFetchWithoutSecret: the error says which right our token lacks.
func TestFetchWithoutSecret(t *testing.T) {
	for name, body := range map[string]string{
		"left out": `{"number":1}`, "null": `{"number":1,"secret":null}`, "empty": `{"number":1,"secret":""}`,
	} {
		w := newWorld(t, githubfake.Options{})
		ref := w.add(githubfake.Alert{})
		w.answer(githubfake.GetAlert, body)
		_, err := w.vendor.Fetch(t.Context(), ref)
		if !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "security_events") {
			t.Errorf("%s: got %v, want ErrRefused that names the scope", name, err)
		}
	}
}

// TestFetchAnother: an answer about another alert, or with a secret that is not text, is an error.
func TestFetchAnother(t *testing.T) {
	for _, body := range []string{`{"number":2,"secret":"s"}`, `{"number":1,"secret":{"planted":"x"}}`, `{"number":1,"secret":7}`} {
		w := newWorld(t, githubfake.Options{})
		ref := w.add(githubfake.Alert{})
		w.answer(githubfake.GetAlert, body)
		if found, err := w.vendor.Fetch(t.Context(), ref); err == nil || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: got %d contents and error %v, want an error that shows nothing", body, len(found), err)
		}
	}
}

// TestFetchAsks: one alert costs two calls, both to the configured server.
func TestFetchAsks(t *testing.T) {
	w := newWorld(t, githubfake.Options{Enterprise: true})
	w.mustFetch(t, w.add(githubfake.Alert{Locations: []githubfake.Location{{}}}))
	var got []githubfake.Operation
	for _, e := range w.Journal() {
		got = append(got, e.Op)
		if e.By != "ours" || e.Status != http.StatusOK {
			t.Errorf("%s was asked by %q and answered %d", e.Op, e.By, e.Status)
		}
	}
	if want := []githubfake.Operation{githubfake.GetAlert, githubfake.ListLocations}; !slices.Equal(got, want) {
		t.Errorf("asked %v, want %v", got, want)
	}
}
