package githubfake_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-github/v60/github"

	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

// start starts a fake with a token that may do everything, and go-github on it.
func start(t *testing.T, o githubfake.Options) (*githubfake.Server, *github.Client) {
	t.Helper()
	server, err := githubfake.Start(o)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(server.Close)
	return server, client(t, server, server.AddToken(githubfake.Token{Name: "ours"}))
}

func client(t *testing.T, server *githubfake.Server, token leak.Secret) *github.Client {
	t.Helper()
	base, err := url.Parse(server.URL())
	if err != nil {
		t.Fatalf("parsing the fake's URL: %v", err)
	}
	c := github.NewClient(nil).WithAuthToken(token.Reveal())
	c.BaseURL = base
	return c
}

// expect fails the test unless a call was answered with a status and, below 300, without an error.
func expect(t *testing.T, what string, response *github.Response, err error, status int) {
	t.Helper()
	if response == nil {
		t.Fatalf("%s: no answer: %v", what, err)
	}
	if accepted := new(github.AcceptedError); errors.As(err, &accepted) {
		err = nil
	}
	if response.StatusCode != status || (err == nil) != (status < 300) {
		t.Fatalf("%s: answer %d and error %v, want %d", what, response.StatusCode, err, status)
	}
}

// patch sends an update with fields that go-github does not know.
func patch(t *testing.T, c *github.Client, path string, body map[string]any) (*github.Response, error) {
	t.Helper()
	request, err := c.NewRequest(http.MethodPatch, path, body)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	return c.Do(t.Context(), request, nil)
}

// get reads a path into a value and returns the answer.
func get(t *testing.T, c *github.Client, path string, into any) (*github.Response, error) {
	t.Helper()
	request, err := c.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	return c.Do(context.Background(), request, into)
}

func TestLifeOfAnAlert(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	secret := leak.NewSecret("acme_0123456789")
	number := server.AddAlert(githubfake.Alert{Repository: "Acme/Shop", Secret: secret, SecretType: "acme_key"})
	got, response, err := c.SecretScanning.GetAlert(t.Context(), "acme", "shop", int64(number))
	expect(t, "get", response, err, 200)
	if got.GetSecret() != secret.Reveal() || got.GetState() != "open" || got.GetSecretType() != "acme_key" || got.Resolution != nil {
		t.Errorf("got %d, %q, %q, resolution %v", got.GetNumber(), got.GetState(), got.GetSecretType(), got.Resolution)
	}
	revoked := "revoked"
	options := &github.SecretScanningAlertUpdateOptions{State: "resolved", Resolution: &revoked}
	got, response, err = c.SecretScanning.UpdateAlert(t.Context(), "acme", "shop", int64(number), options)
	expect(t, "resolve", response, err, 200)
	if got.GetResolution() != "revoked" || got.GetResolvedBy().GetLogin() != githubfake.Admin || got.GetResolvedAt().IsZero() {
		t.Errorf("resolved as %q by %q at %v", got.GetResolution(), got.GetResolvedBy().GetLogin(), got.GetResolvedAt())
	}
	_, response, err = c.SecretScanning.UpdateAlert(t.Context(), "acme", "shop", int64(number), options)
	expect(t, "resolve again", response, err, 400)
	_, response, err = c.SecretScanning.UpdateAlert(t.Context(), "acme", "shop", int64(number), &github.SecretScanningAlertUpdateOptions{State: "open"})
	expect(t, "reopen", response, err, 200)
	if a, _ := server.Alert("acme/shop", number); a.State != "open" || a.Resolution != "" || !a.ResolvedAt.IsZero() {
		t.Errorf("reopened as %+v", a)
	}
	if got := server.Count(githubfake.UpdateAlert, "acme/shop", int64(number)); got != 3 {
		t.Errorf("got %d updates in the journal, want 3", got)
	}
	server.Remove("acme/shop", number)
	_, response, err = c.SecretScanning.GetAlert(t.Context(), "acme", "shop", int64(number))
	expect(t, "get what is gone", response, err, 404)
}
