package webhook_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"stanch/notify"
	"stanch/notify/notifytest"
	"stanch/notify/webhook"
	"stanch/receiver/leak"
)

// The planted secrets: the signing key, and a part of the URL.
var (
	key  = "whsec_" + base64.StdEncoding.EncodeToString([]byte("planted-key-of-thirty-two-bytes!"))
	path = "/planted-path-token"
)

// receiver verifies events as a receiver would, with the library of Standard Webhooks.
type receiver struct {
	*httptest.Server
	t      *testing.T
	answer func(w http.ResponseWriter, body []byte) // nil: 204

	mu     sync.Mutex
	events []map[string]any
	ids    []string
}

func listen(t *testing.T, answer func(http.ResponseWriter, []byte)) *receiver {
	r := &receiver{t: t, answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the notifier gave up
	}
	verifier, err := standardwebhooks.NewWebhook(key)
	if err != nil {
		r.t.Error(err)
	}
	if err := verifier.Verify(body, request.Header); err != nil {
		r.t.Errorf("the signature is wrong: %v", err)
	}
	if got := request.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/cloudevents+json") {
		r.t.Errorf("got Content-Type %q", got)
	}
	var event map[string]any
	if err := json.Unmarshal(body, &event); err != nil {
		r.t.Errorf("the event is not JSON: %v", err)
	}
	r.mu.Lock()
	r.events, r.ids = append(r.events, event), append(r.ids, request.Header.Get("webhook-id"))
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(w, body)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// shown is every text of every event, one a line.
func (r *receiver) shown() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		texts(&b, e)
	}
	return b.String()
}

func texts(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		fmt.Fprintln(b, v)
	case []any:
		for _, item := range v {
			texts(b, item)
		}
	case map[string]any:
		for _, item := range v {
			texts(b, item)
		}
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t *testing.T, url string) notify.Notifier {
	t.Helper()
	c := webhook.Config{URLFile: file(t, url+path+"?token=planted-query"), SecretFile: file(t, key)}
	n, err := c.Open("hook", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Harness{
		Open: func(t *testing.T) (notify.Notifier, func() string) {
			r := listen(t, nil)
			return open(t, r.URL), r.shown
		},
		Stalled: func(t *testing.T) (notify.Notifier, <-chan struct{}) {
			reached, over := make(chan struct{}, 1), make(chan struct{})
			r := listen(t, func(http.ResponseWriter, []byte) { reached <- struct{}{}; <-over })
			t.Cleanup(func() { close(over) })
			return open(t, r.URL), reached
		},
		Broken: func(t *testing.T) notify.Notifier {
			r := listen(t, nil)
			r.Close()
			return open(t, r.URL)
		},
		Answers: func(t *testing.T, status int, retryAfter string) notify.Notifier {
			elsewhere := listen(t, func(http.ResponseWriter, []byte) { t.Error("a redirect was followed") })
			return open(t, listen(t, func(w http.ResponseWriter, body []byte) {
				w.Header().Set("Location", elsewhere.URL)
				if retryAfter != "" {
					w.Header().Set("Retry-After", retryAfter)
				}
				w.WriteHeader(status)
				_, _ = w.Write(body)
			}).URL)
		},
		Private: []string{"planted", "127.0.0.1", "token="},
		Markup:  []string{"<script>alert(1)</script>\x00", "\",\"severity\":\"info\x01"},
	})
}

