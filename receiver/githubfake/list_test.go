package githubfake_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"stanch/receiver/githubfake"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// addMany adds alerts 1 to n; the lower the number, the older. Every second one was changed two hours later.
func addMany(server *githubfake.Server, n int) {
	for i := range n {
		a := githubfake.Alert{CreatedAt: epoch.Add(time.Duration(i) * time.Minute)}
		if i%2 == 1 {
			a.UpdatedAt = a.CreatedAt.Add(2 * time.Hour)
		}
		server.AddAlert(a)
	}
}

func numbers(alerts []*github.SecretScanningAlert) []int {
	found := []int{}
	for _, a := range alerts {
		found = append(found, a.GetNumber())
	}
	return found
}

// list lists the alerts of acme with a query.
func list(t *testing.T, c *github.Client, query string) ([]int, *github.Response) {
	t.Helper()
	var alerts []*github.SecretScanningAlert
	response, err := get(t, c, "orgs/acme/secret-scanning/alerts?"+query, &alerts)
	expect(t, query, response, err, 200)
	return numbers(alerts), response
}

func TestListByPage(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	addMany(server, 5)
	options := &github.SecretScanningAlertListOptions{ListOptions: github.ListOptions{PerPage: 2}}
	var got []int
	for {
		alerts, response, err := c.SecretScanning.ListAlertsForOrg(t.Context(), "ACME", options)
		expect(t, "list", response, err, 200)
		got = append(got, numbers(alerts)...)
		if response.NextPage == 0 {
			break
		}
		options.ListOptions.Page = response.NextPage
	}
	if want := []int{5, 4, 3, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("got alerts %v, want %v", got, want)
	}
	_, response := list(t, c, "per_page=2&page=2")
	if response.PrevPage != 1 || response.FirstPage != 1 || response.LastPage != 3 || response.After != "" {
		t.Errorf("got links %+v", response.Header["Link"])
	}
	alerts, response, err := c.SecretScanning.ListAlertsForRepo(t.Context(), "acme", "shop", nil)
	expect(t, "list of the repository", response, err, 200)
	if len(alerts) != 5 || alerts[0].Repository != nil {
		t.Errorf("got %d alerts, the repository %v", len(alerts), alerts[0].Repository)
	}
}

// Paging by cursor loses nothing and shows nothing twice when alerts change on the way; paging by number does.
func TestListByCursor(t *testing.T) {
	server, c := start(t, githubfake.Options{Now: func() time.Time { return epoch.Add(24 * time.Hour) }})
	addMany(server, 6)
	query := "sort=updated&direction=asc&per_page=2&after="
	var got []int
	for cursor, more := "", true; more; {
		part, response := list(t, c, query+url.QueryEscape(cursor))
		got = append(got, part...)
		server.Act(githubfake.Touch, "acme/shop", 1, githubfake.Change{})
		cursor, more = response.After, response.After != ""
	}
	if want := []int{1, 3, 5, 2, 4, 6, 1}; !slices.Equal(got, want) {
		t.Errorf("got alerts %v, want %v: the changed one again at the end", got, want)
	}
	_, response := list(t, c, query)
	part, back := list(t, c, query+url.QueryEscape(response.After))
	if again, _ := list(t, c, "sort=updated&direction=asc&per_page=2&before="+url.QueryEscape(back.Before)); len(part) != 2 ||
		!slices.Equal(again, []int{3, 5}) {
		t.Errorf("got %v before the second page, want the first", again)
	}
}

func TestPageSize(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	addMany(server, 101)
	for query, want := range map[string]int{"": 30, "per_page=0": 30, "per_page=1000": 100, "per_page=7": 7} {
		if got, _ := list(t, c, query); len(got) != want {
			t.Errorf("%q: got a page of %d, want %d", query, len(got), want)
		}
	}
}

func TestListFilters(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{SecretType: "a", Validity: "active"})
	server.AddAlert(githubfake.Alert{SecretType: "b", State: "resolved", Resolution: "revoked"})
	server.AddAlert(githubfake.Alert{SecretType: "c", PubliclyLeaked: true, MultiRepo: true})
	server.AddAlert(githubfake.Alert{SecretType: "password", Generic: true})
	server.AddAlert(githubfake.Alert{Repository: "acme/other", Number: 7, AssignedTo: "ann"})
	server.AddAlert(githubfake.Alert{Repository: "rival/shop", Number: 9})
	server.AddAlert(githubfake.Alert{Repository: "acme/off", Number: 11})
	server.AddRepository(githubfake.Repository{Name: "acme/off", NoScanning: true})
	for _, row := range []struct {
		query string
		want  []int
	}{
		{"", []int{7, 3, 2, 1}},
		{"state=open", []int{7, 3, 1}},
		{"state=resolved", []int{2}},
		{"secret_type=a,password", []int{4, 1}},
		{"resolution=revoked,wont_fix", []int{2}},
		{"validity=active", []int{1}},
		{"is_publicly_leaked=true", []int{3}},
		{"is_multi_repo=true", []int{3}},
		{"assignee=ann", []int{7}},
		{"per_page=1", []int{7}},
		{"page=9", []int{}},
	} {
		if got, _ := list(t, c, row.query); !slices.Equal(got, row.want) {
			t.Errorf("%q: got alerts %v, want %v", row.query, got, row.want)
		}
	}
	for _, query := range []string{"state=closed", "sort=size", "direction=up", "after=x", "before=x", "is_multi_repo=yes"} {
		response, err := get(t, c, "orgs/acme/secret-scanning/alerts?"+query, nil)
		expect(t, query, response, err, 422)
	}
}

