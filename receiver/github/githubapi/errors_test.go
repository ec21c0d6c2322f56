package githubapi_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// fetchFails fetches an alert and returns the error, which must not be nil.
func (w *world) fetchFails(t *testing.T) error {
	t.Helper()
	found, err := w.vendor.Fetch(t.Context(), "acme/shop/1")
	if err == nil {
		t.Fatalf("got %d contents and no error", len(found))
	}
	w.silent(t, err.Error())
	return err
}

// TestRateLimit: when the requests of the hour are used up, none is sent until the next one.
func TestRateLimit(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusTooManyRequests} {
		w := newWorld(t, githubfake.Options{RateLimit: 4, Switches: githubfake.Switches{Limited: status}})
		w.add(githubfake.Alert{})
		w.mustFetch(t, "acme/shop/1")
		w.mustFetch(t, "acme/shop/1")
		for range 3 {
			wish, ok := errors.AsType[*leak.Throttled](w.fetchFails(t))
			if !ok || wish.After < 59*time.Minute || wish.After > time.Hour {
				t.Errorf("%d: got %v, want to wait until the hour is over", status, wish)
			}
		}
		if got := w.Count("", "", 0); got != 4 {
			t.Errorf("%d: got %d calls, want 4: the rest was known to be refused", status, got)
		}
	}
}

// TestLimits: GitHub asks us to wait in several ways.
func TestLimits(t *testing.T) {
	in := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
	const message = `{"message":"Slow down"}`
	for name, row := range map[string]struct {
		fault    githubfake.Fault
		min, max time.Duration
	}{
		"secondary, with a time":    {githubfake.SecondaryLimit(403, "30"), 29 * time.Second, 30 * time.Second},
		"secondary, 429":            {githubfake.SecondaryLimit(429, "30"), 30 * time.Second, 30 * time.Second},
		"secondary, without a time": {githubfake.SecondaryLimit(403, ""), time.Minute, time.Minute},
		"429 alone":                 {githubfake.Fault{Status: 429, Body: "<html>"}, time.Minute, time.Minute},
		"503 with a time":           {githubfake.Fault{Status: 503, Header: map[string]string{"Retry-After": "5"}}, 5 * time.Second, 5 * time.Second},
		"403 with a time":           {githubfake.Fault{Status: 403, Body: message, Header: map[string]string{"Retry-After": "5"}}, 5 * time.Second, 5 * time.Second},
		"secondary, in the middle of the hour": {
			githubfake.Fault{
				Status: 403, Body: `{"message":"no","documentation_url":"https://x/#about-secondary-rate-limits"}`,
				Header: map[string]string{"X-RateLimit-Remaining": "4321", "X-RateLimit-Reset": in(50 * time.Minute)},
			}, time.Minute, time.Minute,
		},
		"absurdly long": {githubfake.SecondaryLimit(403, "86400000"), time.Hour, time.Hour},
		"negative":      {githubfake.SecondaryLimit(403, "-5"), time.Minute, time.Minute},
		"overflowing":   {githubfake.SecondaryLimit(429, "9223372036854775808"), time.Minute, time.Minute},
		"429 until the reset": {githubfake.Fault{
			Status: 429, Body: message, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(10 * time.Minute)},
		}, 9 * time.Minute, 10 * time.Minute},
		"reset that has passed": {githubfake.Fault{
			Status: 403, Body: message, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(-time.Hour)},
		}, time.Minute, time.Minute},
		"reset in years": {githubfake.Fault{
			Status: 403, Body: message, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(30_000 * time.Hour)},
		}, 59 * time.Minute, time.Hour},
	} {
		w := newWorld(t, githubfake.Options{Enterprise: true})
		w.add(githubfake.Alert{})
		w.AddFault(row.fault)
		wish, ok := errors.AsType[*leak.Throttled](w.fetchFails(t))
		if !ok || wish.After < row.min || wish.After > row.max {
			t.Errorf("%s: got %+v, want to wait %v to %v", name, wish, row.min, row.max)
		}
	}
}

