package publickeys_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/leak"
	"stanch/receiver/publickeys"
)

var body = []byte(`[{"token":"planted-token"}]`)

func TestPublicKeysAreAskedForOnce(t *testing.T) {
	signer := newSigner(t)
	server := feedfake.NewKeyServer(signer)
	keys := newKeys(t, server)
	for range 3 {
		wantVerify(t, keys, signer, nil)
	}
	if got := len(server.Requests()); got != 1 {
		t.Errorf("got %d requests, want 1", got)
	}
}

func TestPublicKeysConfirmUnchangedDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer := newSigner(t)
		server := feedfake.NewKeyServer(signer)
		registry := prometheus.NewRegistry()
		keys := newKeysWith(t, publickeys.Config{Transport: inProcess(server), Metrics: registry})
		wantAge(t, registry, 0)
		refresh(t, keys)
		time.Sleep(time.Hour)
		wantAge(t, registry, time.Hour)
		refresh(t, keys)
		wantAge(t, registry, 0)
		requests := server.Requests()
		if len(requests) != 2 || requests[1].Header.Get("If-None-Match") == "" {
			t.Errorf("got %d requests, the last without If-None-Match, want 2 and one with it", len(requests))
		}
		wantVerify(t, keys, signer, nil)
	})
}

// TestPublicKeysReady: the first document makes the cache ready, for good; a server that is down does not.
func TestPublicKeysReady(t *testing.T) {
	server := feedfake.NewKeyServer(newSigner(t))
	keys := newKeys(t, server)
	ready := func() bool {
		select {
		case <-keys.Ready():
			return true
		default:
			return false
		}
	}
	server.Fail(http.StatusInternalServerError)
	if err := keys.Refresh(t.Context()); err == nil || ready() {
		t.Errorf("got %v from a server that is down, and ready %v", err, ready())
	}
	server.Fail(0)
	for range 2 {
		refresh(t, keys)
		if !ready() {
			t.Error("there are keys, and they are not ready")
		}
	}
}

func TestPublicKeysRotation(t *testing.T) {
	before, after := newSigner(t), newSigner(t)
	server := feedfake.NewKeyServer(before)
	keys := newKeys(t, server)
	wantVerify(t, keys, before, nil)
	server.Publish(feedfake.Document(before, after))
	wantVerify(t, keys, after, nil)
	wantVerify(t, keys, before, nil) // no longer the current key, and good all the same
	server.Publish(feedfake.Document(after))
	refresh(t, keys)
	wantVerify(t, keys, before, receiver.ErrUnverified)
}

func TestPublicKeysServerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer, stranger := newSigner(t), newSigner(t)
		server := feedfake.NewKeyServer(signer)
		server.Fail(http.StatusBadGateway)
		keys := newKeysWith(t, publickeys.Config{Transport: inProcess(server)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- keys.Run(ctx) }()
		wantVerify(t, keys, signer, receiver.ErrUnavailable)

		server.Fail(0)
		time.Sleep(time.Minute) // Run has tried again
		wantVerify(t, keys, signer, nil)

		server.Fail(http.StatusBadGateway)
		time.Sleep(48 * time.Hour)
		wantVerify(t, keys, signer, nil)                       // the last good keys are served
		wantVerify(t, keys, stranger, receiver.ErrUnavailable) // it may be a new key: we cannot tell
		server.Fail(0)
		time.Sleep(3 * time.Minute)
		wantVerify(t, keys, stranger, receiver.ErrUnverified)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v from Run, want nil", err)
		}
	})
}

// TestPublicKeysRequestBudget counts what GitHub would count: 60 requests an hour without a token.
func TestPublicKeysRequestBudget(t *testing.T) {
	for name, status := range map[string]int{"up": 0, "down": http.StatusServiceUnavailable} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stranger := newSigner(t)
				server := feedfake.NewKeyServer(newSigner(t))
				server.Fail(status)
				keys := newKeysWith(t, publickeys.Config{Transport: inProcess(server)})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { _ = keys.Run(ctx) }()
				id, signature := stranger.Sign(body)
				for range 3600 {
					time.Sleep(time.Second)
					if err := keys.Verify(ctx, id, signature, body); err == nil {
						t.Fatal("verified the signature of a stranger")
					}
				}
				if got := len(server.Requests()); got > 53 || got < 15 {
					t.Errorf("got %d requests in an hour of unknown ids, want 15 to 53", got)
				}
			})
		})
	}
}

// TestPublicKeysThrottled: until the next request is allowed, an id that the document lacks is unknown. Then a new key is found, and
// while the server is down an unknown id may be a new key.
func TestPublicKeysThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer, stranger := newSigner(t), newSigner(t)
		server := feedfake.NewKeyServer(signer)
		keys := newKeysWith(t, publickeys.Config{Transport: inProcess(server)})
		for range 100 {
			wantVerify(t, keys, stranger, receiver.ErrUnverified)
		}
		asked := len(server.Requests())
		if asked > 2 {
			t.Errorf("got %d requests for 100 unknown ids, want one beside the first", asked)
		}
		time.Sleep(59 * time.Second)
		wantVerify(t, keys, stranger, receiver.ErrUnverified)
		if got := len(server.Requests()); got != asked {
			t.Errorf("got %d more requests, want none so soon", got-asked)
		}
		server.Fail(http.StatusBadGateway)
		time.Sleep(time.Second)
		wantVerify(t, keys, stranger, receiver.ErrUnavailable)
		server.Fail(0)
		server.Publish(feedfake.Document(signer, stranger))
		time.Sleep(59 * time.Second)
		wantVerify(t, keys, stranger, receiver.ErrUnavailable) // nobody could be asked, and nobody may yet
		time.Sleep(time.Second)
		wantVerify(t, keys, stranger, nil)
	})
}