func TestHideSecret(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	number := server.AddAlert(githubfake.Alert{})
	paths := []string{
		"orgs/acme/secret-scanning/alerts", "repos/acme/shop/secret-scanning/alerts",
		fmt.Sprintf("repos/acme/shop/secret-scanning/alerts/%d", number),
	}
	for _, path := range paths {
		for query, want := range map[string]int{"?hide_secret=true": 0, "?hide_secret=false": 1, "": 1} {
			server.ClearJournal()
			response, err := get(t, c, path+query, nil)
			expect(t, path, response, err, 200)
			if e := server.Journal()[0]; e.Secrets != want || e.Query != trimmed(query) || e.By != "ours" {
				t.Errorf("%s%s: got the event %+v, want %d secrets", path, query, e, want)
			}
		}
	}
}

func trimmed(query string) string {
	if query == "" {
		return ""
	}
	return query[1:]
}

func TestLocations(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	var places []githubfake.Location
	for _, kind := range githubfake.LocationTypes() {
		places = append(places, githubfake.Location{Type: kind})
	}
	number := server.AddAlert(githubfake.Alert{Locations: places})
	var got []string
	options := &github.ListOptions{PerPage: 5}
	for {
		part, response, err := c.SecretScanning.ListLocationsForAlert(t.Context(), "acme", "shop", int64(number), options)
		expect(t, "locations", response, err, 200)
		for _, l := range part {
			got = append(got, l.GetType())
		}
		if options.Page = response.NextPage; options.Page == 0 {
			break
		}
	}
	if !slices.Equal(got, githubfake.LocationTypes()) || len(got) != 13 {
		t.Errorf("got the locations %q, want all 13", got)
	}
	if n := server.Count(githubfake.ListLocations, "acme/shop", int64(number)); n != 3 {
		t.Errorf("got %d calls, want 3 pages", n)
	}
	var raw []struct{ Details map[string]any }
	response, err := get(t, c, "repos/acme/shop/secret-scanning/alerts/1/locations", &raw)
	expect(t, "locations", response, err, 200)
	if raw[0].Details["start_line"] != 7.0 || raw[2].Details["issue_title_url"] == nil || len(raw[2].Details) != 1 {
		t.Errorf("got the details %v and %v", raw[0].Details, raw[2].Details)
	}
}

// The answer also has the fields that go-github does not know.
func TestFieldsBesides(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{
		SecretType: "t", Validity: "active", PubliclyLeaked: true, MultiRepo: true, Base64: true, BypassedBy: "ben",
		Locations: []githubfake.Location{{Path: ".env", Line: 3}, {Type: "wiki_commit", URL: "https://github.example/w"}},
	})
	var alerts []struct {
		Validity string
		Leaked   bool                   `json:"publicly_leaked"`
		Multi    bool                   `json:"multi_repo"`
		Base64   bool                   `json:"is_base64_encoded"`
		Bypassed *github.Timestamp      `json:"push_protection_bypassed_at"`
		First    map[string]any         `json:"first_location_detected"`
		More     bool                   `json:"has_more_locations"`
		Repo     struct{ Private bool } `json:"repository"`
	}
	response, err := get(t, c, "orgs/acme/secret-scanning/alerts", &alerts)
	expect(t, "list", response, err, 200)
	a := alerts[0]
	if a.Validity != "active" || !a.Leaked || !a.Multi || !a.Base64 || a.Bypassed == nil || !a.More || !a.Repo.Private ||
		a.First["path"] != ".env" || a.First["start_line"] != 3.0 {
		t.Errorf("got %+v", a)
	}
	places, response, err := c.SecretScanning.ListLocationsForAlert(t.Context(), "acme", "shop", 1, nil)
	expect(t, "locations", response, err, 200)
	if got := places[1].GetDetails().GetCommitURL(); got != "https://github.example/w" {
		t.Errorf("got the URL %q", got)
	}
}
