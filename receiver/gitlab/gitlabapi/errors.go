package gitlabapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// Errors that nobody decides on; they are unresolved.
var (
	errUnreadable = errors.New("the answer cannot be read")
	errOther      = errors.New("the answer is about something else")
	errUnchanged  = errors.New("GitLab takes the change, and the vulnerability is as it was")
	errRepeats    = errors.New("the pages repeat themselves")
)

// Header fields by which GitLab asks to be left alone.
const (
	rateLimit     = "RateLimit-Limit"
	rateRemaining = "RateLimit-Remaining"
	rateReset     = "RateLimit-Reset"
)

// refusal is an error answer of GitLab, reduced to what may be shown to anyone.
type refusal struct {
	doing  string
	status int
	hint   string // for people; may be empty
	means  error  // nil: nobody classified it
}

// Error says what was being done and what GitLab answered.
func (r *refusal) Error() string {
	text := fmt.Sprintf("%s: GitLab answers %d", r.doing, r.status)
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

// classify is the one place that says what an error answer means. Only one in GitLab's own format says anything of
// vulnerabilities or of our token: a page of a proxy does not.
func classify(r request, answer *exchange) error {
	wait, asked := wish(answer.header)
	limited := answer.status == http.StatusTooManyRequests || answer.status == http.StatusServiceUnavailable && asked
	if limited {
		return throttled(r, answer.status, wait)
	}
	no := &refusal{doing: r.doing, status: answer.status, hint: r.hints[answer.status]}
	if isOwn(answer) {
		no.means = r.meaning(answer.status)
	}
	if no.hint == "" && no.means != nil && errors.Is(no.means, collect.ErrRefused) {
		no.hint = "our token needs the scope api and the role Maintainer in the group"
	}
	if answer.status >= 300 && answer.status < 400 && answer.status != http.StatusNotModified {
		no.hint = "it names another place, which is not asked: the project may have been renamed or moved"
	}
	return no
}

// isOwn reports whether GitLab itself wrote an error answer. Of the two keys that its errors are under, what it cannot find is
// under message; under the other, it is a path that this version does not know.
func isOwn(answer *exchange) bool {
	var said struct {
		Message, Error, Errors json.RawMessage
	}
	if json.Unmarshal(answer.body, &said) != nil {
		return false
	}
	return said.Message != nil || answer.status != http.StatusNotFound && (said.Error != nil || said.Errors != nil)
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

// throttled is GitLab's wish to be left alone; one that has passed by our clock, or that says no time, is for a minute.
func throttled(r request, status int, wait time.Duration) error {
	if wait <= 0 {
		wait = unsaidWait
	}
	no := &refusal{doing: r.doing, status: status, hint: "too many requests were made with our token"}
	return &leak.Throttled{After: min(wait, maxWait), Err: no}
}

// answered reports whether GitLab answered with one of these statuses.
func answered(err error, statuses ...int) bool {
	no, ok := errors.AsType[*refusal](err)
	return ok && slices.Contains(statuses, no.status)
}