// TestPublicKeysPoisoned has forgers at work for an hour: they cause one request a minute at most, and few in all.
func TestPublicKeysPoisoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer, stranger := newSigner(t), newSigner(t)
		server := feedfake.NewKeyServer(signer)
		keys := newKeysWith(t, publickeys.Config{Transport: inProcess(server)})
		wantVerify(t, keys, signer, nil)
		id, signature := stranger.Sign(body)
		for range 60 {
			before := len(server.Requests())
			for range 60 {
				time.Sleep(time.Second)
				_ = keys.Verify(t.Context(), id, signature, body)
			}
			if got := len(server.Requests()) - before; got > 1 {
				t.Errorf("got %d requests within a minute, want 1 at most", got)
			}
		}
		if got := len(server.Requests()); got > 16 {
			t.Errorf("got %d requests in an hour, want 16 at most", got)
		}
	})
}

// TestPublicKeysSingleFlight lets the server answer only when all hundred callers wait for it.
func TestPublicKeysSingleFlight(t *testing.T) {
	signer := newSigner(t)
	server := feedfake.NewKeyServer(signer)
	keys := newKeys(t, server)
	release := server.Hold()
	defer release()
	id, signature := signer.Sign(body)
	const all = 100
	var waiting atomic.Int32
	var wg sync.WaitGroup
	for range all {
		wg.Go(func() {
			ctx := waiter{t.Context(), func() {
				if waiting.Add(1) == all {
					release()
				}
			}}
			if err := keys.Verify(ctx, id, signature, body); err != nil {
				t.Errorf("got %v, want nil", err)
			}
		})
	}
	wg.Wait()
	if got := len(server.Requests()); got != 1 {
		t.Errorf("got %d requests for %d deliveries at once, want 1", got, all)
	}
}

// waiter tells when somebody is about to wait for it.
type waiter struct {
	context.Context
	waits func()
}

func (w waiter) Done() <-chan struct{} {
	w.waits()
	return w.Context.Done()
}

// TestPublicKeysHangUp checks that a caller that hangs up is answered at once, and the others get theirs.
func TestPublicKeysHangUp(t *testing.T) {
	signer := newSigner(t)
	server := feedfake.NewKeyServer(signer)
	keys := newKeys(t, server)
	release := server.Hold()
	defer release()
	id, signature := signer.Sign(body)
	ctx, cancel := context.WithCancel(t.Context())
	err := keys.Verify(waiter{ctx, cancel}, id, signature, body)
	if !errors.Is(err, receiver.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from a delivery that hung up, want receiver.ErrUnavailable", err)
	}
	release()
	wantVerify(t, keys, signer, nil)
}

func TestPublicKeysRedirects(t *testing.T) {
	signer := newSigner(t)
	elsewhere := httptest.NewServer(feedfake.NewKeyServer(signer))
	defer elsewhere.Close()
	mux := http.NewServeMux()
	mux.Handle("/away", http.RedirectHandler(elsewhere.URL+"/", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.Handle("/moved", http.RedirectHandler("/keys", http.StatusMovedPermanently))
	mux.Handle("/keys", feedfake.NewKeyServer(signer))
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, want := range map[string]bool{"/away": false, "/round": false, "/moved": true} {
		keys := newKeysWith(t, publickeys.Config{URL: server.URL + path + "?q=planted", Token: leak.NewSecret("planted")})
		err := keys.Refresh(t.Context())
		if (err == nil) != want {
			t.Errorf("%s: got %v, want success: %t", path, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: got an error that holds the query or the token: %v", path, err)
		}
	}
}

func TestPublicKeysMetricOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	config := publickeys.Config{Source: "gh", Metrics: registry}
	if _, err := publickeys.New(config); err != nil {
		t.Fatalf("got %v, want nil", err)
	}
	if _, err := publickeys.New(config); err == nil {
		t.Error("got no error for a second source with the same name")
	}
	config.Source = "gl"
	if _, err := publickeys.New(config); err != nil {
		t.Errorf("got %v for another source, want nil", err)
	}
}

func newSigner(tb testing.TB) *feedfake.Signer {
	tb.Helper()
	signer, err := feedfake.NewSigner()
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

func newKeys(tb testing.TB, handler http.Handler) *publickeys.Cache {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return newKeysWith(tb, publickeys.Config{URL: server.URL})
}

func newKeysWith(tb testing.TB, c publickeys.Config) *publickeys.Cache {
	tb.Helper()
	if c.URL == "" {
		c.URL = "https://keys.example.com/"
	}
	c.Source = "gh"
	keys, err := publickeys.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// inProcess serves requests without a network, which fake time cannot wait for.
func inProcess(handler http.Handler) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		return recorder.Result(), nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func refresh(tb testing.TB, keys *publickeys.Cache) {
	tb.Helper()
	if err := keys.Refresh(tb.Context()); err != nil {
		tb.Fatalf("got %v from Refresh, want nil", err)
	}
}

func wantVerify(tb testing.TB, keys *publickeys.Cache, signer *feedfake.Signer, want error) {
	tb.Helper()
	id, signature := signer.Sign(body)
	if err := keys.Verify(tb.Context(), id, signature, body); !errors.Is(err, want) {
		tb.Errorf("got %v, want %v", err, want)
	}
}

func wantAge(tb testing.TB, registry *prometheus.Registry, want time.Duration) {
	tb.Helper()
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		tb.Fatalf("got %d metrics and %v, want the age", len(families), err)
	}
	if got := families[0].GetMetric()[0].GetGauge().GetValue(); got != want.Seconds() {
		tb.Errorf("got the age %v, want %v", got, want.Seconds())
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		tb.Errorf("got the problems %v and %v, want none", problems, err)
	}
}
