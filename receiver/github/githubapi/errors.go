package githubapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// Errors that nobody decides on; they are unresolved.
var (
	errUnreadable = errors.New("the answer cannot be read")
	errOther      = errors.New("the answer is about another alert")
	errUnchanged  = errors.New("GitHub takes the change, and the alert is as it was")
	errRepeats    = errors.New("the pages repeat themselves")
)

// errorCodes are those that GitHub documents for what is wrong with a field.
var errorCodes = regexp.MustCompile(`^(missing|missing_field|invalid|already_exists|unprocessable|custom)$`)

// rightNames is what a list of scopes or permissions looks like.
var rightNames = regexp.MustCompile(`^[a-z_:=,; ]{1,200}$`)

// refusal is an error answer of GitHub, reduced to what may be shown to anyone.
type refusal struct {
	doing  string
	status int
	code   string // GitHub's code for what is wrong with a field; empty: none that is documented
	hint   string // for people; may be empty
	means  error  // nil: nobody classified it
}

// Error says what was being done and what GitHub answered.
func (r *refusal) Error() string {
	text := fmt.Sprintf("%s: GitHub answers %d", r.doing, r.status)
	if r.code != "" {
		text += " " + r.code
	}
	if r.means != nil {
		text += ": " + r.means.Error()
	}
	if r.hint != "" {
		text += ": " + r.hint
	}
	return text
}

// Unwrap returns what the answer means, nil when nobody classified it.
func (r *refusal) Unwrap() error { return r.means }

// classify is the one place that says what the failure of a call means. It keeps nothing of err, whose text and fields
// hold URLs, our token and bodies. Our own limits are GitHub's that go-github remembers: nothing was sent then.
func classify(ctx context.Context, r request, err error) error {
	var limited *gh.RateLimitError
	var slowed *gh.AbuseRateLimitError
	var factor *gh.TwoFactorAuthError
	var answered *gh.ErrorResponse
	switch {
	case errors.As(err, &limited):
		return throttled(r, limited.Response.StatusCode, time.Until(limited.Rate.Reset.Time))
	case errors.As(err, &slowed):
		return throttled(r, slowed.Response.StatusCode, value(slowed.RetryAfter))
	case errors.As(err, &factor):
		return refused(r, (*gh.ErrorResponse)(factor))
	case errors.As(err, &answered):
		return refused(r, answered)
	}
	return unanswered(ctx, r, err)
}

// refused says what an error answer means. Only an answer in GitHub's own format says anything of alerts or of our
// credential: a page of a proxy does not.
func refused(r request, answered *gh.ErrorResponse) error {
	status, header := answered.Response.StatusCode, answered.Response.Header
	if wait, limit := limitedBy(status, header, answered); limit {
		return throttled(r, status, wait)
	}
	no := &refusal{doing: r.doing, status: status, hint: r.hints[status]}
	if len(answered.Errors) == 1 && errorCodes.MatchString(answered.Errors[0].Code) {
		no.code = answered.Errors[0].Code
	}
	if answered.Message != "" {
		no.means = r.meaning(status)
	}
	if no.means != nil && errors.Is(no.means, collect.ErrRefused) {
		no.hint = join(no.hint, accepted(header))
	}
	if status >= 300 && status < 400 && status != http.StatusNotModified {
		no.hint = "it names another place, which is not asked: the repository may have been renamed or moved"
	}
	return no
}

// meaning is what a status says of what was asked; nil: nothing that is established.
func (r request) meaning(status int) error {
	if means, ok := r.means[status]; ok {
		return means
	}
	switch status {
	case http.StatusUnauthorized:
		return leak.ErrCredential
	case http.StatusForbidden:
		return collect.ErrRefused
	case http.StatusNotFound:
		return collect.ErrGone
	}
	return nil
}

// limitedBy reports whether an answer is about limits, and how long it asks to wait; 0: it does not say.
func limitedBy(status int, header http.Header, answered *gh.ErrorResponse) (time.Duration, bool) {
	wait, asked := wish(header)
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

// wish is how long an answer asks to wait, and whether it asks at all.
func wish(header http.Header) (time.Duration, bool) {
	if wait, asked := outbound.RetryAfter(header); asked {
		return wait, true
	}
	reset, err := strconv.ParseInt(header.Get(rateReset), 10, 64)
	if err != nil || header.Get(rateRemaining) != "0" {
		return 0, false
	}
	return time.Until(time.Unix(reset, 0)), true
}

// throttled is GitHub's wish to be left alone; one that has passed by our clock, or that says no time, is for a minute.
func throttled(r request, status int, wait time.Duration) error {
	if wait <= 0 {
		wait = unsaidWait
	}
	no := &refusal{doing: r.doing, status: status, hint: "too many requests were made with our credential"}
	return &leak.Throttled{After: min(wait, maxWait), Err: no}
}

// accepted is what GitHub says that a call needs; empty: nothing.
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

// unanswered says why there is no answer, or none that can be read.
func unanswered(ctx context.Context, r request, err error) error {
	if ctx.Err() == nil && errors.Is(err, errUnreadable) {
		return fmt.Errorf("%s: %w", r.doing, errUnreadable)
	}
	return fmt.Errorf("%s: %w", r.doing, outbound.Cause(ctx, err))
}

// value is what a pointer points to; of nil, the zero value.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
