package githubfake_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

// clock is a time that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

func TestRateLimit(t *testing.T) {
	for _, status := range []int{403, 429} {
		var clock clock
		server, _ := start(t, githubfake.Options{
			RateLimit: 2, Now: clock.now, Switches: githubfake.Switches{Limited: status},
		})
		server.AddAlert(githubfake.Alert{})
		token := server.AddToken(githubfake.Token{Login: "ann"})
		another := server.AddToken(githubfake.Token{Login: "ann"})
		for i, value := range []leak.Secret{token, another} {
			response, err := get(t, client(t, server, value), firstAlert, nil)
			expect(t, "within the limit", response, err, 200)
			if response.Rate.Limit != 2 || response.Rate.Remaining != 1-i || !response.Rate.Reset.After(time.Now()) {
				t.Errorf("got the rate %v", response.Rate)
			}
		}
		response, err := get(t, client(t, server, token), firstAlert, nil)
		expect(t, "over the limit", response, err, status)
		limited := new(github.RateLimitError)
		if got := errors.As(err, &limited); got != (status == 403) || response.Rate.Remaining != 0 {
			t.Errorf("%d: a RateLimitError: %v, the rate %v", status, got, response.Rate)
		}
		limits, response, err := client(t, server, token).RateLimit.Get(t.Context())
		expect(t, "rate_limit", response, err, 200)
		if limits.Core.Remaining != 0 {
			t.Errorf("got the limits %v", limits.Core)
		}
		other := client(t, server, server.AddToken(githubfake.Token{Login: "ben"}))
		response, err = get(t, other, firstAlert, nil)
		expect(t, "another user", response, err, 200)
		clock.advance(time.Hour)
		response, err = get(t, client(t, server, token), firstAlert, nil)
		expect(t, "an hour later", response, err, 200)
		server.ResetLimits()
		response, err = get(t, client(t, server, token), firstAlert, nil)
		expect(t, "a new hour", response, err, 200)
		if response.Rate.Remaining != 1 {
			t.Errorf("got the rate %v", response.Rate)
		}
	}
}

// A conditional request is answered 304 while nothing changed, and is not counted. To go-github that is an error.
func TestConditional(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	ask := func(tag string) (*github.Response, error) {
		request, err := c.NewRequest(http.MethodGet, firstAlert, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("If-None-Match", tag)
		return c.Do(t.Context(), request, nil)
	}
	first, err := ask("")
	expect(t, "first", first, err, 200)
	second, err := ask(first.Header.Get("ETag"))
	expect(t, "second", second, err, 304)
	plain := new(github.ErrorResponse)
	if !errors.As(err, &plain) || second.Rate.Remaining != first.Rate.Remaining {
		t.Errorf("got %T and the rate %v after %v", err, second.Rate, first.Rate)
	}
	if e := server.Journal()[1]; e.Secrets != 0 || e.Status != 304 {
		t.Errorf("got the event %+v", e)
	}
	server.Act(githubfake.Publish, "acme/shop", 1, githubfake.Change{})
	third, err := ask(first.Header.Get("ETag"))
	expect(t, "third", third, err, 200)
}

func TestSecondaryLimit(t *testing.T) {
	server, c := start(t, githubfake.Options{})
	server.AddAlert(githubfake.Alert{})
	server.AddFault(githubfake.SecondaryLimit(403, "7"))
	response, err := get(t, c, firstAlert, nil)
	expect(t, "403", response, err, 403)
	secondary := new(github.AbuseRateLimitError)
	if !errors.As(err, &secondary) || secondary.GetRetryAfter() != 7*time.Second {
		t.Errorf("got %T, to wait %v", err, secondary.GetRetryAfter())
	}
	c = client(t, server, server.AddToken(githubfake.Token{}))
	server.AddFault(githubfake.SecondaryLimit(429, ""))
	response, err = get(t, c, firstAlert, nil)
	expect(t, "429", response, err, 429)
	plain := new(github.ErrorResponse)
	if !errors.As(err, &plain) || errors.As(err, &secondary) || response.Header.Get("Retry-After") != "" {
		t.Errorf("got %T", err)
	}
}
