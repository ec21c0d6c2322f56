package gitlabfake

import (
	"net/http"
	"strconv"
	"time"
)

// window is the minute in which the requests of a user are counted.
type window struct {
	used  int
	reset time.Time
	now   time.Time
}

// window returns the minute that a token's requests count in.
func (f *Fake) window(t *token) *window { return f.minute("requests of " + t.Login) }

// minute returns the minute in which something is counted, a new one when the last is over.
func (f *Fake) minute(what string) *window {
	now := f.options.Now()
	w, ok := f.windows[what]
	if !ok || !now.Before(w.reset) {
		w = &window{reset: now.Add(time.Minute)}
		f.windows[what] = w
	}
	w.now = now
	return w
}

// ResetLimits starts a new minute for everybody, of requests and of resent events.
func (f *Fake) ResetLimits() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.windows)
}

// spend counts one more, and reports whether that is one too many; a limit of 0 is none.
func (w *window) spend(limit int) bool {
	w.used++
	return limit > 0 && w.used > limit
}

// mark adds what is left to an answer, and to a refusal how long to wait.
func (w *window) mark(a answer, limit int) answer {
	wait := strconv.Itoa(int(w.reset.Sub(w.now)/time.Second) + 1)
	if a.Status == http.StatusTooManyRequests {
		a = a.With("Retry-After", wait)
	}
	if limit == 0 {
		return a
	}
	a = a.With("RateLimit-Name", "throttle_authenticated_api").With("RateLimit-Limit", strconv.Itoa(limit))
	a = a.With("RateLimit-Observed", strconv.Itoa(w.used)).With("RateLimit-Remaining", strconv.Itoa(max(limit-w.used, 0)))
	a = a.With("RateLimit-ResetTime", w.reset.UTC().Format(http.TimeFormat))
	return a.With("RateLimit-Reset", strconv.FormatInt(w.reset.Unix(), 10))
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
