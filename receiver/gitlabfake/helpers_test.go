package gitlabfake_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
)

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func vulnerabilityPath(id int64) string { return fmt.Sprintf("vulnerabilities/%d", id) }

// clock is a time that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

// received is one POST that a receiver got.
type received struct {
	header http.Header
	body   []byte
}

// event is the body of a hook's delivery.
type event struct {
	Kind       string `json:"object_kind"`
	Attributes struct {
		URL      string
		State    string
		Project  int64   `json:"project_id"`
		Scanner  *string `json:"scanner_external_id"`
		Location struct {
			File   string
			Line   int `json:"start_line"`
			Commit *struct{ SHA string }
		}
		Identifiers []struct {
			Type string `json:"external_type"`
			ID   string `json:"external_id"`
		}
		Issues []any
	} `json:"object_attributes"`
}

func (r received) event(t *testing.T) (e event) {
	t.Helper()
	if err := json.Unmarshal(r.body, &e); err != nil {
		t.Fatalf("reading a delivery: %v", err)
	}
	return e
}

// receiver is what a hook posts to. It answers with its status and keeps what it got.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	status int
	got    []received
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, received{request.Header, body})
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(r.status)
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// take waits until the fake has sent everything, and returns what has come since the last take.
func (r *receiver) take(server *gitlabfake.Server) []received {
	server.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// newSlow starts a server that answers when a channel is closed.
func newSlow(t *testing.T, until <-chan struct{}) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-until:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// serve lets a fake answer a document without a network.
func serve(t *testing.T, fake *gitlabfake.Fake, token leak.Secret, body []byte) []byte {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/graphql", bytes.NewReader(body))
	request.Header.Set("PRIVATE-TOKEN", token.Reveal())
	recorder := httptest.NewRecorder()
	fake.ServeHTTP(recorder, request)
	return recorder.Body.Bytes()
}
