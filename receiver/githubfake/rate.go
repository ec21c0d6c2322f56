package githubfake

import (
	"cmp"
	"net/http"
	"strconv"
	"time"
)

// window is the hour in which the requests of a user, an installation or an App are counted.
type window struct {
	used  int
	reset time.Time
}

// window returns the hour that a token's requests count in, a new one when the last is over.
func (f *Fake) window(t *token) *window {
	key := "user " + t.Login
	if t.app != nil {
		key = "app " + t.app.Slug
	}
	if t.installation != nil {
		key += " " + strconv.FormatInt(t.installation.id, 10)
	}
	w, ok := f.windows[key]
	if !ok || !f.options.Now().Before(w.reset) {
		w = &window{reset: f.now().Add(time.Hour)}
		f.windows[key] = w
	}
	return w
}

// ResetLimits starts a new hour for everybody.
func (f *Fake) ResetLimits() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.windows)
}

// spent reports whether nothing is left; a limit of 0 is none.
func (w *window) spent(limit int) bool { return limit > 0 && w.used >= limit }

// mark adds what is left to an answer.
func (w *window) mark(a answer, limit int) answer {
	if limit == 0 {
		return a
	}
	a = a.With("X-RateLimit-Limit", strconv.Itoa(limit)).With("X-RateLimit-Resource", "core")
	a = a.With("X-RateLimit-Remaining", strconv.Itoa(limit-w.used)).With("X-RateLimit-Used", strconv.Itoa(w.used))
	return a.With("X-RateLimit-Reset", strconv.FormatInt(w.reset.Unix(), 10))
}

// limited is the answer to a request for which nothing is left.
func (f *Fake) limited() answer {
	return *refuse(cmp.Or(f.switches.Limited, http.StatusForbidden), "API rate limit exceeded")
}

// getRateLimit is GET /rate_limit, which is not counted itself.
func (c *call) getRateLimit() *answer {
	limit, w := c.fake.options.RateLimit, c.fake.window(c.token)
	if limit == 0 {
		return refuse(http.StatusNotFound, "Rate limiting is not enabled.")
	}
	core := object{"limit": limit, "used": w.used, "remaining": limit - w.used, "reset": w.reset.Unix()}
	return ok(object{"resources": object{"core": core}, "rate": core})
}

// SecondaryLimit is a fault for a caller who asks too much at a time: status is 403 or 429, retryAfter the seconds that
// it must wait, empty when GitHub does not say.
func SecondaryLimit(status int, retryAfter string) Fault {
	fault := Fault{
		Status: status, Header: map[string]string{"Content-Type": "application/json; charset=utf-8"},
		Body: `{"message":"You have exceeded a secondary rate limit.",` +
			`"documentation_url":"https://docs.github.example/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`,
	}
	if retryAfter != "" {
		fault.Header["Retry-After"] = retryAfter
	}
	return fault
}
