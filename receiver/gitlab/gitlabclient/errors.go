package gitlabclient

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// RatePrefix begins the header fields by which GitLab tells of its rate limit.
const RatePrefix = "RateLimit-"

// classify is the only place that says what an error answer means. Only an answer in GitLab's own format says anything about
// vulnerabilities or our token: a proxy's page does not.
func classify(call Call, answer *Answer) error {
	wait, asked := outbound.Wait(answer.Header, RatePrefix)
	limited := answer.status == http.StatusTooManyRequests || answer.status == http.StatusServiceUnavailable && asked
	if limited {
		return throttled(call, answer.status, wait)
	}
	no := &outbound.Refusal{Doing: call.Doing, Who: "GitLab", Status: answer.status, Hint: call.Hints[answer.status]}
	if isOwn(answer) {
		no.Means = call.meaning(answer.status)
	}
	if no.Hint == "" && no.Means != nil && errors.Is(no.Means, collect.ErrRefused) {
		no.Hint = "our token needs the scope api and the role Maintainer in the group"
	}
	if answer.status >= 300 && answer.status < 400 && answer.status != http.StatusNotModified {
		no.Hint = "it names another place, which we do not ask: the project may have been renamed or moved"
	}
	return no
}

// isOwn reports whether GitLab itself wrote an error answer. Its errors have one of three keys; for something that it cannot
// find the key is message, and with another key a 404 means that this version does not know the path.
func isOwn(answer *Answer) bool {
	var said struct {
		Message, Error, Errors json.RawMessage
	}
	if json.Unmarshal(answer.body, &said) != nil {
		return false
	}
	return said.Message != nil || answer.status != http.StatusNotFound && (said.Error != nil || said.Errors != nil)
}

// meaning is what a status means for the call; nil: nothing that is established.
func (c Call) meaning(status int) error {
	if means, ok := c.Means[status]; ok {
		return means
	}
	return collect.Meaning(status)
}

// throttled is the error for GitLab's wish that we wait: for a minute if it does not say how long, or if the time has passed by
// our clock.
func throttled(call Call, status int, wait time.Duration) error {
	if wait <= 0 {
		wait = defaultWait
	}
	no := &outbound.Refusal{Doing: call.Doing, Who: "GitLab", Status: status, Hint: "too many requests were made with our token"}
	return &leak.Throttled{After: min(wait, maxWait), Err: no}
}

// IsAbsent reports whether an error says that something is not there, or not for us to see.
func IsAbsent(err error) bool {
	return errors.Is(err, collect.ErrGone) || errors.Is(err, collect.ErrRefused)
}
