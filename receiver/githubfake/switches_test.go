package githubfake_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

func TestPositions(t *testing.T) {
	fake := githubfake.New(githubfake.Options{})
	defer fake.Close()
	positions := githubfake.Positions()
	if positions[0] != fake.Switches() || len(positions) != 14 {
		t.Errorf("got %d positions, the first %+v, want 14 and %+v", len(positions), positions[0], fake.Switches())
	}
	seen := map[githubfake.Switches]bool{}
	for _, s := range positions {
		fake.SetSwitches(s)
		if seen[s] || fake.Switches() != s {
			t.Errorf("%+v comes twice, or is not kept", s)
		}
		seen[s] = true
	}
}

// The position of Cursors decides which link a listing has; go-github cannot ask with an empty cursor.
func TestCursors(t *testing.T) {
	for _, row := range []struct {
		position, query string
		cursor          bool
	}{
		{"", "", false},
		{"", "after=", true},
		{"", "before=", true},
		{"always", "", true},
		{"always", "page=1", false},
		{"never", "", false},
		{"never", "after=", false},
	} {
		server, c := start(t, githubfake.Options{Switches: githubfake.Switches{Cursors: row.position}})
		addMany(server, 31)
		_, response := list(t, c, row.query)
		if (response.After != "") != row.cursor || (response.NextPage == 2) == row.cursor {
			t.Errorf("%q, %q: got the links %q", row.position, row.query, response.Header["Link"])
		}
		server.Close()
	}
}

// The signature is the one of GitHub's published example.
func TestHeader(t *testing.T) {
	header := githubfake.Header("push", "guid", leak.NewSecret("It's a Secret to Everybody"), []byte("Hello, World!"))
	want := "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := header.Get("X-Hub-Signature-256"); got != want {
		t.Errorf("got the signature %s, want %s", got, want)
	}
}

// Printing an alert of go-github's prints its secret.
func TestAlertOfGoGitHubPrints(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{Secret: leak.NewSecret("planted-token")})
	alert, response, err := c.SecretScanning.GetAlert(t.Context(), "acme", "shop", 1)
	expect(t, "get", response, err, 200)
	if got := github.Stringify(alert); !strings.Contains(got, "planted-token") {
		t.Errorf("got %s: it can be printed by now", got)
	}
	ours, _ := server.Alert("acme/shop", 1)
	if got := fmt.Sprintf("%+v %#v", ours, server.Alerts()); strings.Contains(got, "planted-token") {
		t.Error("an alert of the fake prints its secret")
	}
}

// URLs in bodies name hosts that do not exist.
func TestBodyURLs(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	alert, response, err := c.SecretScanning.GetAlert(t.Context(), "acme", "shop", 1)
	expect(t, "get", response, err, 200)
	for _, url := range []string{alert.GetURL(), alert.GetHTMLURL(), alert.GetLocationsURL()} {
		if !strings.HasPrefix(url, "https://github.example/") && !strings.HasPrefix(url, "https://api.github.example/") {
			t.Errorf("got the URL %s", url)
		}
	}
}

// A page of a hundred thousand alerts costs no more than a page of a hundred.
func BenchmarkPage(b *testing.B) {
	server, err := githubfake.Start(githubfake.Options{RateLimit: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	addMany(server, 100_000)
	c := github.NewClient(nil).WithAuthToken(server.AddToken(githubfake.Token{}).Reveal())
	if c, err = c.WithEnterpriseURLs(server.URL(), server.URL()); err != nil {
		b.Fatal(err)
	}
	c.BaseURL.Path = "/"
	options := &github.SecretScanningAlertListOptions{ListOptions: github.ListOptions{PerPage: 100, Page: 500}}
	for b.Loop() {
		alerts, _, err := c.SecretScanning.ListAlertsForOrg(b.Context(), "acme", options)
		if err != nil || len(alerts) != 100 {
			b.Fatalf("got %d alerts and %v", len(alerts), err)
		}
	}
}
