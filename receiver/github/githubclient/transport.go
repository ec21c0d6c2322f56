package githubclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

const (
	// callTimeout bounds a call whose context does not end sooner.
	callTimeout = 30 * time.Second
	// maxAnswer bounds an answer, in bytes: a page of a hundred alerts takes about a million.
	maxAnswer = 8 << 20
	// maxWait bounds how long GitHub can ask us to wait; its own limits are by the hour.
	maxWait = time.Hour
	// defaultWait is how long we wait when GitHub wants us to, but does not say how long.
	defaultWait = time.Minute
)

// newHTTPClient makes the only HTTP client of a caller. It notes the last answer as GitHub gave it, and bounds what it asks
// for: go-github would send nothing until a reset of the rate limit, however far away that is.
func newHTTPClient(last *atomic.Pointer[outbound.Exchange]) *http.Client {
	client := outbound.NewClient(outbound.Config{
		Timeout: callTimeout, MaxAnswer: maxAnswer, Answered: func(e outbound.Exchange) {
			noted := e
			noted.Header = e.Header.Clone()
			last.Store(&noted)
			boundWishes(e)
		},
	})
	client.Transport = authorised{client.Transport}
	return client
}

// tokenKey is the key of the token in the context of a call.
type tokenKey struct{}

// withToken returns a context whose calls show a token: go-github's methods take no header.
func withToken(ctx context.Context, token leak.Secret) context.Context {
	return context.WithValue(ctx, tokenKey{}, token)
}

// authorised adds the token of its context to each call, and wraps the body of each success in an [answer].
type authorised struct{ through http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (a authorised) RoundTrip(r *http.Request) (*http.Response, error) {
	token, ok := r.Context().Value(tokenKey{}).(leak.Secret)
	if !ok {
		return nil, errors.New("the call has no token")
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token.Reveal())
	response, err := a.through.RoundTrip(r)
	if err == nil && (response.StatusCode == http.StatusOK || response.StatusCode == http.StatusCreated) {
		response.Body = &answer{ReadCloser: response.Body}
	}
	return response, err
}

// answer is the body of a success. If it is empty, reading it is an error: go-github would take that for an empty list.
type answer struct {
	io.ReadCloser
	some bool // of it was read
}

// Read implements [io.Reader].
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	a.some = a.some || n > 0
	if errors.Is(err, io.EOF) && !a.some {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// maxRest is how much of an answer is read beyond what was decoded, in bytes.
const maxRest = 4 << 10

// Close implements [io.Closer]. It reads a little more, so that the connection can be used again.
func (a *answer) Close() error {
	_, _ = io.CopyN(io.Discard, a.ReadCloser, maxRest)
	return a.ReadCloser.Close()
}

// RatePrefix begins the header fields by which GitHub tells of its rate limit.
const RatePrefix = "X-RateLimit-"

// Header fields by which GitHub asks us to wait, and says what a call needs.
const (
	retryAfter     = "Retry-After"
	rateRemaining  = RatePrefix + "Remaining"
	rateReset      = RatePrefix + "Reset"
	scopesAccepted = "X-Accepted-OAuth-Scopes"
	rightsAccepted = "X-Accepted-GitHub-Permissions"
)

// boundWishes bounds how long an answer asks us to wait to maxWait, and removes what cannot be read. It also removes the end of
// the hour from a refusal while requests are left: after a secondary limit go-github would wait for it, although they have
// nothing to do with each other.
func boundWishes(e outbound.Exchange) {
	if e.Status == http.StatusForbidden && e.Header.Get(rateRemaining) != "0" {
		e.Header.Del(rateReset)
	}
	if wait, asked := outbound.RetryAfter(e.Header); asked {
		e.Header.Set(retryAfter, strconv.FormatInt(int64(min(wait, maxWait)/time.Second), 10))
	} else {
		e.Header.Del(retryAfter)
	}
	if reset, err := strconv.ParseInt(e.Header.Get(rateReset), 10, 64); err == nil {
		e.Header.Set(rateReset, strconv.FormatInt(min(max(reset, 0), e.Answered.Add(maxWait).Unix()), 10))
	} else {
		e.Header.Del(rateReset)
	}
}
