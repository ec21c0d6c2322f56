package githubclient

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// errorCodes are the codes that GitHub documents for what is wrong with a field.
var errorCodes = regexp.MustCompile(`^(missing|missing_field|invalid|already_exists|unprocessable|custom)$`)

// rightNames is the form of a list of scopes or permissions.
var rightNames = regexp.MustCompile(`^[a-z_:=,; ]{1,200}$`)

// classify is the only place that says what the failure of a call means. It keeps nothing of err, whose text and fields hold
// URLs, our token and bodies. go-github remembers GitHub's limits: such a failure may mean that nothing was sent.
func classify(ctx context.Context, call Call, response *gh.Response, err error) error {
	var limited *gh.RateLimitError
	var slowed *gh.AbuseRateLimitError
	var factor *gh.TwoFactorAuthError
	var answered *gh.ErrorResponse
	switch {
	case errors.As(err, &limited):
		return throttled(call, limited.Response.StatusCode, time.Until(limited.Rate.Reset.Time))
	case errors.As(err, &slowed):
		return throttled(call, slowed.Response.StatusCode, value(slowed.RetryAfter))
	case errors.As(err, &factor):
		return refused(call, (*gh.ErrorResponse)(factor))
	case errors.As(err, &answered):
		return refused(call, answered)
	}
	return unanswered(ctx, call, response, err)
}

// refused says what an error answer means. Only an answer in GitHub's own format says anything about alerts or our
// credential: a proxy's page does not.
func refused(call Call, answered *gh.ErrorResponse) error {
	status, header := answered.Response.StatusCode, answered.Response.Header
	if wait, limit := limitedBy(status, header, answered); limit {
		return throttled(call, status, wait)
	}
	no := &outbound.Refusal{Doing: call.Doing, Who: "GitHub", Status: status, Hint: call.Hints[status]}
	if len(answered.Errors) == 1 && errorCodes.MatchString(answered.Errors[0].Code) {
		no.Code = answered.Errors[0].Code
	}
	if answered.Message != "" {
		no.Means = call.meaning(status)
	}
	if no.Means != nil && errors.Is(no.Means, collect.ErrRefused) {
		no.Hint = join(no.Hint, accepted(header))
	}
	if status >= 300 && status < 400 && status != http.StatusNotModified {
		no.Hint = "it names another place, which we do not ask: the repository may have been renamed or moved"
	}
	return no
}

// meaning is what a status means for the call; nil: nothing that is established.
func (c Call) meaning(status int) error {
	if means, ok := c.Means[status]; ok {
		return means
	}
	return collect.Meaning(status)
}

// limitedBy reports whether an answer is about limits, and how long it asks us to wait; 0: it does not say.
func limitedBy(status int, header http.Header, answered *gh.ErrorResponse) (time.Duration, bool) {
	wait, asked := outbound.Wait(header, RatePrefix)
	switch status {
	case http.StatusTooManyRequests:
		return wait, true
	case http.StatusForbidden:
		said := strings.HasSuffix(answered.DocumentationURL, "secondary-rate-limits") ||
			strings.Contains(strings.ToLower(answered.Message), "rate limit")
		return wait, asked || said
	case http.StatusServiceUnavailable:
		return wait, header.Get(retryAfter) != ""
	}
	return 0, false
}

// throttled is the error for GitHub's wish that we wait: for a minute if it does not say how long, or if the time has passed by
// our clock.
func throttled(call Call, status int, wait time.Duration) error {
	if wait <= 0 {
		wait = defaultWait
	}
	no := &outbound.Refusal{Doing: call.Doing, Who: "GitHub", Status: status, Hint: "too many requests were made with our credential"}
	return &leak.Throttled{After: min(wait, maxWait), Err: no}
}

// accepted is what GitHub says the call needs; empty: it does not say.
func accepted(header http.Header) string {
	for _, name := range []string{scopesAccepted, rightsAccepted} {
		if text := header.Get(name); rightNames.MatchString(text) {
			return "it takes a token with one of: " + text
		}
	}
	return ""
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// value is what a pointer points to; of nil, the zero value.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
