package gitlabapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"stanch/receiver"
	"stanch/receiver/gitlab"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
)

// inbox is our end of a hook: it verifies and parses deliveries, and answers as it is told to.
type inbox struct {
	hook   int64
	source receiver.Source

	mu     sync.Mutex
	status int
	got    []leak.Pointer
}

// newInbox starts an inbox, and gives the group a hook that delivers to it.
func newInbox(t *testing.T, w *world) *inbox {
	t.Helper()
	token := gitlabfake.NewSigningToken()
	config := gitlab.HookConfig{SigningTokenFiles: []string{writeFile(t, token.Reveal())}, Group: "acme", API: w.config}
	source, err := config.Open("gl", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := &inbox{status: http.StatusNoContent, source: source}
	server := httptest.NewServer(in)
	t.Cleanup(server.Close)
	in.hook = w.AddHook(gitlabfake.Hook{URL: server.URL + "/hooks/" + sourceName, SigningToken: token})
	return in
}

// ServeHTTP takes a delivery.
func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err == nil && in.status < 300 {
		if err = in.source.Verify(r.Context(), r.Header, body); err == nil {
			parsed, _ := in.source.Parse(r.Header, body) // what is ignored has no pointers
			in.got = append(in.got, parsed.Pointers...)
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(in.status)
}

// pointers returns the pointers since the last call.
func (in *inbox) pointers(t *testing.T) []leak.Pointer {
	t.Helper()
	in.mu.Lock()
	defer in.mu.Unlock()
	got := in.got
	in.got = nil
	return got
}
