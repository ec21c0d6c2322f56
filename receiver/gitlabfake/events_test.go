//nolint:staticcheck // go-gitlab has moved on to another name; this is its last release under the one that is used here
package gitlabfake_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/xanzy/go-gitlab"

	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
)

// listedEvent is an event of a hook's list.
type listedEvent struct {
	ID       int64
	URL      string
	Trigger  string
	Request  map[string]string `json:"request_headers"`
	Data     event             `json:"request_data"`
	Status   string            `json:"response_status"`
	Duration float64           `json:"execution_duration"`
}

func events(t *testing.T, c *gitlab.Client, hook int64, query string) []listedEvent {
	t.Helper()
	var got []listedEvent
	response, err := do(t, c, http.MethodGet, fmt.Sprintf("groups/acme/hooks/%d/events?%s", hook, query), nil, &got)
	expect(t, "events?"+query, response, err, 200)
	return got
}

func resend(t *testing.T, c *gitlab.Client, hook, id int64) (status int, response *gitlab.Response, err error) {
	t.Helper()
	var got struct {
		Status int `json:"response_status"`
	}
	response, err = do(t, c, http.MethodPost, fmt.Sprintf("groups/acme/hooks/%d/events/%d/resend", hook, id), nil, &got)
	return got.Status, response, err
}

// Nothing is retried. The fourth failure in a row switches the hook off, later events are not sent, and a success clears the
// count.
func TestDisabling(t *testing.T) {
	var clock clock
	server, c := start(t, gitlabfake.Options{Now: clock.now})
	r := newReceiver(t)
	r.answer(500)
	hook := server.AddHook(gitlabfake.Hook{URL: r.URL})
	for n := range 4 {
		if got := server.HookStatus(hook); got != gitlabfake.Executable {
			t.Fatalf("after %d failures: %s", n, got)
		}
		server.Detect(gitlabfake.Vulnerability{})
		server.Wait()
	}
	server.Detect(gitlabfake.Vulnerability{})
	if got := r.take(server); len(got) != 4 || server.HookStatus(hook) != gitlabfake.TemporarilyDisabled {
		t.Fatalf("got %d deliveries, %s", len(got), server.HookStatus(hook))
	}
	shown, response, err := c.Groups.GetGroupHook("acme", int(hook))
	expect(t, "hook", response, err, 200)
	if shown.AlertStatus != "temporarily_disabled" || shown.URL != r.URL || !shown.JobEvents || shown.PushEvents {
		t.Errorf("got the hook %+v", shown)
	}
	if got := events(t, c, hook, ""); len(got) != 4 || got[0].ID < got[3].ID || got[0].Status != "500" {
		t.Errorf("got the events %+v, want 4, newest first, without the skipped one", got)
	}
	for n, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		clock.advance(pause - time.Second)
		if got := server.HookStatus(hook); got != gitlabfake.TemporarilyDisabled {
			t.Errorf("pause %d: back too early", n)
		}
		clock.advance(2 * time.Second)
		server.Detect(gitlabfake.Vulnerability{})
		if got := r.take(server); len(got) != 1 {
			t.Errorf("pause %d: got %d deliveries, want 1", n, len(got))
		}
	}
	r.answer(302)
	clock.advance(9 * time.Minute)
	server.Detect(gitlabfake.Vulnerability{})
	server.Wait()
	if h, _ := server.Hook(hook); h.Failures != 0 || server.HookStatus(hook) != gitlabfake.Executable {
		t.Errorf("got %d failures after a redirect, which counts as a success", h.Failures)
	}
}

// The fortieth failure switches the hook off for good, and only a test that succeeds switches it on again.
func TestDisabledForGood(t *testing.T) {
	var clock clock
	server, c := start(t, gitlabfake.Options{Now: clock.now})
	r := newReceiver(t)
	r.answer(404)
	hook := server.AddHook(gitlabfake.Hook{URL: r.URL})
	for range 40 {
		server.Detect(gitlabfake.Vulnerability{})
		server.Wait()
		clock.advance(25 * time.Hour)
	}
	server.Detect(gitlabfake.Vulnerability{})
	if got := r.take(server); len(got) != 40 || server.HookStatus(hook) != gitlabfake.Disabled {
		t.Fatalf("got %d deliveries, %s", len(got), server.HookStatus(hook))
	}
	test := func() (*gitlab.Response, error) {
		return c.Groups.TriggerTestGroupHook("acme", int(hook), "vulnerability_events")
	}
	response, err := test()
	expect(t, "a test that fails", response, err, 422)
	if server.HookStatus(hook) != gitlabfake.Disabled {
		t.Error("a failed test switched the hook on")
	}
	failed := events(t, c, hook, "")[1]
	_, response, err = resend(t, c, hook, failed.ID)
	expect(t, "resend while off", response, err, 422)
	server.SetSwitches(gitlabfake.Switches{ResendDisabled: true})
	_, response, err = resend(t, c, hook, failed.ID)
	expect(t, "resend while off, with the switch", response, err, 201)
	r.answer(204)
	response, err = test()
	expect(t, "a test that succeeds", response, err, 201)
	if server.HookStatus(hook) != gitlabfake.Executable {
		t.Error("a test that succeeded did not switch the hook on")
	}
	response, err = test()
	expect(t, "the third test", response, err, 201)
	response, err = test()
	expect(t, "the fourth test in a minute", response, err, 429)
}

