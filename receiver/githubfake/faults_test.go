package githubfake_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"stanch/receiver/githubfake"
	"stanch/receiver/outbound/vendorfake"
)

func TestFaults(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	server.AddAlert(githubfake.Alert{})
	read := func(number int64, want int) {
		t.Helper()
		_, response, err := c.SecretScanning.GetAlert(t.Context(), "acme", "shop", number)
		expect(t, "read", response, err, want)
	}
	server.AddFault(githubfake.Fault{Op: githubfake.GetAlert, Target: "ACME/shop", Number: 2, Skip: 1, Times: 2, Status: 500})
	for _, want := range []int{200, 500, 500, 200} {
		read(1, 200)
		read(2, want)
	}
	server.AddFault(vendorfake.BadGateway())
	read(1, 502)
	server.AddFault(githubfake.Fault{Times: vendorfake.Forever, Status: 503})
	read(1, 503)
	read(2, 503)
	server.ClearFaults()
	read(1, 200)
	for _, e := range server.Journal() {
		if e.By != "ours" {
			t.Errorf("got the event %+v, want the token's name", e)
		}
	}
}

func TestCommit(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	server.AddFault(githubfake.Fault{Op: githubfake.UpdateAlert, Status: 500, Commit: true})
	response, err := patch(t, c, firstAlert, map[string]any{"state": "resolved", "resolution": "revoked"})
	expect(t, "resolve", response, err, 500)
	if a, _ := server.Alert("acme/shop", 1); a.State != "resolved" {
		t.Errorf("got the state %q after the commit", a.State)
	}
	server.AddFault(githubfake.Fault{Op: githubfake.UpdateAlert, Cut: true, Commit: true})
	if response, err := patch(t, c, firstAlert, map[string]any{"state": "open"}); response != nil || err == nil {
		t.Errorf("cut: got %v and %v", response, err)
	}
	if a, _ := server.Alert("acme/shop", 1); a.State != "open" {
		t.Errorf("got the state %q after the cut", a.State)
	}
	if e := server.Journal()[1]; e.Status != 0 || !e.Changed || e.By != "ours" {
		t.Errorf("got the event %+v", e)
	}
}

func TestTruncate(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	server.AddFault(githubfake.Fault{Truncate: true})
	_, response, err := c.SecretScanning.GetAlert(t.Context(), "acme", "shop", 1)
	if err == nil || response.StatusCode != 200 {
		t.Errorf("got %v and %v, want 200 that cannot be read", response, err)
	}
}

func TestSlow(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	gate := make(chan struct{})
	server.AddFault(githubfake.Fault{Until: gate})
	answered := make(chan *github.Response)
	go func() {
		_, response, _ := c.SecretScanning.GetAlert(context.Background(), "acme", "shop", 1)
		answered <- response
	}()
	close(gate)
	if response := <-answered; response == nil || response.StatusCode != 200 {
		t.Errorf("got %v, want 200 in the end", response)
	}
	server.AddFault(githubfake.Fault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, _, err := c.SecretScanning.GetAlert(ctx, "acme", "shop", 1); err == nil {
		t.Error("got no error from a call that was given up")
	}
}

// A client that follows a redirect reaches the other host. net/http leaves the token out for another host name; a token
// that a transport adds is sent there.
func TestRedirect(t *testing.T) {
	var visits atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	defer elsewhere.Close()
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	for _, status := range []int{301, 302, 307} {
		server.AddFault(vendorfake.Redirect(status, elsewhere.URL))
		if _, err := get(t, c, firstAlert, nil); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
	if got := visits.Load(); got != 3 {
		t.Errorf("got %d visits elsewhere, want 3", got)
	}
}
