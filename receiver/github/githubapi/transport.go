package githubapi

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"stanch/receiver/outbound"
)

const (
	// callTimeout bounds a call whose context sets no sooner end.
	callTimeout = 30 * time.Second
	// maxAnswer bounds how much of an answer is read, in bytes: a page of a hundred alerts takes about a million.
	maxAnswer = 8 << 20
	// maxWait bounds what is taken of a wish to wait; GitHub's own limits are by the hour.
	maxWait = time.Hour
	// unsaidWait is what GitHub wants to be left alone for when it does not say.
	unsaidWait = time.Minute
)

// newAPIClient makes the one HTTP client of a vendor. It notes the last answer as GitHub gave it, and moves a reset of the rate
// limit that is absurdly far away: go-github would send nothing until then.
func newAPIClient(last *atomic.Pointer[outbound.Exchange]) *http.Client {
	return outbound.NewClient(outbound.Config{
		Timeout: callTimeout, MaxAnswer: maxAnswer, Answered: func(e outbound.Exchange) {
			noted := e
			noted.Header = e.Header.Clone()
			last.Store(&noted)
			boundWishes(e)
		},
	})
}

// Header fields by which GitHub asks to be left alone.
const (
	retryAfter     = "Retry-After"
	rateRemaining  = "X-RateLimit-Remaining"
	rateReset      = "X-RateLimit-Reset"
	scopesAccepted = "X-Accepted-OAuth-Scopes"
	rightsAccepted = "X-Accepted-GitHub-Permissions"
)

// boundWishes bounds how long an answer asks to wait to maxWait. What cannot be read is taken away, and so is the end of the
// hour in a refusal while requests are left: go-github would wait for it after a secondary limit, which has nothing to do with
// it.
func boundWishes(e outbound.Exchange) {
	if e.Status == http.StatusForbidden && e.Header.Get(rateRemaining) != "0" {
		e.Header.Del(rateReset)
	}
	if wait, asked := outbound.RetryAfter(e.Header); asked {
		e.Header.Set(retryAfter, strconv.FormatInt(int64(min(wait, maxWait)/time.Second), 10))
	} else {
		e.Header.Del(retryAfter)
	}
	if reset, err := strconv.ParseInt(e.Header.Get(rateReset), 10, 64); err == nil {
		e.Header.Set(rateReset, strconv.FormatInt(min(max(reset, 0), e.Answered.Add(maxWait).Unix()), 10))
	} else {
		e.Header.Del(rateReset)
	}
}
