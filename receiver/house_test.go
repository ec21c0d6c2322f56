package receiver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/github"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
	"stanch/receiver/seal"
)

const planted = "planted-token-77aa"

// house is a Handler with everything real around it: keys on disk, a key server, HTTP on both sides.
type house struct {
	signer   *feedfake.Signer
	keys     *feedfake.KeyServer
	store    *memory.Store
	queued   map[string][]queue.Message // taken off each work queue
	seal     *seal.Recipient
	opener   *seal.Identities
	log      bytes.Buffer // of one delivery after the other
	registry *prometheus.Registry
	handler  *receiver.Handler
	url      string
}

func newHouse(tb testing.TB, change ...func(*house, *receiver.Config)) *house {
	tb.Helper()
	h := &house{
		signer: newSigner(tb), store: memory.New(), registry: prometheus.NewRegistry(),
		queued: map[string][]queue.Message{},
	}
	h.keys = feedfake.NewKeyServer(h.signer)
	recipient, opener := newSealing(tb)
	h.seal, h.opener = recipient, opener
	config := receiver.Config{
		Sources: map[string]receiver.Source{"gh": newPartner(tb, h.keys)},
		Seal:    recipient,
		Store:   h.store,
		Log:     slog.New(slog.NewJSONHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: h.registry,
	}
	for _, c := range change {
		c(h, &config)
	}
	h.handler = receiver.New(config)
	server := httptest.NewServer(h.handler)
	tb.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func newSealing(tb testing.TB) (*seal.Recipient, *seal.Identities) {
	tb.Helper()
	dir := tb.TempDir()
	if err := seal.Generate(dir); err != nil {
		tb.Fatal(err)
	}
	recipient, err := seal.LoadRecipient(dir)
	if err != nil {
		tb.Fatal(err)
	}
	identities, err := seal.LoadIdentities(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return recipient, identities
}

func newSigner(tb testing.TB) *feedfake.Signer {
	tb.Helper()
	signer, err := feedfake.NewSigner()
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

func newPartner(tb testing.TB, keys http.Handler) receiver.Source {
	tb.Helper()
	server := httptest.NewServer(keys)
	tb.Cleanup(server.Close)
	config := github.PartnerConfig{KeysURL: server.URL}
	source, err := config.Open("gh", nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

// deliver posts a signed delivery.
func (h *house) deliver(tb testing.TB, body string) *http.Response {
	tb.Helper()
	return h.send(tb, http.MethodPost, "/hooks/gh", h.signer.GitHubHeader([]byte(body)), strings.NewReader(body))
}

// send makes a request and checks that the answer holds nothing of the delivery.
func (h *house) send(tb testing.TB, method, path string, header http.Header, body io.Reader) *http.Response {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), method, h.url+path, body)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if strings.Contains(fmt.Sprint(string(text), response.Header), planted) {
		tb.Errorf("the answer %q holds the planted token", text)
	}
	return response
}

// alerts takes what is queued for the engine off the queue, and returns everything that ever was.
func (h *house) alerts(tb testing.TB) []leak.Content {
	tb.Helper()
	var found []leak.Content
	for _, message := range h.take(tb, queue.Alerts) {
		found = append(found, h.alert(tb, message))
	}
	return found
}

// take takes what is queued off a work queue, and returns everything that ever was.
func (h *house) take(tb testing.TB, stream string) []queue.Message {
	tb.Helper()
	stats, err := h.store.Stats(tb.Context(), stream)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	left := stats.Messages
	if left > 0 {
		err = h.store.Work(ctx, queue.Consumer{Stream: stream, Name: "test"}, func(_ context.Context, m queue.Message) error {
			h.queued[stream] = append(h.queued[stream], m)
			if left--; left == 0 {
				cancel()
			}
			return nil
		})
	}
	if err != nil {
		tb.Fatal(err)
	}
	return h.queued[stream]
}

func (h *house) alert(tb testing.TB, message queue.Message) leak.Content {
	tb.Helper()
	var alert leak.Alert
	if err := json.Unmarshal(message.Data, &alert); err != nil {
		tb.Fatal(err)
	}
	if alert.V != 1 || alert.Source != "gh" || alert.ReceivedAt.IsZero() || message.Subject != queue.AlertSubject("gh") {
		tb.Errorf("got the alert %s of %q at %v on %s", alert.ID, alert.Source, alert.ReceivedAt, message.Subject)
	}
	return h.open(tb, alert)
}

func (h *house) dead(tb testing.TB) []leak.DeadLetter {
	tb.Helper()
	var found []leak.DeadLetter
	for message, err := range h.store.Scan(tb.Context(), queue.DeadSubject("gh")) {
		var letter leak.DeadLetter
		if err := errors.Join(err, json.Unmarshal(message.Data, &letter)); err != nil {
			tb.Fatal(err)
		}
		found = append(found, letter)
	}
	return found
}

func (h *house) open(tb testing.TB, a leak.Alert) leak.Content {
	tb.Helper()
	content, err := h.opener.Open(a)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

func (h *house) wantStored(tb testing.TB, alerts, dead int) {
	tb.Helper()
	if a, d := len(h.alerts(tb)), len(h.dead(tb)); a != alerts || d != dead {
		tb.Errorf("got %d alerts and %d dead letters stored, want %d and %d", a, d, alerts, dead)
	}
}

func (h *house) wantCounted(tb testing.TB, source, result string, want int) {
	tb.Helper()
	line := fmt.Sprintf("stanch_deliveries_total{result=%q,source=%q} %d\n", result, source, want)
	if !strings.Contains(h.metrics(tb), line) {
		tb.Errorf("the metrics lack %s", line)
	}
}

// metrics returns all metrics as text.
func (h *house) metrics(tb testing.TB) string {
	tb.Helper()
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(h.registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	return recorder.Body.String()
}

func wantStatus(tb testing.TB, response *http.Response, want int) {
	tb.Helper()
	if response.StatusCode != want {
		tb.Errorf("got the status %d, want %d", response.StatusCode, want)
	}
	if again := response.Header.Get("Retry-After"); (again != "") != (want == 503 || want == 429) {
		tb.Errorf("got Retry-After %q with the status %d", again, want)
	}
}

func record(token string) string {
	return `{"token":"` + token + `","type":"t","url":"u","source":"Commit"}`
}
