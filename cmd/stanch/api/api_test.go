package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/cmd/stanch/api"
	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue/memory"
	"stanch/receiver/seal"
)

// TestHalfAListIsNone asks before the index has read the log, and after.
func TestHalfAListIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		journal := ledger.New(store)
		_, err := journal.Append(t.Context(), ledger.Head{}, leak.Incident{ID: "aa11", State: leak.Left}, leak.Step{Step: leak.Spared})
		if err != nil {
			t.Fatal(err)
		}
		index := ledger.NewIndex(journal)
		operators := &api.API{
			Ledger: journal, Index: index, Sightings: ledger.NewSightings(store, &seal.Recipient{}, &seal.Identities{}),
			Ready: func() error { return nil }, Gatherer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		}
		handler := operators.Handler()
		paths := []string{"/api/v1/incidents", "/api/v1/incidents/aa11"}
		for _, path := range paths {
			if got := ask(t, handler, path); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" {
				t.Errorf("%s before the index is there: got %d %s", path, got.Code, got.Body)
			}
		}

		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		defer group.Wait()
		defer stop()
		group.Go(func() {
			time.Sleep(time.Second) // as long as a request waits gladly
			if err := index.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		for _, path := range paths {
			if got := ask(t, handler, path); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), "aa11") {
				t.Errorf("%s: got %d %s", path, got.Code, got.Body)
			}
		}
	})
}

func ask(t *testing.T, handler http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer
}
