package ibmcloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"

	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// maxWait bounds what is taken of a Retry-After; IAM's own limits are by the minute.
const maxWait = time.Hour

// Errors that nobody decides on; they are unresolved.
var (
	errEmpty      = errors.New("locating the key: the secret is empty")
	errUnsendable = errors.New("the value cannot be sent in a header")
	errInvalidID  = errors.New("the id is not that of an API key")
	errOtherKey   = errors.New("the answer is about another key")
	errNoKey      = errors.New("the answer holds no valid key id")
	errOwn        = errors.New("the key is one of our own")
	errNoToken    = errors.New("the answer holds no token")
	errUnreadable = errors.New("the answer cannot be read")
)

// unknownValueCode is how IAM's token endpoint, and perhaps its lookup by value, says that no key has a value.
const unknownValueCode = "BXNIM0415E"

// disabledCode is how IAM's token endpoint says that a key is disabled.
const disabledCode = "BXNIM0462E"

// messageCode is what is kept of an error answer besides its status. Anything longer could hold a piece of a secret.
var messageCode = regexp.MustCompile(`^[A-Z]{3,8}[0-9]{3,5}[A-Z]$`)

// refusal is an error answer of IAM.
type refusal struct {
	outbound.Refusal
	token bool // whether it came from the token endpoint, and so is about our own credential
}

func refused(doing string, status int, code string) *refusal {
	return &refusal{Refusal: outbound.Refusal{Doing: doing, Who: "IAM", Status: status, Code: code}}
}

// byState reports whether the refusal may be due to the state of the key that was to be changed.
func (r *refusal) byState() bool {
	return !r.token && (r.Status == http.StatusConflict || r.Status == http.StatusBadRequest ||
		r.Status == http.StatusForbidden)
}

// saysUnknownValue reports whether an error is IAM's "400, API key not found", which does not say whose key it means.
func saysUnknownValue(err error) bool {
	var r *refusal
	return errors.As(err, &r) && !r.token && r.Status == http.StatusBadRequest && r.Code == unknownValueCode
}

// forbids reports whether an error is a 403 of IAM's own to something other than a token, which does not say whose key it means.
func forbids(err error) bool {
	var r *refusal
	return errors.As(err, &r) && !r.token && r.Status == http.StatusForbidden && r.Code != ""
}

// classify is the one place that says what the failure of a call means. It keeps nothing of err, whose text and fields
// hold URLs, headers and bodies. Of the SDK's two ways to report a refused token request, an error that is about
// get_token is always about our own credential, whatever status it has, and never about the leaked key.
func classify(ctx context.Context, doing string, response *core.DetailedResponse, err error) error {
	r := refused(doing, 0, "")
	var problem *core.HTTPProblem
	var refused *core.AuthenticationError
	switch {
	case errors.As(err, &refused) && refused.HTTPProblem != nil:
		response, r.token = refused.Response, true
	case errors.As(err, &problem) && problem.OperationID == "get_token":
		response, r.token = problem.Response, true
	}
	if response == nil || response.StatusCode < 300 {
		return unanswered(ctx, doing, response, err)
	}
	body, _ := response.Result.(map[string]any)
	code, message := codes(body)
	r.Status, r.Code = response.StatusCode, message
	r.Means = meaning(r, code)
	return throttled(r, response.Headers)
}

// meaning is what an error answer says about the key or our credential; nil: nothing that is established.
func meaning(r *refusal, code string) error {
	switch r.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return leak.ErrCredential
	case http.StatusBadRequest:
		if r.token {
			return leak.ErrCredential
		}
	case http.StatusNotFound:
		if !r.token && code == "not_found" {
			return leak.ErrNotFound
		}
	}
	return nil
}

// throttled adds how long IAM asks to wait, if it does.
func throttled(r *refusal, header http.Header) error {
	wait, asked := outbound.RetryAfter(header)
	if r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable && asked {
		return &leak.Throttled{After: min(wait, maxWait), Err: r}
	}
	return r
}

// unanswered says why there is no answer, or none that can be read.
func unanswered(ctx context.Context, doing string, response *core.DetailedResponse, err error) error {
	if ctx.Err() == nil && response != nil {
		return fmt.Errorf("%s: %w", doing, errUnreadable)
	}
	return fmt.Errorf("%s: %w", doing, outbound.Cause(ctx, err))
}

// codes reads IBM's two shapes of error bodies: that of /v1, of which only a single error is taken, and that of the
// token endpoint. The code is empty in the second; the message code is empty when it is not well-formed.
func codes(body map[string]any) (code, message string) {
	message, _ = body["errorCode"].(string)
	if list, _ := body["errors"].([]any); len(list) == 1 {
		only, _ := list[0].(map[string]any)
		code, _ = only["code"].(string)
		message, _ = only["message_code"].(string)
	}
	if !messageCode.MatchString(message) {
		message = ""
	}
	return code, message
}
