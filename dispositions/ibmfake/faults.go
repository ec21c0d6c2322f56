package ibmfake

import (
	"net/http"

	"golang.org/x/time/rate"

	"stanch/receiver/outbound/vendorfake"
)

// Forever makes a fault meet every call that it matches.
const Forever = vendorfake.Forever

// The views of a key that [Fault.Half] names.
const (
	ByID    = "id"    // what GET /v1/apikeys/{id} and the list see
	ByValue = "value" // what details and the token endpoint see
)

// Fault is something that goes wrong with a call. Its Op is the effect that a call asks for, as in [Event].
type Fault = vendorfake.Fault

// SetLimit answers calls beyond this many a second with 429 at once, after a first second's worth; 0: there is no limit. A
// call that is refused has no effect, meets no fault and is not among the requests. IAM's true limits are not documented.
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
var tooMany = Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "1"}}

// admit counts a call, unless the limit refuses it.
func (f *Fake) admit(c *call) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limit != nil && !f.limit.Allow() {
		f.refused++
		return false
	}
	f.requests[c.op.route]++
	return true
}
