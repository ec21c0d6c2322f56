package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
	"stanch/receiver/queue/soak"
)

// hooked is a site beside a GitHub on which the organisation acme has its repositories.
type hooked struct {
	*site
	github *githubfake.Server
	keys   map[int]leaked // by the number of the alert
}

const hookSecret = "the-secret-of-the-hook-0123456789"

func newHooked(t *testing.T, more string) *hooked {
	t.Helper()
	github, err := githubfake.Start(githubfake.Options{Senders: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(github.Close)
	h := &hooked{site: newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n"+more), github: github, keys: map[int]leaked{}}
	h.write("hook-secret", hookSecret)
	h.write("github-token", github.AddToken(githubfake.Token{Login: "stanch-bot"}).Reveal())
	h.rewrite("stanch.yaml", "issuers:", fmt.Sprintf(
		"  - {name: acme, type: github_webhook, secret_files: [hook-secret], organization: acme, "+
			"api: {url: %q, token_file: github-token}}\nissuers:", github.URL()))
	h.rewrite("stanch.yaml", "[ibm_cloud_iam_key]", "[ibm_cloud_iam_key, acme_key]")
	github.AddHook(githubfake.Hook{
		Organisation: "acme", URL: "http://" + h.public + "/hooks/acme", Secret: secret(hookSecret),
	})
	return h
}

// raise lets the organisation's scanning find a key of its own, in one of ten repositories.
func (h *hooked) raise(n int) {
	h.t.Helper()
	k := leaked{
		key:  ibmfake.Key{Name: fmt.Sprintf("key-%d", n), Setting: "disable", Value: secret(fmt.Sprintf("%s%032d", plant, n))},
		dead: disabled,
	}
	k.id, _ = h.iam.AddKey(k.key)
	h.keys[n] = k
	h.github.Raise(githubfake.Alert{
		Repository: fmt.Sprintf("acme/app-%d", n%10), Number: n, Secret: k.key.Value, SecretType: "acme_key",
		Locations: []githubfake.Location{{Path: "deploy/.env", Line: 3}},
	})
}

// wantDead checks that each key is dead by one action, and that its alert says so.
func (h *hooked) wantDead() {
	h.t.Helper()
	incidents := h.incidents()
	if len(incidents) != len(h.keys) {
		h.t.Errorf("%d incidents of %d keys", len(incidents), len(h.keys))
	}
	for n, k := range h.keys {
		now, there := h.iam.Key(k.id)
		if !k.dead(now, there) || h.iam.Count("disable", k.id) != 1 {
			h.t.Errorf("key %d: there %v, disabled %v by %d calls", n, there, now.Disabled, h.iam.Count("disable", k.id))
		}
		alert, _ := h.github.Alert(fmt.Sprintf("acme/app-%d", n%10), n)
		if alert.State != "resolved" || alert.Resolution != "revoked" || !strings.Contains(alert.Comment, "is disabled, proved") {
			h.t.Errorf("alert %d is %s as %q: %q", n, alert.State, alert.Resolution, alert.Comment)
		}
	}
}

func (h *hooked) resolved() int {
	n := 0
	for _, a := range h.github.Alerts() {
		if a.State == "resolved" {
			n++
		}
	}
	return n
}

// TestOrganisation takes an organisation's leaks from the hook to the resolved alert, redeliveries and repeats included:
// one incident a key, one action.
func TestOrganisation(t *testing.T) {
	t.Parallel()
	h := newHooked(t, "")
	switches := h.github.Switches()
	switches.Twice, switches.Reversed = true, true
	h.github.SetSwitches(switches)
	h.start()
	for n := 1; n <= 30; n++ {
		h.raise(n)
	}
	h.github.Wait()
	h.waitFor("every alert resolved", func() bool { return h.resolved() == 30 })
	h.wantDead()
	for n := 1; n <= 5; n++ { // what comes of our own changes, and of others'
		repository := fmt.Sprintf("acme/app-%d", n%10)
		h.github.Act(githubfake.Assign, repository, n, githubfake.Change{})
		h.github.AddLocation(repository, n, githubfake.Location{Type: "issue_title"})
	}
	h.github.Wait()
	h.waitFor("pointers worked off", func() bool { return gauge(h.get("/metrics"), `stanch_queue_pending{stream="POINTERS"}`) == 0 })
	h.wantDead()
	h.wantNothingPlanted()
}

// TestOneIncidentAKey lets one key leak in ten repositories of an organisation and by the partner feed, each delivery
// repeated: one incident with its sightings, one action, one notice.
func TestOneIncidentAKey(t *testing.T) {
	t.Parallel()
	h := newHooked(t, "")
	switches := h.github.Switches()
	switches.Twice = true
	h.github.SetSwitches(switches)
	h.start()
	k := leaked{key: ibmfake.Key{Name: "everywhere", Setting: "disable", Value: secret(plant + strings.Repeat("7", 32))}}
	k.id, _ = h.iam.AddKey(k.key)
	for range 50 {
		if status := h.post([]record{k.record()}); status != http.StatusNoContent {
			t.Fatalf("got %d", status)
		}
	}
	for n := range 10 {
		h.github.Raise(githubfake.Alert{
			Repository: fmt.Sprintf("acme/app-%d", n), Secret: k.key.Value, SecretType: "acme_key",
			Locations: []githubfake.Location{{Path: "deploy/.env", Line: 3}},
		})
	}
	for range 50 {
		h.post([]record{k.record()})
	}
	h.github.Wait()
	h.waitFor("every alert resolved", func() bool { return h.resolved() == 10 })
	h.waitFor("the queues empty", h.idle)
	if list := h.incidents(); len(list) != 1 || list[0].State != "contained" || list[0].outcomes() != 1 {
		t.Errorf("got %d incidents: %+v", len(list), list)
	}
	if n := h.iam.Count("disable", k.id); n != 1 {
		t.Errorf("disabled %d times", n)
	}
	if n := strings.Count(h.output.String(), `"everywhere" is disabled, proved`); n != 1 {
		t.Errorf("%d notices, want one", n)
	}
	if out := h.order("show", h.incidents()[0].ID); !strings.Contains(out, "seen 11 times") {
		t.Errorf("got the sightings of %s", out)
	}
}

// TestUndoReopensTheAlert enables a key again, which its alert must say.
func TestUndoReopensTheAlert(t *testing.T) {
	t.Parallel()
	h := newHooked(t, "")
	h.start()
	h.raise(1)
	h.waitFor("the alert resolved", func() bool { return h.resolved() == 1 })
	id := h.incidents()[0].ID
	h.order("undo", id, "--reason", "it is the demo key")
	h.waitFor("the alert open again", func() bool { return h.resolved() == 0 })
	h.github.Wait() // nothing must come of the hook that this caused
	h.waitFor("the queues empty", h.idle)
	if now, there := h.iam.Key(h.keys[1].id); !alive(now, there) {
		t.Error("the key that a person enabled was disabled again")
	}
	out := h.order("show", id)
	if strings.Count(out, "told acme that") != 2 || !strings.Contains(out, "is open again") {
		t.Errorf("got the steps %s", out)
	}
}

// TestMissedAlerts raises alerts while the receiver is down and lets some of them come by failed hooks only; after a
// backfill that is killed halfway and begun again, each has an incident and a dead key, none twice.
func TestMissedAlerts(t *testing.T) {
	t.Parallel()
	alerts := soak.Size(100, 500)
	h := newHooked(t, "")
	switches := h.github.Switches()
	switches.Drop = true // hooks that GitHub never sent
	h.github.SetSwitches(switches)
	for n := 1; n <= alerts; n++ {
		if n > alerts*3/5 {
			switches.Drop = false // hooks that found nobody
			h.github.SetSwitches(switches)
		}
		h.raise(n)
	}
	h.github.Wait()
	h.start()
	out, err := h.command("backfill", "--source", "acme", "--dry-run")
	if err != nil || !strings.Contains(out, "acme holds ") {
		t.Fatalf("a dry run: %q, %v", out, err)
	}
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		_, _ = h.command("backfill", "--source", "acme") // with or without an answer
	}()
	h.waitFor("some incidents", func() bool { return h.resolved() > alerts/10 })
	h.kill()
	<-killed
	h.start()
	if out, err = h.command("backfill", "--source", "acme"); err != nil || !strings.Contains(out, "acme holds ") {
		t.Fatalf("a second backfill: %q, %v", out, err)
	}
	h.waitFor("every alert resolved", func() bool { return h.resolved() == alerts })
	h.wantDead()
	if out, err = h.command("backfill", "--source", "acme"); err != nil || !strings.Contains(out, "acme holds 0 open alerts") {
		t.Errorf("a backfill when all is known: %q, %v", out, err)
	}
	h.wantNothingPlanted()
}

// TestBackfillIsRefused orders sweeps that cannot be done.
func TestBackfillIsRefused(t *testing.T) {
	t.Parallel()
	h := newHooked(t, "")
	h.start()
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, `"source" not set`},
		{[]string{"--source", "nobody"}, 1, "no source of that name has an API to ask"},
		{[]string{"--source", "gh"}, 1, "no source of that name has an API to ask"},
		{[]string{"--source", "acme", "--since", "yesterday"}, 1, "--since must be a duration"},
	} {
		out, err := h.command(append([]string{"backfill"}, test.args...)...)
		if exitCode(err) != test.code || !strings.Contains(out, test.want) {
			t.Errorf("%q: got %q, %v; want %q", test.args, out, err, test.want)
		}
	}
	h.github.RevokeTokens()
	out, err := h.command("backfill", "--source", "acme")
	if exitCode(err) != 1 || !strings.Contains(out, leak.ErrCredential.Error()) {
		t.Errorf("with a dead token: got %q, %v", out, err)
	}
	wantNot(t, "the answer", out)
	if status, _ := h.act("/api/v1/sources/acme/sweep", "", "", "{}", nil); status != http.StatusUnauthorized {
		t.Errorf("a sweep ordered by nobody: got %d", status)
	}
}
