package receiver_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/github"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

const (
	hookSecret = "a secret of thirty-two bytes, ok"
	form       = "application/x-www-form-urlencoded"
)

// newHook makes a source for the hooks of the organisation acme.
func newHook(tb testing.TB) receiver.Source {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(hookSecret), 0o600); err != nil {
		tb.Fatal(err)
	}
	config := github.HookConfig{Organization: "acme", SecretFiles: []string{path}}
	source, err := config.Open("gh", nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

// alertHook writes a delivery about an alert of a repository. It carries the planted token.
func alertHook(number int, action, updated string) string {
	return fmt.Sprintf(`{"action":%q,"alert":{"number":%d,"secret_type":"t","updated_at":%q,"secret":%q},`+
		`"repository":{"full_name":"Acme/Rocket-Shop"}}`, action, number, updated, planted)
}

// deliverHook posts a signed delivery.
func (h *house) deliverHook(tb testing.TB, kind, body string) *http.Response {
	tb.Helper()
	header := feedfake.GitHubHook(hookSecret, []byte(body))
	header.Set("Content-Type", kind)
	return h.send(tb, http.MethodPost, "/hooks/gh", header, strings.NewReader(body))
}

// pointers returns what is queued for the collector.
func (h *house) pointers(tb testing.TB) (messages []queue.Message, pointers []leak.Pointer) {
	tb.Helper()
	messages = h.take(tb, queue.Pointers)
	for _, message := range messages {
		var p leak.Pointer
		if err := json.Unmarshal(message.Data, &p); err != nil {
			tb.Fatal(err)
		}
		pointers = append(pointers, p)
	}
	return messages, pointers
}

func TestHandlerStoresAPointer(t *testing.T) {
	h := newHouse(t, withSource(newHook(t)))
	before := time.Now()
	wantStatus(t, h.deliverHook(t, "application/json", alertHook(7, "created", "now")), http.StatusNoContent)
	messages, pointers := h.pointers(t)
	if len(pointers) != 1 {
		t.Fatalf("got %d pointers, want 1", len(pointers))
	}
	got := pointers[0]
	if at := got.ReceivedAt; at.Before(before) || at.After(time.Now()) {
		t.Errorf("got a pointer received at %v, want between now and %v", at, before)
	}
	got.ReceivedAt = time.Time{}
	if want := (leak.Pointer{V: 1, Source: "gh", Ref: "acme/rocket-shop/7", Event: "created"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if id := messages[0].ID; len(id) != 64 || strings.Contains(messages[0].Subject+id, "rocket") {
		t.Errorf("got the message %s on %s, want one that says nothing of the repository", id, messages[0].Subject)
	}
	h.wantStored(t, 0, 0)
	h.wantCounted(t, "gh", "stored", 1)
	for _, want := range []string{`stanch_pointers_total{source="gh"} 1`, `stanch_alerts_total{source="gh"} 0`} {
		if !strings.Contains(h.metrics(t), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if !strings.Contains(h.log.String(), `"pointers":1`) {
		t.Errorf("the log does not tell of the pointer: %s", h.log.String())
	}
}

// TestHandlerAbsorbsRedeliveries sends one delivery a hundred times, each under a name of its own: that makes one pointer. When
// the same thing happens again, that makes another.
func TestHandlerAbsorbsRedeliveries(t *testing.T) {
	h := newHouse(t, withSource(newHook(t)))
	for i := range 100 {
		body := alertHook(7, "created", "now")
		header := feedfake.GitHubHook(hookSecret, []byte(body))
		header.Set("X-Github-Delivery", fmt.Sprint(i))
		wantStatus(t, h.send(t, http.MethodPost, "/hooks/gh", header, strings.NewReader(body)), http.StatusNoContent)
	}
	for _, other := range []string{
		alertHook(7, "created", "later"), alertHook(7, "validated", "now"), alertHook(8, "created", "now"),
	} {
		wantStatus(t, h.deliverHook(t, "application/json", other), http.StatusNoContent)
	}
	if _, pointers := h.pointers(t); len(pointers) != 4 {
		t.Errorf("got %d pointers, want 4", len(pointers))
	}
	h.wantCounted(t, "gh", "stored", 103)
}

func TestHandlerHookAnswers(t *testing.T) {
	alert := alertHook(7, "created", "now")
	escaped := "payload=" + url.QueryEscape(alert)
	padded := func(size int) string { return alert + strings.Repeat(" ", size-len(alert)) }
	most := 25 << 20
	for name, row := range map[string]struct {
		kind, body     string
		status         int
		result         string
		pointers, dead int
	}{
		"JSON":                   {"application/json; charset=utf-8", alert, 204, "stored", 1, 0},
		"not declared":           {"", alert, 204, "stored", 1, 0},
		"a form":                 {form, escaped, 204, "stored", 1, 0},
		"a form with parameters": {"Application/X-WWW-Form-URLEncoded; charset=utf-8", escaped, 204, "stored", 1, 0},
		"a form declared JSON":   {"application/json", escaped, 204, "stored", 1, 0},
		"JSON declared a form":   {form, alert, 204, "stored", 1, 0},
		"as large as GitHub's":   {"application/json", padded(most), 204, "stored", 1, 0},
		"a form as large":        {form, escaped + "&x=" + strings.Repeat("a", most-len(escaped)-3), 204, "stored", 1, 0},
		"larger":                 {"application/json", padded(most + 1), 413, "too_large", 0, 0},
		"closed by somebody":     {"application/json", alertHook(7, "resolved", "now"), 204, "ignored", 0, 0},
		"unusable":               {"application/json", alertHook(0, "created", "now"), 204, "stored", 0, 1},
		"no form":                {form, "payload=%zz" + planted, 400, "format", 0, 0},
		"many files":             {"multipart/form-data; boundary=x", escaped, 415, "content_type", 0, 0},
		"text":                   {"text/plain", alert, 415, "content_type", 0, 0},
		"no media type":          {planted, alert, 415, "content_type", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, withSource(newHook(t)))
			wantStatus(t, h.deliverHook(t, row.kind, row.body), row.status)
			if _, pointers := h.pointers(t); len(pointers) != row.pointers {
				t.Errorf("got %d pointers, want %d", len(pointers), row.pointers)
			}
			h.wantStored(t, 0, row.dead)
			h.wantCounted(t, "gh", row.result, 1)
			h.wantNothingPlanted(t)
		})
	}
}

// wantNothingPlanted looks for the planted token, which is in every delivery here, in everything that is stored and shown.
func (h *house) wantNothingPlanted(tb testing.TB) {
	tb.Helper()
	shown := h.log.String() + h.metrics(tb)
	for _, message := range h.take(tb, queue.Pointers) {
		shown += message.Subject + message.ID + string(message.Data)
	}
	for message, err := range h.store.Scan(tb.Context(), queue.DeadSubject("gh")) {
		if err != nil {
			tb.Fatal(err)
		}
		shown += message.Subject + message.ID + string(message.Data)
	}
	if strings.Contains(shown, planted) || !strings.Contains(shown, `"msg":"delivery"`) {
		tb.Errorf("the planted token is in clear, or nothing was logged: %s", shown)
	}
}

// TestHandlerHookUnread: a delivery without a well-formed signature, or of a wrong content type, is refused before a byte of its
// body is read.
func TestHandlerHookUnread(t *testing.T) {
	h := newHouse(t, withSource(newHook(t)))
	for name, row := range map[string]struct {
		field, value string
		want         int
	}{
		"no signature":          {"X-Hub-Signature-256", "", 401},
		"a short one":           {"X-Hub-Signature-256", "sha256=00", 401},
		"SHA-1":                 {"X-Hub-Signature-256", "sha1=" + strings.Repeat("0", 40), 401},
		"another content type":  {"Content-Type", "text/plain", 415},
		"a form that is packed": {"Content-Encoding", "gzip", 415},
	} {
		request := httptest.NewRequest(http.MethodPost, "/hooks/gh", unread{t})
		request.Header = feedfake.GitHubHook(hookSecret, nil)
		request.Header.Set(row.field, row.value)
		recorder := httptest.NewRecorder()
		h.handler.ServeHTTP(recorder, request)
		if recorder.Code != row.want {
			t.Errorf("%s: got the status %d, want %d", name, recorder.Code, row.want)
		}
	}
}

// TestHandlerPointersAreRecords: pointers count against the limit of records, together with alerts and bad records.
func TestHandlerPointersAreRecords(t *testing.T) {
	for most, want := range map[int]int{3: http.StatusNoContent, 2: http.StatusRequestEntityTooLarge} {
		h := newHouse(t, withSource(scripted{parse: func() (receiver.Parsed, error) {
			return receiver.Parsed{
				Found:    []leak.Content{{Secret: leak.NewSecret(planted)}},
				Pointers: []leak.Pointer{{Ref: "a/b/1"}},
				Bad:      []receiver.Bad{{Raw: leak.NewSecret(planted), Reason: "it is bad"}},
			}, nil
		}}), func(_ *house, c *receiver.Config) { c.Limits.AlertsPerDelivery = most })
		wantStatus(t, h.deliver(t, "[]"), want)
		stored := 0
		if want == http.StatusNoContent {
			stored = 1
		}
		h.wantStored(t, stored, stored)
		if _, pointers := h.pointers(t); len(pointers) != stored {
			t.Errorf("got %d pointers, want %d", len(pointers), stored)
		}
	}
}

// TestHandlerPointersOfOneDelivery: each event of each alert makes one pointer, also if it is reported twice.
func TestHandlerPointersOfOneDelivery(t *testing.T) {
	h := newHouse(t, withSource(scripted{parse: func() (receiver.Parsed, error) {
		return receiver.Parsed{Pointers: []leak.Pointer{
			{Ref: "a", Event: "x"}, {Ref: "a", Event: "y"}, {Ref: "b", Event: "x"}, {Ref: "a", Event: "x"},
		}}, nil
	}}))
	wantStatus(t, h.deliver(t, "[]"), http.StatusNoContent)
	if _, pointers := h.pointers(t); len(pointers) != 3 {
		t.Errorf("got %d pointers, want 3", len(pointers))
	}
}

// TestHandlerPointerNotStored: GitHub does not repeat a delivery by itself, but lists it as failed, so we can ask for it.
func TestHandlerPointerNotStored(t *testing.T) {
	store := &failing{Store: memory.New(), err: queue.ErrFull}
	h := newHouse(t, withSource(newHook(t)), func(h *house, c *receiver.Config) { h.store, c.Store = store.Store, store })
	wantStatus(t, h.deliverHook(t, form, "payload="+url.QueryEscape(alertHook(7, "created", "now"))), 503)
	h.wantCounted(t, "gh", "not_stored", 1)
	if !strings.Contains(h.metrics(t), `stanch_pointers_total{source="gh"} 0`) {
		t.Error("a pointer that was not stored is counted")
	}
}
