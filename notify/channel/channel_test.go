package channel_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// ask sends a request to a server that answers as it is told.
func ask(t *testing.T, answer http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return askURL(t.Context(), t, server.URL+"/planted-path")
}

func askURL(ctx context.Context, t *testing.T, url string) error {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	err = channel.Do(outbound.NewClient(outbound.Config{}), request)
	if err != nil && (strings.Contains(err.Error(), "planted") || strings.Contains(err.Error(), "127.0.0.1")) {
		t.Errorf("got %q, want nothing of the address or the answer", err)
	}
	return err
}

// TestStatuses: which answers are success, which refusals, which worth another try.
func TestStatuses(t *testing.T) {
	const fine, refused, again, throttled = "fine", "refused", "again", "throttled"
	for status, want := range map[int]string{
		200: fine, 202: fine, 204: fine, 301: again, 302: again, 307: again, 400: refused, 401: refused, 403: refused,
		404: refused, 408: again, 410: refused, 413: refused, 422: refused, 425: again, 429: throttled, 500: again,
		502: again, 503: again, 504: again,
	} {
		err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/planted-elsewhere")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "a planted word")
		})
		got := again
		if err == nil {
			got = fine
		} else if _, ok := errors.AsType[*notify.Refused](err); ok {
			got = refused
		} else if _, ok := errors.AsType[*leak.Throttled](err); ok {
			got = throttled
		}
		if got != want {
			t.Errorf("%d: got %v, which is %s; want %s", status, err, got, want)
		}
	}
}

// TestSuccess: a channel that always answers alike has succeeded only when it does.
func TestSuccess(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	for _, row := range []struct {
		success []int
		want    error
	}{{nil, nil}, {[]int{200, 202}, nil}, {[]int{202}, channel.Status(200)}} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := channel.Do(outbound.NewClient(outbound.Config{}), request, row.success...); !errors.Is(err, row.want) {
			t.Errorf("200, and %v are success: got %v, want %v", row.success, err, row.want)
		}
	}
}

// TestRetryAfter: which answers ask to wait, and how long.
func TestRetryAfter(t *testing.T) {
	for _, row := range []struct {
		code int
		text string
		want time.Duration
		asks bool
	}{
		{429, "", 0, true},
		{429, "17", 17 * time.Second, true},
		{429, "soon", 0, true},
		{429, "99999999999999", 24 * time.Hour, true},
		{503, "17", 17 * time.Second, true},
		{503, "0", 0, true},
		{503, "", 0, false},
		{503, "soon", 0, false},
		{500, "17", 0, false},
	} {
		err := channel.Answered(row.code, http.Header{"Retry-After": {row.text}})
		throttled, ok := errors.AsType[*leak.Throttled](err)
		if ok != row.asks || ok && throttled.After != row.want {
			t.Errorf("%d with %q: got %v, want to wait %v: %v", row.code, row.text, err, row.want, row.asks)
		}
	}
}

// TestRedirect: neither the notice nor the credential goes to another place.
func TestRedirect(t *testing.T) {
	followed := false
	mux := http.NewServeMux()
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/there", func(http.ResponseWriter, *http.Request) { followed = true })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	if err := askURL(t.Context(), t, server.URL+"/here"); err == nil || followed {
		t.Errorf("got %v, followed: %v; want an error and nothing there", err, followed)
	}
}

// TestAnswerTooLong: a channel cannot make us read for ever, and what is cut off is no success.
func TestAnswerTooLong(t *testing.T) {
	err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
		for chunk := strings.Repeat("x", 1<<16); ; {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	})
	if err == nil {
		t.Error("got no error")
	}
}

// TestNoAnswer: why there was none, in our own words.
func TestNoAnswer(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	for url, want := range map[string]string{
		closed.URL: "connection refused", untrusted.URL: "certificate",
		"http://planted.invalid": "host name",
	} {
		if err := askURL(t.Context(), t, url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	err := ask(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if !errors.Is(err, outbound.ErrNoAnswer) {
		t.Errorf("connection cut: got %v, want %v", err, outbound.ErrNoAnswer)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := askURL(ctx, t, closed.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("no time left: got %v, want context.Canceled", err)
	}
}
