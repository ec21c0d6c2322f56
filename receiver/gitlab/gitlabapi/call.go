package gitlabapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	gl "github.com/xanzy/go-gitlab"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// request is one call of the API.
type request struct {
	doing  string // for errors: a gerund
	method string
	path   string // below /api/v4/, escaped; of GraphQL: empty
	query  url.Values
	body   any           // sent as JSON; nil: none
	into   any           // what the answer is read into; nil: it is not read
	means  map[int]error // what a status means, where it is not what it means of a vulnerability
	hints  map[int]string
}

// caller sends requests to one instance. It remembers GitLab's rate limit, and sends nothing while that is used up.
type caller struct {
	client *gl.Client               //nolint:staticcheck // it has moved to another module; what we use of it has not changed
	graph  url.URL                  // of GraphQL
	last   atomic.Pointer[exchange] // without its body; nil: GitLab has not answered yet
	until  atomic.Int64             // no request before, in Unix nanoseconds
}

// newCaller makes a caller. Of what go-gitlab does by itself nothing is left on: it would try again what we leave to the
// queue, POST included, and slow itself down to a part of a limit that it sees in the first answer, for good.
func newCaller(base *url.URL) (*caller, error) {
	//nolint:staticcheck // see the field
	client, err := gl.NewOAuthClient("", gl.WithBaseURL(base.String()), gl.WithoutRetries(),
		gl.WithHTTPClient(newAPIClient()), gl.WithCustomLimiter(unlimited{}))
	if err != nil {
		return nil, err
	}
	client.UserAgent = "stanch"
	graph := *base
	graph.Path, graph.RawPath = strings.TrimSuffix(base.Path, "/")+"/api/graphql", ""
	return &caller{client: client, graph: graph}, nil
}

// unlimited is a limiter of go-gitlab's that never waits.
type unlimited struct{}

// Wait implements gl.RateLimiter.
func (unlimited) Wait(context.Context) error { return nil }

// do sends a request once. There is an answer with every refusal.
func (c *caller) do(ctx context.Context, r request, token leak.Secret) (*exchange, error) {
	if wait := time.Until(time.Unix(0, c.until.Load())); wait > 0 {
		return nil, throttled(r, http.StatusTooManyRequests, wait)
	}
	answer := new(exchange)
	calling := context.WithValue(ctx, exchangeKey{}, answer)
	options := []gl.RequestOptionFunc{gl.WithContext(calling), gl.WithHeader("Authorization", "Bearer "+token.Reveal())}
	if cause := collect.Cause(ctx); cause != "" && r.method != http.MethodGet {
		options = append(options, gl.WithHeader(ChainHeader, cause))
	}
	sent, err := c.client.NewRequest(r.method, r.path, r.body, options)
	if err != nil {
		return nil, fmt.Errorf("%s: the request cannot be made", r.doing)
	}
	if sent.URL.RawQuery = r.query.Encode(); r.path == "" {
		at := c.graph
		sent.URL = &at
	}
	if _, err := c.client.Do(sent, nil); answer.status == 0 {
		return nil, fmt.Errorf("%s: %w", r.doing, outbound.Cause(ctx, err))
	}
	c.note(answer)
	if answer.status < 200 || answer.status > 299 {
		return answer, classify(r, answer)
	}
	if r.into != nil && json.Unmarshal(answer.body, r.into) != nil { // an empty body is an error, too
		return answer, fmt.Errorf("%s: %w", r.doing, errUnreadable)
	}
	return answer, nil
}

// note keeps when and with which header GitLab answered last, and until when it wants to be left alone: no request is left in
// this minute.
func (c *caller) note(answer *exchange) {
	last := *answer
	last.body = nil
	c.last.Store(&last)
	reset, err := strconv.ParseInt(answer.header.Get(rateReset), 10, 64)
	if err == nil && answer.header.Get(rateRemaining) == "0" {
		c.until.Store(min(time.Unix(reset, 0).UnixNano(), time.Now().Add(maxWait).UnixNano()))
	}
}

// ask sends a request with our token. When that is refused and its file holds another, the request is sent once more: 401
// means that nothing was done.
func (v *vendor) ask(ctx context.Context, r request) (*exchange, error) {
	for again := true; ; again = false {
		token := v.token.Token()
		answer, err := v.caller.do(ctx, r, token)
		if err == nil || answer == nil || answer.status != http.StatusUnauthorized || !again || !v.token.Renew(token) {
			return answer, err
		}
		v.self.Store(0) // the other one may be somebody else's
	}
}

// secretText is a secret that is read from JSON, and from nothing else. Null and what is no text read as none.
type secretText struct{ leak.Secret }

// UnmarshalJSON implements [json.Unmarshaler].
func (t *secretText) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		t.Secret = leak.NewSecret(text)
	}
	return nil
}
