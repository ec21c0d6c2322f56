package receiver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"stanch/receiver"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

func TestHandlerStoresADelivery(t *testing.T) {
	h := newHouse(t)
	wantStatus(t, h.deliver(t, "["+record(planted)+","+record("second")+"]"), http.StatusNoContent)
	alerts := h.alerts(t)
	if len(alerts) != 2 {
		t.Fatalf("got %d alerts, want 2", len(alerts))
	}
	got := alerts[0]
	if got.Secret.Reveal() != planted || got.Type != "t" || got.URL != "u" || got.Place != "commit" {
		t.Errorf("got another first alert than was delivered: type %q, place %q", got.Type, got.Place)
	}
	h.wantCounted(t, "gh", "stored", 1)
	if want := `stanch_alerts_total{source="gh"} 2`; !strings.Contains(h.metrics(t), want) {
		t.Errorf("the metrics lack %s", want)
	}
	if lines := strings.Count(h.log.String(), "\n"); lines != 1 {
		t.Errorf("got %d lines in the log, want 1", lines)
	}
}

func TestHandlerStoresRepetitionsOnce(t *testing.T) {
	h := newHouse(t)
	for range 3 { // each is signed anew
		wantStatus(t, h.deliver(t, "["+record(planted)+"]"), http.StatusNoContent)
	}
	h.wantStored(t, 1, 0)
}

func TestHandlerAnswers(t *testing.T) {
	good := "[" + record(planted) + "]"
	declared := func(name, value string) func(*house) *http.Response {
		return func(h *house) *http.Response {
			header := h.signer.GitHubHeader([]byte(good))
			header.Set(name, value)
			return h.send(t, http.MethodPost, "/hooks/gh", header, strings.NewReader(good))
		}
	}
	posted := func(body string) func(*house) *http.Response {
		return func(h *house) *http.Response { return h.deliver(t, body) }
	}
	to := func(method, path string) func(*house) *http.Response {
		return func(h *house) *http.Response {
			return h.send(t, method, path, h.signer.GitHubHeader([]byte(good)), strings.NewReader(good))
		}
	}
	for _, row := range []struct {
		name           string
		do             func(*house) *http.Response
		status         int
		source, result string
		alerts, dead   int
	}{
		{"stored", posted(good), 204, "gh", "stored", 1, 0},
		{"nothing to store", posted("[]"), 204, "gh", "stored", 0, 0},
		{"no content type", declared("Content-Type", ""), 204, "gh", "stored", 1, 0},
		{"with a charset", declared("Content-Type", "application/json; charset=utf-8"), 204, "gh", "stored", 1, 0},
		{"identity", declared("Content-Encoding", "identity"), 204, "gh", "stored", 1, 0},
		{"one bad record", posted("[" + record("a") + `,{"token":7},` + record("b") + "]"), 204, "gh", "stored", 2, 1},
		{"nothing but bad records", posted(`[{"token":"` + planted + `","url":1}, 8]`), 204, "gh", "stored", 0, 2},
		{"not the format", posted(`{"token":"` + planted + `"}`), 400, "gh", "format", 0, 0},
		{"empty", posted(""), 400, "gh", "format", 0, 0},
		{"unsigned", declared("Github-Public-Key-Signature", ""), 401, "gh", "unverified", 0, 0},
		{"forged", declared("Github-Public-Key-Signature", "MAYCAQACAQA="), 401, "gh", "unverified", 0, 0},
		{"unknown key id", declared("Github-Public-Key-Identifier", planted), 401, "gh", "unverified", 0, 0},
		{"unknown source", to(http.MethodPost, "/hooks/"+planted), 404, "", "unknown_source", 0, 0},
		{"no source", to(http.MethodPost, "/hooks/"), 404, "", "unknown_source", 0, 0},
		{"below a source", to(http.MethodPost, "/hooks/gh/x"), 404, "", "unknown_source", 0, 0},
		{"another path", to(http.MethodPost, "/gh"), 404, "", "unknown_source", 0, 0},
		{"the root", to(http.MethodGet, "/"), 404, "", "unknown_source", 0, 0},
		{"GET", to(http.MethodGet, "/hooks/gh"), 405, "gh", "method", 0, 0},
		{"PUT", to(http.MethodPut, "/hooks/gh"), 405, "gh", "method", 0, 0},
		{"too large", posted("[" + strings.Repeat(" ", 4096) + "]"), 413, "gh", "too_large", 0, 0},
		{"too many", posted("[1,2,3,4,5,6]"), 413, "gh", "too_many", 0, 0},
		{"a form", declared("Content-Type", "application/x-www-form-urlencoded"), 415, "gh", "content_type", 0, 0},
		{"no media type", declared("Content-Type", planted+";;"), 415, "gh", "content_type", 0, 0},
		{"compressed", declared("Content-Encoding", "gzip"), 415, "gh", "content_type", 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newHouse(t, func(_ *house, c *receiver.Config) {
				c.Limits = receiver.Limits{Body: 2048, AlertsPerDelivery: 5}
			})
			response := row.do(h)
			wantStatus(t, response, row.status)
			if allow := response.Header.Get("Allow"); (allow == "POST") != (row.status == 405) {
				t.Errorf("got Allow %q with the status %d", allow, row.status)
			}
			h.wantStored(t, row.alerts, row.dead)
			h.wantCounted(t, row.source, row.result, 1)
			if shown := h.log.String() + h.metrics(t); strings.Contains(shown, planted) {
				t.Errorf("the planted token is in the log or the metrics:\n%s", shown)
			}
		})
	}
}

