package githubfake

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// window is the hour in which the requests of a user, an installation or an App are counted, with its limit; 0: none.
type window struct {
	*vendorfake.Window
	limit int
}

// window returns the current hour of a token.
func (f *Fake) window(t *token) *vendorfake.Window {
	key := "user " + t.Login
	if t.app != nil {
		key = "app " + t.app.Slug
	}
	if t.installation != nil {
		key += " " + strconv.FormatInt(t.installation.id, 10)
	}
	return f.windows.At(key, f.now(), time.Hour)
}

// ResetLimits starts a new hour for everybody.
func (f *Fake) ResetLimits() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.windows)
}

// spent reports whether nothing is left.
func (w window) spent() bool { return w.limit > 0 && w.Used >= w.limit }

// mark adds what is left to an answer.
func (w window) mark(a answer) answer {
	if w.limit == 0 {
		return a
	}
	a = a.With("X-RateLimit-Limit", strconv.Itoa(w.limit)).With("X-RateLimit-Resource", "core")
	a = a.With("X-RateLimit-Remaining", strconv.Itoa(w.limit-w.Used)).With("X-RateLimit-Used", strconv.Itoa(w.Used))
	return a.With("X-RateLimit-Reset", strconv.FormatInt(w.Reset.Unix(), 10))
}

// limited is the answer to a request for which nothing is left.
func (f *Fake) limited() answer {
	return *refuse(cmp.Or(f.Switches().Limited, http.StatusForbidden), "API rate limit exceeded")
}

// getRateLimit is GET /rate_limit, which is not counted itself.
func (c *call) getRateLimit() *answer {
	limit, w := c.fake.options.RateLimit, c.fake.window(c.token)
	if limit == 0 {
		return refuse(http.StatusNotFound, "Rate limiting is not enabled.")
	}
	core := object{"limit": limit, "used": w.Used, "remaining": limit - w.Used, "reset": w.Reset.Unix()}
	return ok(object{"resources": object{"core": core}, "rate": core})
}

// SecondaryLimit is a fault for a caller who asks too much at a time: status is 403 or 429, retryAfter the seconds that
// it must wait, empty when GitHub does not say.
func SecondaryLimit(status int, retryAfter string) Fault {
	fault := Fault{
		Status: status, ContentType: mediaType, Header: map[string]string{},
		Body: `{"message":"You have exceeded a secondary rate limit.",` +
			`"documentation_url":"https://docs.github.example/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`,
	}
	if retryAfter != "" {
		fault.Header["Retry-After"] = retryAfter
	}
	return fault
}
