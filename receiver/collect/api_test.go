package collect_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stanch/receiver/collect"
)

// TestNoAnswer: why there is no answer is said without the URL, whose query and user could be anything.
func TestNoAnswer(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	for name, row := range map[string]struct{ url, want string }{
		"silent": {silent.URL, "no answer in time"}, "cut": {cut.URL, "no answer"}, "certificate": {secure.URL, "certificate"},
		"nobody": {"http://127.0.0.1:1", "connect"}, "no host": {"http://" + planted + ".invalid", "lookup"},
	} {
		client := http.Client{Transport: collect.NewTransport(), Timeout: 200 * time.Millisecond}
		if name != "silent" {
			client.Timeout = time.Minute
		}
		_, err := client.Get(row.url + "/path?" + planted)
		got := collect.NoAnswer(context.Background(), err)
		if got == nil || !strings.Contains(got.Error(), row.want) || strings.Contains(got.Error(), "/path") {
			t.Errorf("%s: got %v, want %q and no URL", name, got, row.want)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if got := collect.NoAnswer(ended, context.DeadlineExceeded); !errors.Is(got, context.Canceled) {
		t.Errorf("got %v after the end of the context, want that", got)
	}
}
