package githubapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubapi"
	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

// TestTokenFile: a token that is refused is read again from its file, once.
func TestTokenFile(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	ref := w.add(githubfake.Alert{})
	w.RevokeTokens()
	if _, err := w.vendor.Fetch(t.Context(), ref); !errors.Is(err, leak.ErrCredential) {
		t.Errorf("got %v with a token that was revoked, want ErrCredential", err)
	}
	if got := w.Count(githubfake.GetAlert, "", 0); got != 1 {
		t.Errorf("got %d calls, want 1: the file holds no other token", got)
	}
	next := w.AddToken(githubfake.Token{Name: "next"})
	if err := os.WriteFile(w.config.TokenFile, []byte(next.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	w.mustFetch(t, ref)
	if by := w.Journal()[len(w.Journal())-1].By; by != "next" {
		t.Errorf("the last call is by %q, want next", by)
	}
	w.ClearJournal()
	w.mustFetch(t, ref)
	for _, e := range w.Journal() {
		if e.Status == http.StatusUnauthorized {
			t.Error("the old token is sent again")
		}
	}
	w.silent(t)
}

// TestTokenFileRefused: the next token in the file may be wrong as well.
func TestTokenFileRefused(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"gone":    os.Remove,
		"empty":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"unknown": func(path string) error { return os.WriteFile(path, []byte("ghp_other"), 0o600) },
	} {
		w := newWorld(t, githubfake.Options{})
		ref := w.add(githubfake.Alert{})
		w.RevokeTokens()
		if err := change(w.config.TokenFile); err != nil {
			t.Fatal(err)
		}
		_, err := w.vendor.Fetch(t.Context(), ref)
		if !errors.Is(err, leak.ErrCredential) {
			t.Errorf("%s: got %v, want ErrCredential", name, err)
		}
		if got := w.Count(githubfake.GetAlert, "", 0); got > 2 {
			t.Errorf("%s: got %d calls, want 2 at most", name, got)
		}
	}
}

func TestOpenVendorRefuses(t *testing.T) {
	good := newAppWorld(t, githubfake.Options{}, githubfake.App{})
	for name, spoil := range map[string]func(w *world){
		"no token file":    func(w *world) { w.config.App, w.config.TokenFile = nil, "" },
		"no such file":     func(w *world) { w.config.App, w.config.TokenFile = nil, t.TempDir()+"/none" },
		"no private key":   func(w *world) { w.config.App.PrivateKeyFile = writeFile(t, planted.Reveal()) },
		"another protocol": func(w *world) { w.config.URL = "ftp://x" },
		"no organisation":  func(w *world) { w.organization = "../user" },
	} {
		w := &world{Server: good.Server, config: good.config, organization: good.organization, log: new(strings.Builder)}
		app := *good.config.App
		w.config.App = &app
		spoil(w)
		vendor, err := githubapi.Open(w.config, sourceName, w.organization, slog.New(slog.DiscardHandler))
		if err == nil || vendor != nil {
			t.Errorf("%s: got no error", name)
			continue
		}
		good.silent(t, err.Error())
	}
	if calls := good.Count("", "", 0); calls > 0 {
		t.Errorf("OpenVendor asked %d times, want never", calls)
	}
}

// TestApp: an App's installation and tokens are fetched when they are needed, and used again.
func TestApp(t *testing.T) {
	w := newAppWorld(t, githubfake.Options{}, githubfake.App{})
	ref := w.add(githubfake.Alert{})
	w.mustFetch(t, ref)
	w.mustFetch(t, ref)
	if err := w.vendor.Resolve(t.Context(), ref, "dead"); err != nil {
		t.Fatalf("Resolve: %v", err)
	}
	if got := w.Count(githubfake.GetInstallation, "acme", 0); got != 1 {
		t.Errorf("the installation was looked up %d times, want once", got)
	}
	if got := w.Count(githubfake.CreateToken, "", 0); got != 2 {
		t.Errorf("got %d tokens, want 2: one that reads and one that writes", got)
	}
	w.silent(t)
}

// TestAppReads: an App that may only read alerts reads them.
func TestAppReads(t *testing.T) {
	w := newAppWorld(t, githubfake.Options{}, githubfake.App{Granted: map[string]string{"secret_scanning_alerts": "read"}})
	ref := w.add(githubfake.Alert{})
	w.mustFetch(t, ref)
	err := w.vendor.Resolve(t.Context(), ref, "dead")
	if !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "secret_scanning_alerts: write") {
		t.Errorf("got %v, want ErrRefused that names the permission", err)
	}
}

// TestAppInstallation: a configured installation is not looked up, and a wrong one is refused with a helpful error.
func TestAppInstallation(t *testing.T) {
	w := newAppWorld(t, githubfake.Options{}, githubfake.App{})
	ref := w.add(githubfake.Alert{})
	w.config.App.Installation = 4711
	w.open(t)
	_, err := w.vendor.Fetch(t.Context(), ref)
	if !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "installation") {
		t.Errorf("got %v, want ErrRefused about the installation", err)
	}
	if got := w.Count(githubfake.GetInstallation, "", 0); got != 0 {
		t.Errorf("the installation was looked up %d times, want never", got)
	}
}

