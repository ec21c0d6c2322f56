package gitlabapi

import (
	"io"
	"net/http"
	"time"

	"stanch/receiver/outbound"
)

const (
	// callTimeout bounds a call whose context sets no sooner end.
	callTimeout = 30 * time.Second
	// maxAnswer bounds how much of an answer is read, in bytes. A file of that length holds no settings, and a report of it has
	// some ten thousand findings.
	maxAnswer = 16 << 20
	// maxWait bounds what is taken of a wish to wait; GitLab's own limits are by the minute.
	maxWait = time.Hour
	// unsaidWait is what GitLab wants to be left alone for when it does not say.
	unsaidWait = time.Minute
)

// exchange is one answer, whole, and when it was asked for and came by our clock. The body may hold secrets.
type exchange struct {
	asked, answered time.Time
	status          int // 0: there is no answer
	header          http.Header
	body            []byte
}

// exchangeKey is under which a request's context has the *exchange that its answer is noted in.
type exchangeKey struct{}

// newAPIClient makes the one HTTP client of a vendor.
func newAPIClient() *http.Client {
	client := outbound.NewClient(outbound.Config{Timeout: callTimeout, MaxAnswer: maxAnswer})
	client.Transport = noting{client.Transport}
	return client
}

// noting reads every answer to its end and notes it in the context of its request. go-gitlab then sees an empty one: it would
// throw the body of a 404 away, of which we need to know whether GitLab wrote it, quote others in errors, and take an empty
// one for a mistake.
type noting struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (n noting) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	response, err := n.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // it was read
	if err != nil {
		return nil, err
	}
	response.Body, response.ContentLength = http.NoBody, 0
	if noted, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		*noted = exchange{asked, time.Now(), response.StatusCode, response.Header, body}
	}
	return response, nil
}
