package gitlabfake

import (
	"net/http"
	"strconv"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// window returns the minute that a token's requests count in.
func (f *Fake) window(t *token) *vendorfake.Window { return f.minute("requests of " + t.Login) }

// minute returns the current minute of something that is counted.
func (f *Fake) minute(what string) *vendorfake.Window {
	return f.windows.At(what, f.options.Now(), time.Minute)
}

// ResetLimits starts a new minute for everybody, of requests and of resent events.
func (f *Fake) ResetLimits() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.windows)
}

// spend counts one more, and reports whether that is one too many; a limit of 0 is none.
func spend(w *vendorfake.Window, limit int) bool {
	w.Used++
	return limit > 0 && w.Used > limit
}

// mark adds what is left to an answer, and to a refusal how long to wait.
func (f *Fake) mark(a answer, w *vendorfake.Window, limit int) answer {
	wait := strconv.Itoa(int(w.Reset.Sub(f.options.Now())/time.Second) + 1)
	if a.Status == http.StatusTooManyRequests {
		a = a.With("Retry-After", wait)
	}
	if limit == 0 {
		return a
	}
	a = a.With("RateLimit-Name", "throttle_authenticated_api").With("RateLimit-Limit", strconv.Itoa(limit))
	a = a.With("RateLimit-Observed", strconv.Itoa(w.Used)).With("RateLimit-Remaining", strconv.Itoa(max(limit-w.Used, 0)))
	a = a.With("RateLimit-ResetTime", w.Reset.UTC().Format(http.TimeFormat))
	return a.With("RateLimit-Reset", strconv.FormatInt(w.Reset.Unix(), 10))
}

// limited is the answer to a request that is one too many: it is no JSON.
func limited() answer {
	a := answer{Status: http.StatusTooManyRequests, Raw: []byte("Retry later\n")}
	return a.With("Content-Type", "text/plain")
}

// tooOften is the answer of an operation that has a limit of its own.
func tooOften() *answer {
	a := refuse(http.StatusTooManyRequests, object{
		"error": "This endpoint has been requested too many times. Try again later.",
	}).With("Retry-After", "60")
	return &a
}
