package githubfake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-github/v60/github"

	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

var hookSecret = leak.NewSecret("a-hook-secret")

// received is one POST that a receiver got.
type received struct {
	header http.Header
	body   []byte
}

// receiver is what a hook posts to. It answers with its status, 200 for 0, and keeps what it got.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	status int
	got    []received
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, received{request.Header, body})
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, "noted")
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// take waits until the fake has sent everything, and returns what has come since the last take.
func (r *receiver) take(server *githubfake.Server) []received {
	server.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// payload verifies a delivery with go-github, and reads it.
func payload(t *testing.T, d received, secret leak.Secret) map[string]any {
	t.Helper()
	data, err := github.ValidatePayloadFromBody(
		d.header.Get("Content-Type"), newReader(d.body), d.header.Get("X-Hub-Signature-256"), []byte(secret.Reveal()),
	)
	if err != nil {
		t.Fatalf("verifying the delivery: %v", err)
	}
	var body map[string]any
	if err := json.Unmarshal(data, &body); err != nil {
		t.Fatalf("reading the delivery: %v", err)
	}
	return body
}

func names(got []received) []string {
	found := []string{}
	for _, d := range got {
		var body struct{ Action string }
		_ = json.Unmarshal(d.body, &body)
		found = append(found, d.header.Get("X-GitHub-Event")+" "+body.Action)
	}
	return found
}

func TestRaise(t *testing.T) {
	for _, form := range []bool{false, true} {
		server, _ := start(t, githubfake.Options{})
		r := newReceiver(t)
		id := server.AddHook(githubfake.Hook{URL: r.URL, Secret: hookSecret, Form: form})
		server.Raise(githubfake.Alert{SecretType: "acme_key", Locations: []githubfake.Location{{Type: "issue_body"}}})
		server.Raise(githubfake.Alert{Repository: "rival/shop"})
		got := r.take(server)
		if len(got) != 2 {
			t.Fatalf("got %d deliveries, want the alert and its location", len(got))
		}
		header := got[0].header
		if header.Get("X-GitHub-Hook-ID") != fmt.Sprint(id) || header.Get("User-Agent")[:16] != "GitHub-Hookshot/" ||
			header.Get("X-Hub-Signature")[:5] != "sha1=" || header.Get("X-GitHub-Hook-Installation-Target-Type") != "organization" {
			t.Errorf("got the header %v", header)
		}
		created := payload(t, got[0], hookSecret)
		alert := created["alert"].(map[string]any)
		_, hasSecret := alert["secret"]
		_, hasState := alert["state"]
		if created["action"] != "created" || alert["number"] != 1.0 || alert["secret_type"] != "acme_key" || hasSecret || hasState {
			t.Errorf("got the alert %v", created)
		}
		located := payload(t, got[1], hookSecret)
		place := located["location"].(map[string]any)
		if located["alert"].(map[string]any)["secret"] == nil || place["type"] != "issue_body" {
			t.Errorf("got the location %v", located)
		}
	}
}

// go-github can read every event that it knows; the others are sent as well.
func TestActs(t *testing.T) {
	server, _ := start(t, githubfake.Options{})
	r := newReceiver(t)
	hook := server.AddHook(githubfake.Hook{Repository: "acme/shop", URL: r.URL, Secret: hookSecret})
	server.AddAlert(githubfake.Alert{})
	acts := []githubfake.Act{
		githubfake.Resolve, githubfake.Reopen, githubfake.Validate, githubfake.Publish, githubfake.Assign,
		githubfake.Unassign, githubfake.Revoke, githubfake.Touch,
	}
	for _, act := range acts {
		if !server.Act(act, "ACME/shop", 1, githubfake.Change{By: "ann"}) {
			t.Errorf("%q: no such alert", act)
		}
	}
	server.AddLocation("acme/shop", 1, githubfake.Location{})
	server.Scan("acme/shop")
	server.Ping(hook)
	server.Emit("secret_scanning_alert", "forgotten", "acme/shop", map[string]any{"tomorrow": true})
	got := r.take(server)
	want := []string{
		"secret_scanning_alert resolved", "secret_scanning_alert reopened", "secret_scanning_alert validated",
		"secret_scanning_alert publicly_leaked", "secret_scanning_alert assigned", "secret_scanning_alert unassigned",
		"secret_scanning_alert revoked", "secret_scanning_alert_location created", "secret_scanning_scan completed",
		"ping ", "secret_scanning_alert forgotten",
	}
	if !slices.Equal(names(got), want) {
		t.Fatalf("got %q, want %q", names(got), want)
	}
	parsed, err := github.ParseWebHook("secret_scanning_alert", got[0].body)
	if err != nil {
		t.Fatalf("ParseWebHook: %v", err)
	}
	event := parsed.(*github.SecretScanningAlertEvent)
	if event.GetSender().GetLogin() != "ann" || event.GetRepo().GetFullName() != "acme/shop" ||
		event.GetOrganization().GetLogin() != "acme" || event.GetAlert().GetResolution() != "wont_fix" {
		t.Errorf("got the event of %v", event.GetSender())
	}
	if server.Act(githubfake.Touch, "acme/shop", 9, githubfake.Change{}) || server.AddLocation("a/b", 1, githubfake.Location{}) {
		t.Error("an act on no alert was done")
	}
}

// What the API changes comes back as a webhook whose sender is the token's.
func TestOwnChange(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	r := newReceiver(t)
	server.AddHook(githubfake.Hook{URL: r.URL})
	id, _ := server.AddApp(githubfake.App{Key: appKey(), Slug: "stancher", Hook: githubfake.Hook{URL: r.URL + "/app"}})
	server.AddAlert(githubfake.Alert{CreatedAt: epoch})
	asApp := client(t, server, sign(t, appKey(), "RS256", goodClaims(id)))
	installation, response, err := asApp.Apps.FindOrganizationInstallation(t.Context(), "acme")
	expect(t, "installation", response, err, 200)
	made, response, err := asApp.Apps.CreateInstallationToken(t.Context(), installation.GetID(), nil)
	expect(t, "token", response, err, 201)
	change := map[string]any{"state": "resolved", "resolution": "revoked", "validity": "inactive"}
	response, err = patch(t, client(t, server, leak.NewSecret(made.GetToken())), firstAlert, change)
	expect(t, "as the App", response, err, 200)
	response, err = patch(t, c, firstAlert, map[string]any{"state": "open"})
	expect(t, "as a user", response, err, 200)
	senders, installed := map[string]int{}, 0
	for _, d := range r.take(server) {
		var event github.SecretScanningAlertEvent
		if err := json.Unmarshal(d.body, &event); err != nil {
			t.Fatal(err)
		}
		senders[event.GetSender().GetLogin()]++
		if event.GetInstallation().GetID() == installation.GetID() {
			installed++
		}
		if d.header.Get("X-Hub-Signature-256") != "" {
			t.Error("got a signature without a secret")
		}
	}
	if senders["stancher[bot]"] != 4 || senders[githubfake.Admin] != 2 || installed != 3 {
		t.Errorf("got deliveries by %v, %d of them of the installation, want 4, 2 and 3", senders, installed)
	}
	if a, _ := server.Alert("acme/shop", 1); !a.UpdatedAt.After(epoch) {
		t.Errorf("updated at %v", a.UpdatedAt)
	}
}

func TestHookSwitches(t *testing.T) {
	server, _ := start(t, githubfake.Options{Switches: githubfake.Switches{Sparse: true, NoLocationSecret: true}})
	r := newReceiver(t)
	server.AddHook(githubfake.Hook{URL: r.URL, Secret: hookSecret})
	server.Raise(githubfake.Alert{Locations: []githubfake.Location{{}}})
	got := r.take(server)
	if alert := payload(t, got[0], hookSecret)["alert"].(map[string]any); len(alert) != 5 {
		t.Errorf("got the sparse alert %v", alert)
	}
	if alert := payload(t, got[1], hookSecret)["alert"].(map[string]any); alert["secret"] != nil {
		t.Error("got a secret in spite of the switch")
	}
	server.SetSwitches(githubfake.Switches{Twice: true})
	server.Scan("acme/shop")
	if got := r.take(server); len(got) != 2 || got[0].header.Get("X-GitHub-Delivery") != got[1].header.Get("X-GitHub-Delivery") {
		t.Errorf("got %d deliveries, want two with the same GUID", len(got))
	}
	server.SetSwitches(githubfake.Switches{Drop: true})
	listed := len(server.Deliveries())
	server.Scan("acme/shop")
	if got := r.take(server); len(got) != 0 || len(server.Deliveries()) != listed {
		t.Errorf("got %d deliveries, want none sent nor listed", len(got))
	}
	server.SetSwitches(githubfake.Switches{Reversed: true})
	server.Hold()
	server.Raise(githubfake.Alert{})
	server.Act(githubfake.Resolve, "acme/shop", 2, githubfake.Change{})
	server.Release()
	if got := names(r.take(server)); !slices.Equal(got, []string{"secret_scanning_alert resolved", "secret_scanning_alert created"}) {
		t.Errorf("got %q, want the newest first", got)
	}
}

func TestHookSettings(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	r := newReceiver(t)
	id := server.AddHook(githubfake.Hook{URL: "http://127.0.0.1:1/", Secret: hookSecret, Events: []string{"push"}})
	hooks, response, err := c.Organizations.ListHooks(t.Context(), "acme", nil)
	expect(t, "list", response, err, 200)
	if len(hooks) != 1 || hooks[0].GetID() != id || hooks[0].GetConfig().GetSecret() != "********" || !hooks[0].GetActive() {
		t.Errorf("got the hooks %v", hooks)
	}
	changed, response, err := c.Organizations.EditHook(t.Context(), "acme", id, &github.Hook{
		Events: []string{"*"}, Config: &github.HookConfig{URL: &r.URL, ContentType: github.String("form"), Secret: github.String("new")},
	})
	expect(t, "edit", response, err, 200)
	if changed.GetConfig().GetURL() != r.URL || changed.GetConfig().GetContentType() != "form" {
		t.Errorf("changed to %v", changed)
	}
	response, err = c.Organizations.PingHook(t.Context(), "acme", id)
	expect(t, "ping", response, err, 204)
	if got := r.take(server); len(got) != 1 || payload(t, got[0], leak.NewSecret("new"))["hook_id"] != float64(id) {
		t.Errorf("got %d pings", len(got))
	}
	for name, config := range map[string]*github.HookConfig{
		"type": {ContentType: github.String("xml")}, "url": {URL: github.String("nowhere")},
	} {
		_, response, err = c.Organizations.EditHook(t.Context(), "acme", id, &github.Hook{Config: config})
		expect(t, name, response, err, 422)
	}
	_, response, err = c.Organizations.EditHook(t.Context(), "acme", id, &github.Hook{Active: github.Bool(false), Config: &github.HookConfig{}})
	expect(t, "switch off", response, err, 200)
	server.Raise(githubfake.Alert{})
	if got := r.take(server); len(got) != 0 {
		t.Errorf("got %d deliveries of a hook that is off", len(got))
	}
	server.ChangeHook(id, func(h *githubfake.Hook) { h.Inactive, h.Secret = false, hookSecret })
	if h, ok := server.Hook(id); !ok || h.Inactive || !h.Secret.Equal(hookSecret) {
		t.Errorf("got the hook %+v", h)
	}
	_, response, err = c.Organizations.GetHook(t.Context(), "rival", id)
	expect(t, "another organisation", response, err, 404)
}

// To the API, the hooks of a repository, its organisation and an App have nothing to do with each other.
func TestOwnersOfHooks(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	r := newReceiver(t)
	ofRepo := server.AddHook(githubfake.Hook{Repository: "acme/shop", URL: r.URL})
	ofOrg := server.AddHook(githubfake.Hook{Organisation: "ACME", URL: r.URL, Events: []string{"secret_scanning_alert"}})
	server.AddApp(githubfake.App{Key: appKey(), Hook: githubfake.Hook{URL: r.URL}})
	server.Raise(githubfake.Alert{})
	server.Raise(githubfake.Alert{Repository: "acme/other"})
	if got := len(r.take(server)); got != 5 {
		t.Errorf("got %d deliveries, want 3 of the one alert and 2 of the other", got)
	}
	hook, response, err := c.Repositories.GetHook(t.Context(), "acme", "shop", ofRepo)
	expect(t, "hook of the repository", response, err, 200)
	if hook.GetType() != "Repository" || len(hook.Events) != 3 {
		t.Errorf("got the hook %v", hook)
	}
	_, response, err = c.Repositories.GetHook(t.Context(), "acme", "shop", ofOrg)
	expect(t, "hook of the organisation as one of the repository", response, err, 404)
	_, response, err = c.Organizations.GetHook(t.Context(), "acme", ofRepo)
	expect(t, "hook of the repository as one of the organisation", response, err, 404)
	hooks, response, err := c.Organizations.ListHooks(t.Context(), "acme", nil)
	expect(t, "hooks of the organisation", response, err, 200)
	if len(hooks) != 1 || hooks[0].GetID() != ofOrg {
		t.Errorf("got %d hooks of the organisation", len(hooks))
	}
	made, response, err := c.Repositories.ListHookDeliveries(t.Context(), "acme", "shop", ofRepo, nil)
	expect(t, "deliveries of the repository's hook", response, err, 200)
	guids := map[string]int{}
	for _, d := range server.Deliveries() {
		guids[d.GUID]++
	}
	if len(made) != 1 || guids[made[0].GetGUID()] != 3 || len(guids) != 2 {
		t.Errorf("got the GUIDs %v, want one an event", guids)
	}
}
