package feedfake_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stanch/receiver/feedfake"
	"stanch/receiver/leak"
)

// service plays a revocation service that remembers what it got.
type service struct {
	*httptest.Server

	mu     sync.Mutex
	types  string
	status int
	got    []map[string]json.RawMessage
	header http.Header
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{types: `{"types":["gitleaks_rule_id_acme_key","` + feedfake.PersonalAccessToken + `"]}`, status: 204}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.header = r.Header
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte(s.types))
		return
	}
	var batch []map[string]json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&batch)
	s.got = append(s.got, batch...)
	w.WriteHeader(s.status)
}

func (s *service) answer(types string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.types, s.status = types, status
}

func (s *service) take() []map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

func (s *service) revoker(o feedfake.RevokerOptions) *feedfake.Revoker {
	o.TypesURL, o.URL, o.Token = s.URL+"/v1/revocable_token_types", s.URL+"/v1/revoke_tokens", leak.NewSecret("raw-token")
	return feedfake.NewRevoker(o)
}

var leaked = []feedfake.Leaked{
	{Type: feedfake.RevocationType("gitleaks_rule_id", "Acme Key"), Token: leak.NewSecret("acme_1"), Location: "https://x/1", Vulnerability: 7},
	{Type: "gitleaks_rule_id_acme_key", Token: leak.NewSecret("acme_2"), Location: "https://x/2"},
	{Type: "gitleaks_rule_id_aws", Token: leak.NewSecret("AKIA"), Location: "https://x/3"},
	{Type: feedfake.PersonalAccessToken, Token: leak.NewSecret("glpat-1"), Location: "https://x/4"},
}

func TestRevoke(t *testing.T) {
	for _, older := range []bool{false, true} {
		s := newService(t)
		r := s.revoker(feedfake.RevokerOptions{Older: older})
		id := r.Leak(leaked...)
		if err := r.Attempt(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		got := s.take()
		if want := map[bool]int{false: 2, true: 3}[older]; len(got) != want {
			t.Fatalf("older %v: got %d tokens, want %d", older, len(got), want)
		}
		_, record := got[0]["vulnerability"]
		if string(got[0]["token"]) != `"acme_1"` || string(got[0]["type"]) != `"gitleaks_rule_id_acme_key"` || record == older ||
			!older && (string(got[0]["vulnerability"])[0] != '{' || string(got[1]["vulnerability"]) != "null") {
			t.Errorf("older %v: got %s", older, got[0])
		}
		if s.header.Get("Authorization") != "raw-token" || s.header.Get("Content-Type") != "application/json" {
			t.Errorf("got the header %v", s.header)
		}
		if set := r.Sets()[0]; !set.Done || set.Attempts != 1 || set.Posts != 1 || set.Keys != 4 {
			t.Errorf("got the set %+v", set)
		}
		if _, some := r.Next(); some {
			t.Error("there is something left")
		}
	}
	if err := newService(t).revoker(feedfake.RevokerOptions{}).Attempt(t.Context(), 1); err == nil {
		t.Error("an attempt with no set was made")
	}
}

// Without types nothing is sent, and that is a success. Types that cannot be read are a failure.
func TestRevokeTypes(t *testing.T) {
	for types, want := range map[string]feedfake.Set{
		`{"types":[]}`: {Done: true}, `{}`: {Done: true}, `{"types":["other"]}`: {Done: true}, `<html>`: {},
	} {
		s := newService(t)
		s.answer(types, 204)
		r := s.revoker(feedfake.RevokerOptions{})
		r.Leak(leaked...)
		r.RunDue(t.Context())
		if set := r.Sets()[0]; set.Done != want.Done || set.Attempts != 1 || set.Posts != 0 || len(s.take()) != 0 {
			t.Errorf("%s: got %+v", types, set)
		}
	}
}

// After any answer but 2xx the whole set is sent again, with Sidekiq's backoff, 17 times; then GitLab gives up.
func TestRevokeRetries(t *testing.T) {
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := newService(t)
	r := s.revoker(feedfake.RevokerOptions{Now: now, Backoff: feedfake.Sidekiq})
	r.Leak(leaked...)
	began := now()
	for n, status := range []int{500, 400, 302, 503, 401, 429, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500} {
		s.answer(`{"types":["gitleaks_rule_id_acme_key"]}`, status)
		if tried := r.RunDue(t.Context()); tried != 1 || len(s.take()) != 2 {
			t.Fatalf("attempt %d: %d sets were due, or not the whole set was sent", n, tried)
		}
		if r.RunDue(t.Context()) != 0 {
			t.Fatalf("attempt %d: tried again at once", n)
		}
		if next, some := r.Next(); some {
			ahead.Add(int64(next.Sub(now()) + time.Millisecond))
		}
	}
	if set := r.Sets()[0]; !set.Dead || set.Attempts != 18 {
		t.Errorf("got the set %+v", set)
	}
	if lasted := now().Sub(began); lasted < 60*time.Hour || lasted > 80*time.Hour {
		t.Errorf("it lasted %v, want about 2.8 days", lasted)
	}
	s.answer(`{"types":["gitleaks_rule_id_acme_key"]}`, 204)
	if err := r.Attempt(t.Context(), 1); err != nil || !r.Sets()[0].Done {
		t.Errorf("by hand: %v", err)
	}
}

// Drain waits in real time, and succeeds when the service is back.
func TestRevokeDrain(t *testing.T) {
	s := newService(t)
	s.answer(`{"types":["gitleaks_rule_id_acme_key"]}`, 503)
	r := s.revoker(feedfake.RevokerOptions{Backoff: func(n int) time.Duration {
		if n == 2 {
			s.answer(`{"types":["gitleaks_rule_id_acme_key"]}`, 204)
		}
		return time.Millisecond
	}})
	r.Leak(leaked[0])
	r.Leak(leaked[1], leaked[2])
	if err := r.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, set := range r.Sets() {
		if !set.Done {
			t.Errorf("got the set %+v", set)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.Close()
	r.Leak(leaked[0])
	if err := r.Attempt(t.Context(), 3); err == nil {
		t.Error("an attempt with nobody there succeeded")
	}
	if err := r.Drain(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
