package gitlabclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	gl "github.com/xanzy/go-gitlab"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// Call is one call of the API.
type Call struct {
	// Doing says what the call does, for errors: a gerund.
	Doing string
	// Send makes the call, once, with a method of a go-gitlab service or by [Raw], and gives it these options.
	Send Send
	// Means says what a status means where it is not what it means for a vulnerability: leak.ErrCredential for 401,
	// collect.ErrRefused for 403 and collect.ErrGone for 404.
	Means map[int]error
	// Hints tells people what to do about a status.
	Hints map[int]string
}

// API is go-gitlab's client, whose services make the calls.
type API = gl.Client //nolint:staticcheck // it has moved to another module; what we use of it has not changed

// Send makes one call.
type Send func(to *API, options ...gl.RequestOptionFunc) error

// NotGone says what 404 means for what is not a part of a vulnerability: we may not see it. Nothing there could be gone.
var NotGone = map[int]error{http.StatusNotFound: collect.ErrRefused}

// Raw returns the Send of a call that go-gitlab has no method for, or one that does not fit; whoever uses it says why. The path
// is below /api/v4/ and escaped. body is sent as JSON, and the answer is read into into, unless they are nil.
func Raw(method, path string, query url.Values, body, into any) Send {
	return func(to *API, options ...gl.RequestOptionFunc) error {
		request, err := to.NewRequest(method, path, body, options)
		if err != nil {
			return err
		}
		request.URL.RawQuery = query.Encode()
		return do(to, request, into)
	}
}

// do makes a request and reads the whole answer, which is nothing but JSON.
func do(to *API, request *retryablehttp.Request, into any) error {
	var answer bytes.Buffer
	if _, err := to.Do(request, &answer); err != nil || into == nil {
		return err
	}
	return json.Unmarshal(answer.Bytes(), into)
}

// caller makes the calls to one instance. It remembers GitLab's rate limit, and sends nothing while that is used up.
type caller struct {
	client *API
	last   atomic.Pointer[Answer] // without its body; nil: GitLab has not answered yet
	until  atomic.Int64           // no call before, in Unix nanoseconds
}

// newCaller makes a caller. It turns off everything that go-gitlab does by itself: go-gitlab would repeat calls, POST included,
// although the queue retries them; and it would slow down for good to a part of the limit in the first answer.
func newCaller(base *url.URL) (*caller, error) {
	//nolint:staticcheck // see API
	client, err := gl.NewOAuthClient("", gl.WithBaseURL(base.String()), gl.WithoutRetries(),
		gl.WithHTTPClient(newHTTPClient()), gl.WithCustomLimiter(unlimited{}))
	if err != nil {
		return nil, err
	}
	client.UserAgent = "stanch"
	return &caller{client: client}, nil
}

// unlimited is a limiter of go-gitlab's that never waits.
type unlimited struct{}

// Wait implements gl.RateLimiter.
func (unlimited) Wait(context.Context) error { return nil }

// ErrUnreadable means that a call was made, and that its answer is not what it should be. Nobody knows more then.
var ErrUnreadable = errors.New("the answer cannot be read")

// do makes a call once. There is an answer with every refusal. The errors of go-gitlab are dropped: they quote the answer.
func (c *caller) do(ctx context.Context, call Call, token leak.Secret) (*Answer, error) {
	if wait := time.Until(time.Unix(0, c.until.Load())); wait > 0 {
		return nil, throttled(call, http.StatusTooManyRequests, wait)
	}
	answer := new(Answer)
	err := call.Send(c.client, gl.WithContext(context.WithValue(ctx, answerKey{}, answer)), authorised(token), chained(ctx))
	if answer.status == 0 {
		return nil, fmt.Errorf("%s: %w", call.Doing, outbound.Cause(ctx, err))
	}
	c.note(answer)
	if answer.status < 200 || answer.status > 299 {
		return answer, classify(call, answer)
	}
	if err != nil && ctx.Err() != nil { // go-gitlab also looks at the context after the answer
		return answer, fmt.Errorf("%s: %w", call.Doing, ctx.Err())
	}
	if err != nil || len(answer.body) > 0 && !json.Valid(answer.body) { // go-gitlab does not look at what follows the JSON
		return answer, fmt.Errorf("%s: %w", call.Doing, ErrUnreadable)
	}
	return answer, nil
}

// authorised adds a token to a request.
func authorised(token leak.Secret) gl.RequestOptionFunc {
	return gl.WithHeader("Authorization", "Bearer "+token.Reveal())
}

// chained makes a change part of the chain that the context has as its cause.
func chained(ctx context.Context) gl.RequestOptionFunc {
	return func(r *retryablehttp.Request) error {
		if cause := collect.Cause(ctx); cause != "" && r.Method != http.MethodGet {
			r.Header.Set(ChainHeader, cause)
		}
		return nil
	}
}

// note keeps when and with which header GitLab answered last, and until when it wants us to wait: no call is left in this
// minute.
func (c *caller) note(answer *Answer) {
	last := *answer
	last.body = nil
	c.last.Store(&last)
	if end, over := outbound.LimitEnd(answer.Header, RatePrefix); over {
		c.until.Store(min(end.UnixNano(), time.Now().Add(maxWait).UnixNano()))
	}
}

// Last returns the last answer; nil: there is none yet.
func (c *Client) Last() *Answer { return c.caller.last.Load() }
