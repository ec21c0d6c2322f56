package ibmfake

import (
	"net/http"

	"golang.org/x/time/rate"
)

// SetLimit answers calls at once with 429 that come on top of so many a second, after a first second's worth; 0: all are served.
// A call that is refused has no effect, meets no fault, and is not among the requests. IAM's true limits are not documented.
func (f *Fake) SetLimit(perSecond int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = nil
	if perSecond > 0 {
		f.limit = rate.NewLimiter(rate.Limit(perSecond), perSecond)
	}
}

// Refused counts the calls so far that were answered with 429 because of the limit.
func (f *Fake) Refused() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

// tooMany asks the caller to come again in a second. Its body is not established.
func tooMany() answer {
	return answer{status: http.StatusTooManyRequests, header: map[string]string{"Retry-After": "1"}}
}
