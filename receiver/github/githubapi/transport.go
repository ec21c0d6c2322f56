package githubapi

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"stanch/receiver/collect"
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

// newAPIClient makes the one HTTP client of a vendor. It follows no redirect, which would hand our token to another
// host. When GitHub answered last is noted.
func newAPIClient(last *atomic.Pointer[exchange]) *http.Client {
	return &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     bounded{last, collect.NewTransport()},
	}
}

// exchange is when GitHub was asked something and had answered, by our clock, and the header of the answer.
type exchange struct {
	asked, answered time.Time
	header          http.Header
}

// bounded cuts answers that are too long; what is cut cannot be read as success. It notes when the last answer came, and
// moves a reset of the rate limit that is absurdly far away: go-github would send nothing until then.
type bounded struct {
	last *atomic.Pointer[exchange]
	http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answered := time.Now()
	b.last.Store(&exchange{asked, answered, response.Header.Clone()})
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	boundWishes(response, answered)
	return response, nil
}

// Header fields by which GitHub asks to be left alone.
const (
	retryAfter     = "Retry-After"
	rateRemaining  = "X-RateLimit-Remaining"
	rateReset      = "X-RateLimit-Reset"
	scopesAccepted = "X-Accepted-OAuth-Scopes"
	rightsAccepted = "X-Accepted-GitHub-Permissions"
)

// boundWishes moves what is asked for to maxWait from now at most. What is no number is taken away, and so is the end
// of the hour in a refusal while requests are left: go-github would wait for it after a secondary limit, which has
// nothing to do with it.
func boundWishes(response *http.Response, now time.Time) {
	header := response.Header
	if response.StatusCode == http.StatusForbidden && header.Get(rateRemaining) != "0" {
		header.Del(rateReset)
	}
	bound(header, retryAfter, int64(maxWait/time.Second))
	bound(header, rateReset, now.Add(maxWait).Unix())
}

func bound(header http.Header, name string, most int64) {
	text := header.Get(name)
	if text == "" {
		return
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		header.Del(name)
		return
	}
	header.Set(name, strconv.FormatInt(min(max(n, 0), most), 10))
}