// TestResetAbsurd: an absurd header does not keep the collector from calling for years.
func TestResetAbsurd(t *testing.T) {
	w := newWorld(t, githubfake.Options{Enterprise: true})
	w.add(githubfake.Alert{})
	w.AddFault(githubfake.Fault{
		Op: githubfake.ListLocations, Status: 200, Body: "[]",
		Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"},
	})
	w.mustFetch(t, "acme/shop/1")
	wish, ok := errors.AsType[*leak.Throttled](w.fetchFails(t))
	if !ok || wish.After > time.Hour {
		t.Errorf("got %+v, want to wait an hour at most", wish)
	}
}

// TestErrorsSayWhatHelps: an error tells people what to do.
func TestErrorsSayWhatHelps(t *testing.T) {
	for name, row := range map[string]struct {
		fault githubfake.Fault
		want  []string
		means error
	}{
		"scopes": {githubfake.Fault{
			Status: 403, Body: `{"message":"no ` + planted.Reveal() + `"}`, Header: map[string]string{"X-Accepted-OAuth-Scopes": "repo, security_events"},
		}, []string{"403", "one of: repo, security_events"}, collect.ErrRefused},
		"permissions": {githubfake.Fault{
			Status: 403, Body: `{"message":"no"}`, Header: map[string]string{"X-Accepted-GitHub-Permissions": "secret_scanning_alerts=read"},
		}, []string{"403", "one of: secret_scanning_alerts=read"}, collect.ErrRefused},
		"anything for a scope": {githubfake.Fault{
			Status: 403, Body: `{"message":"no"}`, Header: map[string]string{"X-Accepted-OAuth-Scopes": "https://x/?" + planted.Reveal()},
		}, []string{"403"}, collect.ErrRefused},
		"renamed":      {vendorfake.Redirect(301, "https://api.github.example/repositories/7"), []string{"301", "renamed or moved"}, nil},
		"code":         {githubfake.Fault{Status: 422, Body: `{"message":"no","errors":[{"code":"invalid","field":"x"}]}`}, []string{"422 invalid"}, nil},
		"no code":      {githubfake.Fault{Status: 422, Body: `{"message":"no","errors":[{"code":"` + planted.Reveal() + `"}]}`}, []string{"422"}, nil},
		"not modified": {githubfake.Fault{Status: 304}, []string{"304"}, nil},
		"one-time password": {githubfake.Fault{
			Status: 401, Body: `{"message":"no"}`, Header: map[string]string{"X-GitHub-OTP": "required; app"},
		}, []string{"401"}, leak.ErrCredential},
	} {
		w := newWorld(t, githubfake.Options{})
		w.add(githubfake.Alert{})
		w.AddFault(row.fault)
		err := w.fetchFails(t)
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want it to say %q", name, err, want)
			}
		}
		for _, sentinel := range []error{collect.ErrGone, collect.ErrRefused, leak.ErrCredential} {
			if got, want := errors.Is(err, sentinel), errors.Is(row.means, sentinel); got != want {
				t.Errorf("%s: got %q, want it to mean %v", name, err, row.means)
			}
		}
	}
}

// TestAnswerTooLong: an endless answer is cut, and is then an error.
func TestAnswerTooLong(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	w.add(githubfake.Alert{})
	w.answer(githubfake.GetAlert, `{"number":1,"html_url":"`+strings.Repeat("x", 9<<20)+`","secret":"`+planted.Reveal()+`"}`)
	if err := w.fetchFails(t); !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("got %v, want an answer that cannot be read", err)
	}
}

// TestServerDown: nothing listens.
func TestServerDown(t *testing.T) {
	w := newWorld(t, githubfake.Options{})
	w.Close()
	for range 2 { // the first call may find a connection that is being closed
		if err := w.fetchFails(t); errors.Is(err, collect.ErrGone) ||
			!strings.Contains(err.Error(), ": connection re") && !strings.Contains(err.Error(), ": broken pipe") {
			t.Errorf("got %v, want that nobody is there", err)
		}
	}
}
