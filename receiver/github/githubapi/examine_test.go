package githubapi_test

import (
	"strings"
	"testing"
	"time"

	"stanch/receiver"
	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

// examine returns the findings, by check.
func (w *world) examine(t *testing.T) map[string]leak.Finding {
	t.Helper()
	found := map[string]leak.Finding{}
	for _, f := range w.vendor.(receiver.Examiner).Examine(t.Context()) {
		found[f.Check] = f
		w.silent(t, f.Text)
	}
	return found
}

// mustFind fails the test unless a check has this result, and its text says so.
func mustFind(t *testing.T, found map[string]leak.Finding, check string, want leak.Result, text string) {
	t.Helper()
	if got := found[check]; got.Result != want || !strings.Contains(got.Text, text) {
		t.Errorf("%s: got %s: %s, want %s and %q", check, got.Result, got.Text, want, text)
	}
}

func TestExamine(t *testing.T) {
	w, r := newWorld(t, githubfake.Options{}), newReceiver(t)
	w.AddHook(githubfake.Hook{URL: r.url, Secret: planted})
	w.add(githubfake.Alert{})
	w.raise(1)
	found := w.examine(t)
	mustFind(t, found, "credential", leak.Good, "acme-admin's, with the scopes repo, security_events, admin:org_hook")
	mustFind(t, found, "expiry of our token", leak.Good, "none")
	mustFind(t, found, "listing alerts", leak.Good, "acme")
	mustFind(t, found, "seeing secrets", leak.Good, "with its secret")
	mustFind(t, found, "hook", leak.Good, "turned on")
	mustFind(t, found, "hook content type", leak.Good, "JSON")
	mustFind(t, found, "deliveries", leak.Good, "all arrived")
	mustFind(t, found, "rate limit", leak.Good, "of 5000")
	mustFind(t, found, "clock", leak.Good, "agrees")
	for check, f := range found {
		if f.Result != leak.Good {
			t.Errorf("%s: got %s: %s, want all to be good", check, f.Result, f.Text)
		}
	}
	for _, e := range w.Journal() {
		if e.Changed || e.Op == githubfake.Redeliver {
			t.Errorf("an examination did %s", e.Op)
		}
	}
}

func TestExamineApp(t *testing.T) {
	r := newReceiver(t)
	w := newAppWorld(t, githubfake.Options{}, githubfake.App{Slug: "leak-stopper", Hook: githubfake.Hook{URL: r.url, Secret: planted}})
	w.raise(1)
	found := w.examine(t)
	mustFind(t, found, "credential", leak.Good, "leak-stopper")
	mustFind(t, found, "seeing secrets", leak.Good, "with its secret")
	mustFind(t, found, "hook", leak.Good, "the App's hook")
	mustFind(t, found, "deliveries", leak.Good, "all arrived")
	w = newAppWorld(t, githubfake.Options{}, githubfake.App{Granted: map[string]string{"secret_scanning_alerts": "read"}})
	mustFind(t, w.examine(t), "closing alerts", leak.Doubt, "secret_scanning_alerts: write")
	w = newAppWorld(t, githubfake.Options{}, githubfake.App{Granted: map[string]string{}})
	mustFind(t, w.examine(t), "reading alerts", leak.Broken, "secret_scanning_alerts: read")
	w.config.App.ID = "4711"
	w.open(t)
	found = w.examine(t)
	mustFind(t, found, "credential", leak.Broken, "asking who we are")
	mustFind(t, found, "clock", leak.Good, "agrees") // which may be why a claim is refused
}

// TestExamineHook: a hook whose setup loses alerts is reported.
func TestExamineHook(t *testing.T) {
	for name, row := range map[string]struct {
		hook  githubfake.Hook
		check string
		want  leak.Result
		text  string
	}{
		"off":          {githubfake.Hook{Inactive: true, Secret: planted}, "hook", leak.Broken, "turned off"},
		"unsigned":     {githubfake.Hook{}, "hook", leak.Broken, "no secret"},
		"other events": {githubfake.Hook{Events: []string{"push"}, Secret: planted}, "hook", leak.Broken, "secret_scanning_alert"},
		"no places": {
			githubfake.Hook{Events: []string{"secret_scanning_alert"}, Secret: planted}, "hook", leak.Doubt, "secret_scanning_alert_location",
		},
		"everything": {githubfake.Hook{Events: []string{"*"}, Secret: planted}, "hook", leak.Good, "turned on"},
		"forms":      {githubfake.Hook{Form: true, Secret: planted}, "hook content type", leak.Good, "forms"},
		"no ping":    {githubfake.Hook{Secret: planted}, "deliveries", leak.Doubt, "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, githubfake.Options{})
			row.hook.URL = ourHook.URL
			w.AddHook(row.hook)
			mustFind(t, w.examine(t), row.check, row.want, row.text)
		})
	}
	t.Run("no certificates", func(t *testing.T) {
		for ssl, want := range map[string]leak.Result{`"1"`: leak.Doubt, `1`: leak.Doubt, `"0"`: "", `0`: "", `null`: ""} {
			w := newWorld(t, githubfake.Options{})
			w.answer(githubfake.ListHooks, `[{"id":7,"active":true,"config":{"url":"`+ourHook.URL+`","insecure_ssl":`+ssl+`}}]`)
			if got := w.examine(t)["hook certificates"].Result; got != want {
				t.Errorf("insecure_ssl %s: got %q, want %q", ssl, got, want)
			}
		}
	})
	t.Run("none", func(t *testing.T) {
		w := newWorld(t, githubfake.Options{})
		w.add(githubfake.Alert{})
		mustFind(t, w.examine(t), "hook", leak.Doubt, "/hooks/"+sourceName)
	})
}

