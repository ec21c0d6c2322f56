package githubfake_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"stanch/receiver/githubfake"
)

func newReader(data []byte) io.Reader { return bytes.NewReader(data) }

// failed lists the deliveries of a hook by cursor, and returns the ids of those that are not OK, newest first.
func failed(t *testing.T, list func(*github.ListCursorOptions) ([]*github.HookDelivery, *github.Response, error)) (ids []int64) {
	t.Helper()
	options := &github.ListCursorOptions{PerPage: 2}
	for {
		part, response, err := list(options)
		expect(t, "deliveries", response, err, 200)
		for _, d := range part {
			if d.GetStatus() != "OK" {
				ids = append(ids, d.GetID())
			}
		}
		if options.Cursor = response.Cursor; options.Cursor == "" {
			return ids
		}
	}
}

func TestRedeliver(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	r := newReceiver(t)
	hook := server.AddHook(githubfake.Hook{URL: r.URL, Secret: hookSecret})
	server.Raise(githubfake.Alert{})
	server.Wait()
	r.answer(http.StatusServiceUnavailable)
	for range 3 {
		server.Raise(githubfake.Alert{})
	}
	lost := r.take(server)[1:]
	list := func(o *github.ListCursorOptions) ([]*github.HookDelivery, *github.Response, error) {
		return c.Organizations.ListHookDeliveries(t.Context(), "acme", hook, o)
	}
	ids := failed(t, list)
	if len(ids) != 3 || !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) {
		t.Fatalf("got the failed deliveries %v, want 3, newest first", ids)
	}
	one, response, err := c.Organizations.GetHookDelivery(t.Context(), "acme", hook, ids[2])
	expect(t, "delivery", response, err, 200)
	if one.GetStatusCode() != 503 || one.GetRedelivery() || one.GetEvent() != "secret_scanning_alert" || one.GetAction() != "created" ||
		one.GetGUID() != lost[0].header.Get("X-GitHub-Delivery") || !bytes.Equal(*one.Request.RawPayload, lost[0].body) {
		t.Errorf("got the delivery %v", one)
	}
	r.answer(http.StatusNoContent)
	_, response, err = c.Organizations.RedeliverHookDelivery(t.Context(), "acme", hook, ids[2])
	if accepted := new(github.AcceptedError); !errors.As(err, &accepted) || response.StatusCode != 202 {
		t.Errorf("got %T and %d, want an AcceptedError and 202", err, response.StatusCode)
	}
	again := r.take(server)
	if len(again) != 1 || again[0].header.Get("X-GitHub-Delivery") != one.GetGUID() || !bytes.Equal(again[0].body, lost[0].body) {
		t.Errorf("got %d redeliveries, want the same GUID and body", len(again))
	}
	newest, _, _ := list(nil)
	if d := newest[0]; d.GetGUID() != one.GetGUID() || d.GetID() == one.GetID() || !d.GetRedelivery() || d.GetStatus() != "OK" {
		t.Errorf("got the newest delivery %v", d)
	}
	if ids := failed(t, list); len(ids) != 3 {
		t.Errorf("got %d failed deliveries, want 3: a redelivery changes none", len(ids))
	}
	_, response, err = c.Organizations.RedeliverHookDelivery(t.Context(), "acme", hook, 1)
	expect(t, "no such delivery", response, err, 404)
	if n := server.Count(githubfake.Redeliver, "acme", ids[2]); n != 1 {
		t.Errorf("got %d calls in the journal, want 1", n)
	}
}

