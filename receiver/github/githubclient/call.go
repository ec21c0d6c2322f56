package githubclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// Call is one call of the API.
type Call struct {
	// Doing says what the call does, for errors: a gerund.
	Doing string
	// Send makes the call, once, with a method of a go-github service or by [Raw], and returns its results.
	Send func(ctx context.Context, to *gh.Client) (*gh.Response, error)
	// Needs is the right that the call needs.
	Needs Right
	// Means says what a status means where it is not what it means for an alert: leak.ErrCredential for 401,
	// collect.ErrRefused for 403 and collect.ErrGone for 404.
	Means map[int]error
	// Hints tells people what to do about a status.
	Hints map[int]string
}

// NotGone says what 404 means for what is not a part of an alert: we may not see it. Nothing there could be gone.
var NotGone = map[int]error{http.StatusNotFound: collect.ErrRefused}

// Right is a permission that a call needs, as GitHub names it for Apps and fine-grained tokens. The zero Right is none.
type Right struct{ name, level string }

// The rights that calls need. An App asks for a token of its own for each.
var (
	ReadAlerts  = Right{"secret_scanning_alerts", "read"}
	WriteAlerts = Right{"secret_scanning_alerts", "write"}
	OrgHooks    = Right{"organization_hooks", "write"}
)

// permissions returns a right as go-github has it; nil: none.
func (r Right) permissions() *gh.InstallationPermissions {
	switch r.name {
	case ReadAlerts.name:
		return &gh.InstallationPermissions{SecretScanningAlerts: &r.level}
	case OrgHooks.name:
		return &gh.InstallationPermissions{OrganizationHooks: &r.level}
	}
	return nil
}

// Raw returns the Send of a call that go-github has no method for, or one that does not fit; whoever uses it says why. The
// path is below the base URL and needs no escaping. body is sent as JSON, and the answer is read into into, unless they are
// nil.
func Raw(method, path string, query url.Values, body, into any) func(context.Context, *gh.Client) (*gh.Response, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return func(ctx context.Context, to *gh.Client) (*gh.Response, error) {
		request, err := to.NewRequest(method, path, body)
		if err != nil {
			return nil, err
		}
		return to.Do(ctx, request, into)
	}
}

// caller makes the calls to one server. It remembers GitHub's rate limits, and sends nothing while they are used up.
type caller struct {
	client *gh.Client
	last   *atomic.Pointer[outbound.Exchange] // nil in it: GitHub has not answered yet
}

func newCaller(base *url.URL) *caller {
	last := new(atomic.Pointer[outbound.Exchange])
	client := gh.NewClient(newHTTPClient(last))
	client.BaseURL, client.UserAgent = base, "stanch"
	return &caller{client, last}
}

// do makes a call once.
func (c *caller) do(ctx context.Context, call Call, token leak.Secret) (*gh.Response, error) {
	response, err := call.Send(withToken(ctx, token), c.client)
	if accepted := new(gh.AcceptedError); err == nil || errors.As(err, &accepted) { // go-github treats 202 as an error
		return response, nil
	}
	return response, classify(ctx, call, response, err)
}

// ErrUnreadable means that a call was made, and that its answer is not what it should be. Nobody knows more then.
var ErrUnreadable = errors.New("the answer cannot be read")

// unanswered says why there is no answer, or none that can be read. The decoder's own errors are dropped: they quote the
// answer.
func unanswered(ctx context.Context, call Call, response *gh.Response, err error) error {
	read := response != nil && response.Response != nil && response.StatusCode < http.StatusMultipleChoices
	if read && ctx.Err() == nil {
		return fmt.Errorf("%s: %w", call.Doing, ErrUnreadable)
	}
	return fmt.Errorf("%s: %w", call.Doing, outbound.Cause(ctx, err))
}
