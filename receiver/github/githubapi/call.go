package githubapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// request is one call of the API.
type request struct {
	doing  string // for errors: a gerund
	method string
	path   string // below the base URL, of segments that need no escaping
	query  url.Values
	body   any           // sent as JSON; nil: none
	into   any           // what the answer is read into; nil: it is not read
	needs  right         // of the token
	means  map[int]error // what a status means, where it is not what it means of an alert
	hints  map[int]string
}

// right is a permission that a call needs, as GitHub names it for Apps and fine-grained tokens.
type right struct{ name, level string }

// The rights that are asked for, each with a token of its own where an App gives them.
var (
	readAlerts  = right{"secret_scanning_alerts", "read"}
	writeAlerts = right{"secret_scanning_alerts", "write"}
	hooksOfOrg  = right{"organization_hooks", "write"}
)

// caller sends requests to one API. It remembers GitHub's rate limits, and sends nothing while they are used up.
type caller struct {
	client *gh.Client
	last   *atomic.Pointer[outbound.Exchange] // nil in it: GitHub has not answered yet
}

func newCaller(base *url.URL) *caller {
	last := new(atomic.Pointer[outbound.Exchange])
	client := gh.NewClient(newAPIClient(last))
	client.BaseURL, client.UserAgent = base, "stanch"
	return &caller{client, last}
}

// do sends a request once.
func (c *caller) do(ctx context.Context, r request, token leak.Secret) (*gh.Response, error) {
	path := r.path
	if len(r.query) > 0 {
		path += "?" + r.query.Encode()
	}
	sent, err := c.client.NewRequest(r.method, path, r.body)
	if err != nil {
		return nil, fmt.Errorf("%s: the request cannot be made", r.doing)
	}
	sent.Header.Set("Authorization", "Bearer "+token.Reveal())
	response, err := c.client.BareDo(ctx, sent)
	if accepted := new(gh.AcceptedError); errors.As(err, &accepted) { // 202, which go-github takes for an error
		return response, nil
	}
	if err != nil {
		return response, classify(ctx, r, err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := read(response, r.into); err != nil {
		return response, unanswered(ctx, r, err)
	}
	return response, nil
}

// read decodes a successful answer, which go-github would take an empty one for. Of the decoder's errors nothing is
// kept: they quote the body.
func read(response *gh.Response, into any) error {
	if into != nil && json.NewDecoder(response.Body).Decode(into) != nil { // an empty body is an error, too
		return errUnreadable
	}
	_, _ = io.CopyN(io.Discard, response.Body, maxRest) // so that the connection can be used again
	return nil
}

// maxRest is how much of an answer is read beyond what was wanted, in bytes.
const maxRest = 4 << 10

// credential is what we show GitHub. It is safe for concurrent use.
type credential interface {
	// token returns what authorises a request that needs a right.
	token(ctx context.Context, needs right) (leak.Secret, error)
	// renew is told that GitHub refuses a token, and reports whether there may be another.
	renew(refused leak.Secret) bool
}

// ask sends a request with our credential. A token that is refused is renewed, and the request sent once more where
// there is another: 401 means that nothing was done.
func (v *vendor) ask(ctx context.Context, r request) (*gh.Response, error) {
	for again := true; ; again = false {
		token, err := v.credential.token(ctx, r.needs)
		if err != nil {
			return nil, err
		}
		response, err := v.caller.do(ctx, r, token)
		if err == nil || response == nil || response.Response == nil || response.StatusCode != http.StatusUnauthorized ||
			!again || !v.credential.renew(token) {
			return response, err
		}
	}
}

// secretText is a secret that is read from JSON, and from nothing else.
type secretText struct{ leak.Secret }

// UnmarshalJSON implements [json.Unmarshaler]. Its error says nothing of the text.
func (t *secretText) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		return errUnreadable
	}
	t.Secret = leak.NewSecret(text)
	return nil
}