func TestAppDeliveries(t *testing.T) {
	server, _ := start(t, githubfake.Options{})
	r := newReceiver(t)
	id, _ := server.AddApp(githubfake.App{Key: appKey(), Hook: githubfake.Hook{URL: r.URL, Secret: hookSecret}})
	asApp := client(t, server, sign(t, appKey(), "RS256", goodClaims(id)))
	r.answer(http.StatusInternalServerError)
	server.Raise(githubfake.Alert{})
	server.Raise(githubfake.Alert{Repository: "rival/shop"})
	r.take(server)
	ids := failed(t, func(o *github.ListCursorOptions) ([]*github.HookDelivery, *github.Response, error) {
		return asApp.Apps.ListHookDeliveries(t.Context(), o)
	})
	if len(ids) != 1 {
		t.Fatalf("got %d failed deliveries, want 1", len(ids))
	}
	one, response, err := asApp.Apps.GetHookDelivery(t.Context(), ids[0])
	expect(t, "delivery", response, err, 200)
	if one.GetInstallationID() == 0 || one.GetRepositoryID() == 0 {
		t.Errorf("got the delivery %v", one)
	}
	_, response, err = asApp.Apps.RedeliverHookDelivery(t.Context(), ids[0])
	expect(t, "redeliver", response, err, 202)
	if got := r.take(server); len(got) != 1 {
		t.Errorf("got %d redeliveries, want 1", len(got))
	}
	config, response, err := asApp.Apps.GetHookConfig(t.Context())
	expect(t, "config", response, err, 200)
	if config.GetURL() != r.URL {
		t.Errorf("got the config %v", config)
	}
	_, response, err = asApp.Apps.UpdateHookConfig(t.Context(), &github.HookConfig{Secret: github.String("new")})
	expect(t, "update of the config", response, err, 200)
}

// A delivery that nobody answers is soon listed as failed, with the status code that the switch says.
func TestUnanswered(t *testing.T) {
	for position, want := range map[int]int{0: 502, -1: 0} {
		impatient, _ := start(t, githubfake.Options{
			HookTimeout: 20 * time.Millisecond, Switches: githubfake.Switches{Unreached: position},
		})
		patient, _ := start(t, githubfake.Options{Switches: githubfake.Switches{Unreached: position}})
		done := make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
		down := httptest.NewServer(nil)
		down.Close()
		moved := httptest.NewServer(http.RedirectHandler(slow.URL, http.StatusFound))
		got := []string{}
		for _, url := range []string{slow.URL, down.URL, moved.URL, "http://bad host/"} {
			server := patient
			if url == slow.URL {
				server = impatient
			}
			server.Ping(server.AddHook(githubfake.Hook{URL: url}))
			server.Wait()
			all := server.Deliveries()
			d := all[len(all)-1]
			got = append(got, d.Status)
			if d.Status != "Invalid HTTP Response: 302" && d.StatusCode != want {
				t.Errorf("%s: got the status code %d, want %d", d.Status, d.StatusCode, want)
			}
		}
		wanted := []string{
			"timed out", "failed to connect to host", "Invalid HTTP Response: 302", "failed to connect to host",
		}
		if !slices.Equal(got, wanted) {
			t.Errorf("got %q, want %q", got, wanted)
		}
		close(done)
		slow.Close()
		moved.Close()
	}
}

func TestRetention(t *testing.T) {
	for days, enterprise := range map[int]bool{3: false, 7: true} {
		var clock clock
		server, c := start(t, githubfake.Options{Now: clock.now, Enterprise: enterprise})
		r := newReceiver(t)
		hook := server.AddHook(githubfake.Hook{URL: r.URL})
		server.Ping(hook)
		server.Wait()
		clock.advance(time.Duration(days)*24*time.Hour - time.Minute)
		if got, _, err := c.Organizations.ListHookDeliveries(t.Context(), "acme", hook, nil); err != nil || len(got) != 1 {
			t.Errorf("got %d deliveries and %v, want 1 within %d days", len(got), err, days)
		}
		clock.advance(2 * time.Minute)
		got, response, err := c.Organizations.ListHookDeliveries(t.Context(), "acme", hook, nil)
		expect(t, "list", response, err, 200)
		_, response, err = c.Organizations.RedeliverHookDelivery(t.Context(), "acme", hook, server.Deliveries()[0].ID)
		expect(t, "redeliver", response, err, 404)
		if len(got) != 0 {
			t.Errorf("got %d deliveries, want none after %d days", len(got), days)
		}
	}
}

// Many senders at once deliver everything once.
func TestSenders(t *testing.T) {
	server, _ := start(t, githubfake.Options{Senders: 8})
	r := newReceiver(t)
	server.AddHook(githubfake.Hook{URL: r.URL})
	for range 100 {
		server.Raise(githubfake.Alert{})
	}
	guids := map[string]bool{}
	for _, d := range r.take(server) {
		guids[d.header.Get("X-GitHub-Delivery")] = true
	}
	if len(guids) != 100 {
		t.Errorf("got %d different deliveries, want 100", len(guids))
	}
}