// TestHandlerChunked sends bodies of unannounced length.
func TestHandlerChunked(t *testing.T) {
	h := newHouse(t, func(_ *house, c *receiver.Config) { c.Limits.Body = 40_000 })
	for size, want := range map[int]int{100: 204, 20_000: 204, 40_000: 204, 40_001: 413, 100_000: 413} {
		body := "[" + strings.Repeat(" ", size-2) + "]"
		header := h.signer.GitHubHeader([]byte(body))
		wantStatus(t, h.send(t, http.MethodPost, "/hooks/gh", header, io.MultiReader(strings.NewReader(body))), want)
	}
}

// TestHandlerLeavesTheBodyUnread checks that faults of the header are answered before a byte of the body is read.
func TestHandlerLeavesTheBodyUnread(t *testing.T) {
	h := newHouse(t)
	for name, row := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"unknown source": {func(r *http.Request) { r.URL.Path = "/hooks/other" }, 404},
		"method":         {func(r *http.Request) { r.Method = http.MethodPut }, 405},
		"content type":   {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"no key id":      {func(r *http.Request) { r.Header.Del("Github-Public-Key-Identifier") }, 401},
		"no signature":   {func(r *http.Request) { r.Header.Del("Github-Public-Key-Signature") }, 401},
		"not DER":        {func(r *http.Request) { r.Header.Set("Github-Public-Key-Signature", "YWJj") }, 401},
		"too large":      {func(r *http.Request) { r.ContentLength = 25<<20 + 1 }, 413},
	} {
		request := httptest.NewRequest(http.MethodPost, "/hooks/gh", unread{t})
		request.Header = h.signer.GitHubHeader([]byte("[]"))
		row.change(request)
		recorder := httptest.NewRecorder()
		h.handler.ServeHTTP(recorder, request)
		if recorder.Code != row.want {
			t.Errorf("%s: got the status %d, want %d", name, recorder.Code, row.want)
		}
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestHandlerMetricsFromTheStart(t *testing.T) {
	h := newHouse(t)
	for _, result := range []string{
		"stored", "read", "ignored", "not_stored", "unverified", "unavailable", "format", "too_many", "too_large", "throttled",
		"method", "content_type", "unread", "busy", "panic",
	} {
		h.wantCounted(t, "gh", result, 0)
	}
	h.wantCounted(t, "", "unknown_source", 0)
	for _, want := range []string{`stanch_alerts_total{source="gh"} 0`, `stanch_pointers_total{source="gh"} 0`} {
		if !strings.Contains(h.metrics(t), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if problems, err := testutil.GatherAndLint(h.registry); err != nil || len(problems) > 0 {
		t.Errorf("got the problems %v and %v, want none", problems, err)
	}
}

// TestHandlerLargeRecords checks that a record that no message can hold costs only itself, and that a long place never costs the
// token.
func TestHandlerLargeRecords(t *testing.T) {
	h := newHouse(t)
	long := strings.Repeat("x", 1<<20)
	body := "[" + record("first") + "," + record(planted+long) + `,{"token":"far","url":"` + long + `","type":"` + long +
		`","source":"` + long + `"},{"token":["` + planted + long + `"]}]`
	wantStatus(t, h.deliver(t, body), http.StatusNoContent)
	alerts, dead := h.alerts(t), h.dead(t)
	if len(alerts) != 2 || alerts[0].Secret.Reveal() != "first" || alerts[1].Secret.Reveal() != "far" {
		t.Fatalf("got %d alerts, want the first and the far one", len(alerts))
	}
	if len(dead) != 2 {
		t.Fatalf("got %d dead letters, want 2", len(dead))
	}
	for _, letter := range dead {
		kept := h.open(t, letter.Alert).Secret.Reveal()
		if !strings.Contains(kept, planted) || len(kept) >= 1<<20 || !strings.Contains(letter.Reason, "only its first") {
			t.Errorf("got a dead letter of %d bytes: %s", len(kept), letter.Reason)
		}
	}
}

func TestHandlerStoreFails(t *testing.T) {
	store := &failing{Store: memory.New(), err: queue.ErrFull}
	h := newHouse(t, func(h *house, c *receiver.Config) { h.store, c.Store = store.Store, store })
	body := "[" + record(planted) + ",7]"
	wantStatus(t, h.deliver(t, body), http.StatusServiceUnavailable)
	h.wantStored(t, 0, 0)
	h.wantCounted(t, "gh", "not_stored", 1)
	store.err = nil
	wantStatus(t, h.deliver(t, body), http.StatusNoContent)
	h.wantStored(t, 1, 1)
}

// failing is a store that is full, say, while err is set.
type failing struct {
	*memory.Store
	err error
}

func (f *failing) Append(ctx context.Context, messages ...queue.Message) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Append(ctx, messages...)
}

func TestHandlerWithoutKeys(t *testing.T) {
	h := newHouse(t)
	h.keys.Fail(http.StatusInternalServerError)
	wantStatus(t, h.deliver(t, "["+record(planted)+"]"), http.StatusServiceUnavailable)
	h.wantCounted(t, "gh", "unavailable", 1)
	h.wantStored(t, 0, 0)
	h.keys.Fail(0)
	wantStatus(t, h.deliver(t, "["+record(planted)+"]"), http.StatusNoContent)
	h.wantStored(t, 1, 0)
}

// TestHandlerManyAlerts stores the largest batch that is allowed.
func TestHandlerManyAlerts(t *testing.T) {
	h := newHouse(t, func(_ *house, c *receiver.Config) { c.Limits.AlertsPerDelivery = 300 })
	records := make([]string, 300)
	for i := range records {
		records[i] = record(fmt.Sprintf("token-%d", i))
	}
	wantStatus(t, h.deliver(t, "["+strings.Join(records, ",")+"]"), http.StatusNoContent)
	alerts := h.alerts(t)
	if len(alerts) != 300 || alerts[299].Secret.Reveal() != "token-299" {
		t.Errorf("got %d alerts, want 300 in their order", len(alerts))
	}
}