func TestAppRefused(t *testing.T) {
	t.Run("not installed", func(t *testing.T) {
		w := newAppWorld(t, githubfake.Options{}, githubfake.App{Organisations: []string{"globex"}})
		_, err := w.vendor.Fetch(t.Context(), w.add(githubfake.Alert{}))
		if !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "not installed") {
			t.Errorf("got %v, want ErrRefused about the installation", err)
		}
	})
	t.Run("suspended", func(t *testing.T) {
		w := newAppWorld(t, githubfake.Options{}, githubfake.App{})
		ref := w.add(githubfake.Alert{})
		w.Suspend("acme", true)
		_, err := w.vendor.Fetch(t.Context(), ref)
		if !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "suspended") {
			t.Errorf("got %v, want ErrRefused that says suspended", err)
		}
		w.Suspend("acme", false)
		w.mustFetch(t, ref)
	})
	t.Run("clock", func(t *testing.T) {
		w := newAppWorld(t, githubfake.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }}, githubfake.App{})
		if _, err := w.vendor.Fetch(t.Context(), w.add(githubfake.Alert{})); !errors.Is(err, leak.ErrCredential) {
			t.Errorf("got %v with a clock that is an hour ahead, want ErrCredential", err)
		}
	})
}

// TestAppDrift: GitHub's clock may be behind ours a little.
func TestAppDrift(t *testing.T) {
	for _, drift := range []time.Duration{-50 * time.Second, 50 * time.Second} {
		w := newAppWorld(t, githubfake.Options{Now: func() time.Time { return time.Now().Add(drift) }}, githubfake.App{})
		w.mustFetch(t, w.add(githubfake.Alert{}))
	}
}

// TestAppTokenRenewed: a token is used until five minutes before its end, and dropped when it is refused.
func TestAppTokenRenewed(t *testing.T) {
	for name, row := range map[string]struct {
		life time.Duration
		want int
	}{
		"long enough": {6 * time.Minute, 1},
		"too short":   {4 * time.Minute, 4}, // two calls each
	} {
		w := newAppWorld(t, githubfake.Options{TokenLife: row.life}, githubfake.App{})
		ref := w.add(githubfake.Alert{})
		w.mustFetch(t, ref)
		w.mustFetch(t, ref)
		if got := w.Count(githubfake.CreateToken, "", 0); got != row.want {
			t.Errorf("%s: got %d tokens for two alerts, want %d", name, got, row.want)
		}
	}
	w := newAppWorld(t, githubfake.Options{}, githubfake.App{})
	ref := w.add(githubfake.Alert{})
	w.mustFetch(t, ref)
	w.RevokeTokens()
	w.mustFetch(t, ref)
	if got := w.Count(githubfake.CreateToken, "", 0); got != 2 {
		t.Errorf("got %d tokens, want another one after the first was refused", got)
	}
}

// TestAppTokenShared: calls that need a token at the same time share one, and each waits no longer than its context.
func TestAppTokenShared(t *testing.T) {
	w := newAppWorld(t, githubfake.Options{}, githubfake.App{})
	ref := w.add(githubfake.Alert{})
	release := make(chan struct{})
	w.AddFault(githubfake.Fault{Op: githubfake.CreateToken, Until: release})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := w.vendor.Fetch(ctx, ref); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v from who gave up, want context.Canceled", err)
		}
	})
	for w.Count(githubfake.GetInstallation, "", 0) == 0 {
		runtime.Gosched() // the first one has the lead
	}
	for range 20 {
		group.Go(func() {
			if _, err := w.vendor.Fetch(t.Context(), ref); err != nil {
				t.Errorf("Fetch: %v", err)
			}
		})
	}
	cancel()
	close(release)
	group.Wait()
	if got := w.Count(githubfake.CreateToken, "", 0); got != 1 {
		t.Errorf("got %d tokens, want one for all", got)
	}
}

// TestAppFormats: long tokens are accepted, and malformed ones are not sent.
func TestAppFormats(t *testing.T) {
	for name, token := range map[string]string{
		"none": `null`, "empty": `""`, "with a line break": `"ghs_a\nb"`, "a number": `7`,
	} {
		w := newAppWorld(t, githubfake.Options{}, githubfake.App{})
		w.AddFault(githubfake.Fault{Op: githubfake.CreateToken, Status: 201, Body: `{"token":` + token + `,"expires_at":"2126-01-01T00:00:00Z"}`})
		if _, err := w.vendor.Fetch(t.Context(), w.add(githubfake.Alert{})); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if got := w.Count(githubfake.GetAlert, "", 0); got != 0 {
			t.Errorf("%s: an alert was asked for", name)
		}
	}
}