func TestExamineDeliveries(t *testing.T) {
	w, r := newWorld(t, githubfake.Options{}), newReceiver(t)
	w.AddHook(githubfake.Hook{URL: r.url})
	r.down.Store(true)
	w.raise(2)
	mustFind(t, w.examine(t), "deliveries", leak.Broken, "the last 2")
	r.down.Store(false)
	w.raise(1)
	mustFind(t, w.examine(t), "deliveries", leak.Doubt, "2 of the last 3")
}

// TestExamineCredential: a fault of the token is reported, and ends the examination if nothing works without it.
func TestExamineCredential(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	w.RevokeTokens()
	found := w.examine(t)
	mustFind(t, found, "credential", leak.Broken, "401")
	if _, asked := found["listing alerts"]; asked {
		t.Error("alerts are asked for although GitHub does not know us")
	}
	for name, row := range map[string]struct {
		token githubfake.Token
		check string
		want  leak.Result
		text  string
	}{
		"no scope":         {githubfake.Token{Scopes: []string{"gist"}}, "listing alerts", leak.Broken, "one of: repo, security_events"},
		"expires soon":     {githubfake.Token{ExpiresAt: time.Now().Add(50 * time.Hour)}, "expiry of our token", leak.Doubt, "expires on"},
		"expires late":     {githubfake.Token{ExpiresAt: time.Now().Add(5000 * time.Hour)}, "expiry of our token", leak.Good, "expires on"},
		"no hooks":         {githubfake.Token{Scopes: []string{"repo"}}, "hook", leak.Doubt, "found by the sweep only"},
		"fine-grained":     {githubfake.Token{Permissions: map[string]string{"secret_scanning_alerts": "read"}}, "credential", leak.Good, "of its own"},
		"of somebody else": {githubfake.Token{Organisations: []string{"globex"}}, "listing alerts", leak.Broken, "may not list"},
	} {
		w := newWorld(t, githubfake.Options{})
		w.token = w.AddToken(row.token)
		w.config.TokenFile = writeFile(t, w.token.Reveal())
		w.open(t)
		found := w.examine(t)
		if got := found[row.check]; got.Result != row.want || !strings.Contains(got.Text, row.text) {
			t.Errorf("%s: got %s: %s, want %s and %q", name, got.Result, got.Text, row.want, row.text)
		}
	}
}

func TestExamineLimits(t *testing.T) {
	w := newWorld(t, githubfake.Options{RateLimit: 4})
	w.add(githubfake.Alert{})
	mustFind(t, w.examine(t), "rate limit", leak.Doubt, "0 of 4")
	w = newWorld(t, githubfake.Options{Enterprise: true})
	mustFind(t, w.examine(t), "rate limit", leak.Good, "none")
	w = newWorld(t, githubfake.Options{})
	w.add(githubfake.Alert{})
	w.answer(githubfake.GetAlert, `{"number":1}`)
	mustFind(t, w.examine(t), "seeing secrets", leak.Broken, "security_events")
	w.Close()
	w.examine(t) // it may find a connection that is being closed
	mustFind(t, w.examine(t), "credential", leak.Broken, "refused")
}