func TestResend(t *testing.T) {
	var clock clock
	server, c := start(t, gitlabfake.Options{Now: clock.now})
	r := newReceiver(t)
	signing, plain := gitlabfake.NewSigningToken(), leak.NewSecret("plain")
	hook := server.AddHook(gitlabfake.Hook{URL: r.URL, SigningToken: signing, Token: plain})
	for _, status := range []int{204, 400, 503} {
		r.answer(status)
		server.Detect(gitlabfake.Vulnerability{})
		server.Wait()
	}
	r.CloseClientConnections()
	for query, want := range map[string]int{
		"": 3, "status=successful": 1, "status=client_failure": 1, "status=server_failure": 1, "status=503,400": 2,
		"status=404": 0, "per_page=2": 2, "per_page=2&page=2": 1,
	} {
		if got := events(t, c, hook, query); len(got) != want {
			t.Errorf("%s: got %d events, want %d", query, len(got), want)
		}
	}
	for _, query := range []string{"status=failed", "per_page=21"} {
		response, err := do(t, c, http.MethodGet, fmt.Sprintf("groups/acme/hooks/%d/events?%s", hook, query), nil, nil)
		expect(t, query, response, err, 400)
	}
	lost := events(t, c, hook, "status=server_failure")[0]
	if lost.Request["X-Gitlab-Token"] != "[REDACTED]" || lost.Trigger != "vulnerability_hooks" || lost.Data.Kind != "vulnerability" {
		t.Errorf("got the event %+v", lost)
	}
	clock.advance(time.Hour)
	r.answer(200)
	before := r.take(server)
	status, response, err := resend(t, c, hook, lost.ID)
	expect(t, "resend", response, err, 201)
	again := r.take(server)
	if status != 200 || len(again) != 1 || !slices.Equal(again[0].body, before[2].body) {
		t.Fatalf("got the status %d and %d deliveries", status, len(again))
	}
	if verify(t, again[0], signing) != lost.Request["Idempotency-Key"] ||
		again[0].header.Get("webhook-timestamp") == before[2].header.Get("webhook-timestamp") ||
		again[0].header.Get("X-Gitlab-Webhook-UUID") == before[2].header.Get("X-Gitlab-Webhook-UUID") {
		t.Errorf("got the header %v after %v", again[0].header, before[2].header)
	}
	if got := events(t, c, hook, "status=200"); len(got) != 1 || got[0].ID == lost.ID {
		t.Errorf("got the events %+v, want a new one", got)
	}
	for range 4 {
		_, response, err = resend(t, c, hook, lost.ID)
		expect(t, "resend", response, err, 201)
	}
	_, response, err = resend(t, c, hook, lost.ID)
	expect(t, "the sixth in a minute", response, err, 429)
	if response.Header.Get("Retry-After") != "60" {
		t.Errorf("got Retry-After %q", response.Header.Get("Retry-After"))
	}
	clock.advance(time.Minute)
	_, response, err = resend(t, c, hook, 1)
	expect(t, "no such event", response, err, 404)
	server.ChangeHook(hook, func(h *gitlabfake.Hook) { h.URL += "/new" })
	_, response, err = resend(t, c, hook, lost.ID)
	expect(t, "to another URL", response, err, 422)
	clock.advance(7 * 24 * time.Hour)
	if got := events(t, c, hook, ""); len(got) != 0 {
		t.Errorf("got %d events after a week", len(got))
	}
}

// Nobody answers: the event is listed as an internal error, among the failures of servers.
func TestNobodyThere(t *testing.T) {
	server, c := start(t, gitlabfake.Options{HookTimeout: 50 * time.Millisecond})
	r := newReceiver(t)
	gone := server.AddHook(gitlabfake.Hook{URL: r.URL})
	r.Close()
	stuck := make(chan struct{})
	slow := newSlow(t, stuck)
	late := server.AddHook(gitlabfake.Hook{URL: slow})
	none := server.AddHook(gitlabfake.Hook{URL: ":"})
	server.Detect(gitlabfake.Vulnerability{})
	server.Wait()
	close(stuck)
	for _, hook := range []int64{gone, late, none} {
		got := events(t, c, hook, "status=server_failure")
		if len(got) != 1 || got[0].Status != "internal error" {
			t.Fatalf("got the events %+v", got)
		}
		_, response, err := resend(t, c, hook, got[0].ID)
		if hook != late {
			expect(t, "resend", response, err, 422)
		}
	}
}

func TestHookSettings(t *testing.T) {
	server, c := start(t, gitlabfake.Options{})
	r := newReceiver(t)
	hook := server.AddHook(gitlabfake.Hook{Project: "acme/shop", URL: "http://127.0.0.1:1/", Name: "stanch"})
	server.AddHook(gitlabfake.Hook{URL: r.URL})
	hooks, response, err := c.Projects.ListProjectHooks("acme/shop", nil)
	expect(t, "hooks", response, err, 200)
	if len(hooks) != 1 || int64(hooks[0].ID) != hook {
		t.Fatalf("got the hooks %+v", hooks)
	}
	token := "new"
	_, response, err = c.Projects.EditProjectHook("acme/shop", int(hook), &gitlab.EditProjectHookOptions{URL: &r.URL, Token: &token})
	expect(t, "edit", response, err, 200)
	server.Detect(gitlabfake.Vulnerability{})
	if got := r.take(server); len(got) != 2 || got[0].header.Get("X-Gitlab-Token") != "new" {
		t.Errorf("got %d deliveries", len(got))
	}
	nowhere := "nowhere"
	_, response, err = c.Projects.EditProjectHook("acme/shop", int(hook), &gitlab.EditProjectHookOptions{URL: &nowhere})
	expect(t, "edit, no URL", response, err, 422)
	_, response, err = c.Groups.GetGroupHook("acme", int(hook))
	expect(t, "a project's hook of the group", response, err, 404)
}