// TestEvent: the event is a CloudEvent 1.0, and its id is the notice's, also when it comes again.
func TestEvent(t *testing.T) {
	r := listen(t, nil)
	n := open(t, r.URL)
	for range 2 {
		if err := n.Notify(t.Context(), notifytest.Notice("notice-1", leak.Critical)); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Notify(t.Context(), notifytest.Many("many-1", 3)); err != nil {
		t.Fatal(err)
	}
	incident := string(notifytest.Notice("", leak.Critical).Incident.ID)
	for i, row := range []struct{ id, kind, subject string }{
		{"notice-1", "stanch.incident.opened", incident},
		{"notice-1", "stanch.incident.opened", incident},
		{"many-1", "stanch.incidents.gathered", strings.Repeat("ab", 32)},
	} {
		e := r.events[i]
		for name, want := range map[string]string{
			"specversion": "1.0", "id": row.id, "source": "stanch", "type": row.kind, "subject": row.subject,
			"datacontenttype": "application/json", "time": "2026-11-21T14:03:05Z",
		} {
			if got := e[name]; got != want {
				t.Errorf("event %d: got %s %v, want %s", i, name, got, want)
			}
		}
		if r.ids[i] != row.id {
			t.Errorf("event %d: got webhook-id %q, want %q", i, r.ids[i], row.id)
		}
	}
	if got := r.events[2]["data"].(map[string]any)["incidents"].([]any); len(got) != 3 {
		t.Errorf("got %d incidents, want 3", len(got))
	}
}

// TestTimeout: a receiver that does not answer in time is given up although the caller would wait.
func TestTimeout(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	r := listen(t, func(http.ResponseWriter, []byte) { <-over })
	c := webhook.Config{URL: r.URL, SecretFile: file(t, key), Timeout: 10 * time.Millisecond}
	n, err := c.Open("hook", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = n.Notify(t.Context(), notifytest.Notice("1", leak.Info))
	if _, refused := errors.AsType[*notify.Refused](err); err == nil || refused {
		t.Errorf("got %v, want an error that a retry may help", err)
	}
}

func TestOutside(t *testing.T) {
	for _, internal := range []bool{true, false} {
		c := webhook.Config{URL: "https://hook.example", SecretFile: file(t, key), Internal: internal}
		n, err := c.Open("hook", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := n.(notify.Outsider).Outside(); got == internal {
			t.Errorf("internal %v: got outside %v", internal, got)
		}
	}
}

func TestCheck(t *testing.T) {
	secret := file(t, key)
	good := "https://hook.example/in"
	for name, row := range map[string]struct {
		config webhook.Config
		want   string // fields with a fault
	}{
		"good":           {webhook.Config{URL: good, SecretFile: secret, Timeout: 25 * time.Second}, ""},
		"in a file":      {webhook.Config{URLFile: file(t, good+"?token=planted"), SecretFile: secret}, ""},
		"loopback":       {webhook.Config{URL: "http://127.0.0.1:1", SecretFile: secret}, ""},
		"nothing":        {webhook.Config{}, "url secret_file"},
		"both":           {webhook.Config{URL: good, URLFile: file(t, good), SecretFile: secret}, "url_file"},
		"in clear":       {webhook.Config{URL: "http://planted.example", SecretFile: secret}, "url"},
		"with a query":   {webhook.Config{URL: good + "?planted", SecretFile: secret}, "url"},
		"file in clear":  {webhook.Config{URLFile: file(t, "http://planted.example"), SecretFile: secret}, "url_file"},
		"file, no URL":   {webhook.Config{URLFile: file(t, "planted\x7f"), SecretFile: secret}, "url_file"},
		"key too short":  {webhook.Config{URL: good, SecretFile: file(t, "whsec_cGxhbnRlZA==")}, "secret_file"},
		"key too long":   {webhook.Config{URL: good, SecretFile: file(t, "whsec_"+strings.Repeat("cGxh", 30))}, "secret_file"},
		"no prefix":      {webhook.Config{URL: good, SecretFile: file(t, strings.TrimPrefix(key, "whsec_"))}, "secret_file"},
		"not base64":     {webhook.Config{URL: good, SecretFile: file(t, "whsec_"+strings.Repeat("!planted", 6))}, "secret_file"},
		"timeout":        {webhook.Config{URL: good, SecretFile: secret, Timeout: time.Minute}, "timeout"},
		"timeout, below": {webhook.Config{URL: good, SecretFile: secret, Timeout: -1}, "timeout"},
	} {
		var fields []string
		row.config.Check(func(field, problem string) {
			fields = append(fields, field)
			if strings.Contains(problem, "planted") || strings.Contains(problem, "cGxh") {
				t.Errorf("%s: got %q, which repeats what was written", name, problem)
			}
		})
		if got := strings.Join(fields, " "); got != row.want {
			t.Errorf("%s: got faults of %q, want %q", name, got, row.want)
		}
		if _, err := row.config.Open("hook", slog.New(slog.DiscardHandler)); (err != nil) != (row.want != "") {
			t.Errorf("%s: got %v from Open", name, err)
		}
	}
}
