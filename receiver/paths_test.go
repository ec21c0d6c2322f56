package receiver_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stanch/receiver"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// wide is a source with further paths, whose whole proof of origin is in the header.
type wide struct{ scripted }

func (wide) Paths() map[string]string {
	return map[string]string{"v1/kinds": `{"kinds":["a"]}`, "v1/take": ""}
}

func (wide) Admit(header http.Header) error {
	if header.Get("Authorization") != "good" {
		return receiver.ErrUnverified
	}
	return nil
}

func newWide(tb testing.TB, change ...func(*house, *receiver.Config)) *house {
	s := wide{scripted{parse: func() (receiver.Parsed, error) {
		return receiver.Parsed{Found: []leak.Content{{Secret: leak.NewSecret(planted)}}}, nil
	}}}
	return newHouse(tb, append(change, withSource(s))...)
}

// TestHandlerPaths: a source's further paths read or accept deliveries, with the same checks in the same order.
func TestHandlerPaths(t *testing.T) {
	for _, row := range []struct {
		method, path, token, kind string
		want                      int
		result, allow             string
	}{
		{"GET", "/hooks/gh/v1/kinds", "good", "", 200, "read", ""},
		{"GET", "/hooks/gh/v1/kinds", "good", "application/json", 200, "read", ""},
		{"GET", "/hooks/gh/v1/kinds", "bad", "", 401, "unverified", ""},
		{"GET", "/hooks/gh/v1/kinds", "good", "text/plain", 415, "content_type", ""},
		{"POST", "/hooks/gh/v1/kinds", "good", "", 405, "method", "GET"},
		{"HEAD", "/hooks/gh/v1/kinds", "good", "", 405, "method", "GET"},
		{"POST", "/hooks/gh/v1/take", "good", "", 204, "stored", ""},
		{"POST", "/hooks/gh/v1/take", "bad", "", 401, "unverified", ""},
		{"GET", "/hooks/gh/v1/take", "good", "", 405, "method", "POST"},
		{"POST", "/hooks/gh", "good", "", 204, "stored", ""},
		{"GET", "/hooks/gh", "good", "", 405, "method", "POST"},
		{"POST", "/hooks/gh/", "good", "", 404, "unknown_source", ""},
		{"GET", "/hooks/gh/v1", "good", "", 404, "unknown_source", ""},
		{"GET", "/hooks/gh/v1/kinds/", "good", "", 404, "unknown_source", ""},
		{"GET", "/hooks//v1/kinds", "good", "", 404, "unknown_source", ""},
		{"GET", "/hooks/other/v1/kinds", "good", "", 404, "unknown_source", ""},
		{"GET", "/gh/v1/kinds", "good", "", 404, "unknown_source", ""},
	} {
		t.Run(fmt.Sprintf("%s %s %s %s", row.method, row.path, row.token, row.kind), func(t *testing.T) {
			h := newWide(t)
			header := http.Header{"Authorization": {row.token}, "Content-Type": {row.kind}}
			response := h.send(t, row.method, row.path, header, nil)
			wantStatus(t, response, row.want)
			if got := response.Header.Get("Allow"); got != row.allow {
				t.Errorf("got Allow %q, want %q", got, row.allow)
			}
			source, stored := "gh", 0
			if row.result == "unknown_source" {
				source = ""
			}
			if row.result == "stored" {
				stored = 1
			}
			h.wantCounted(t, source, row.result, 1)
			h.wantStored(t, stored, 0)
		})
	}
}

func TestHandlerDocument(t *testing.T) {
	h := newWide(t)
	request := httptest.NewRequest(http.MethodGet, "/hooks/gh/v1/kinds", nil)
	request.Header.Set("Authorization", "good")
	recorder := httptest.NewRecorder()
	h.handler.ServeHTTP(recorder, request)
	if got := recorder.Body.String(); got != `{"kinds":["a"]}` {
		t.Errorf("got %s, want the document", got)
	}
	if got := recorder.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("got the type %q, want JSON", got)
	}
}

// TestHandlerPathsUnread: a stranger's request to a further path is refused before a byte of its body is read.
func TestHandlerPathsUnread(t *testing.T) {
	h := newWide(t)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		path := map[string]string{http.MethodGet: "/hooks/gh/v1/kinds", http.MethodPost: "/hooks/gh/v1/take"}[method]
		recorder := httptest.NewRecorder()
		h.handler.ServeHTTP(recorder, httptest.NewRequest(method, path, unread{t}))
		if recorder.Code != http.StatusUnauthorized {
			t.Errorf("%s: got the status %d, want 401", method, recorder.Code)
		}
	}
}

// remembering is a source that remembers deliveries by the names in their headers.
type remembering struct {
	scripted
	remembered *[]string
}

func (r remembering) Remember(header http.Header) {
	*r.remembered = append(*r.remembered, header.Get("Webhook-Id"))
}

// TestHandlerRemembers: a source is told about deliveries that cannot be lost any more, and about no others.
func TestHandlerRemembers(t *testing.T) {
	var remembered []string
	parsed := receiver.Parsed{Found: []leak.Content{{Secret: leak.NewSecret(planted)}}}
	var fails error
	source := remembering{scripted{parse: func() (receiver.Parsed, error) { return parsed, fails }}, &remembered}
	store := &failing{Store: memory.New()}
	h := newHouse(t, withSource(source), func(h *house, c *receiver.Config) { h.store, c.Store = store.Store, store })
	for i, row := range []struct {
		parse, store error
		want         int
	}{
		{nil, nil, 204},
		{nil, queue.ErrFull, 503},
		{receiver.ErrIgnored, nil, 204},
		{receiver.ErrFormat, nil, 400},
		{receiver.ErrTooMany, nil, 413},
		{errors.New("odd"), nil, 503},
		{nil, nil, 204},
	} {
		fails, store.err = row.parse, row.store
		header := http.Header{"Webhook-Id": {fmt.Sprint(i)}}
		wantStatus(t, h.send(t, http.MethodPost, "/hooks/gh", header, strings.NewReader("[]")), row.want)
	}
	if got := strings.Join(remembered, " "); got != "0 2 6" {
		t.Errorf("remembered %s, want 0 2 6", got)
	}
}
