package gitlabclient

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"stanch/receiver/outbound"
)

const (
	// callTimeout bounds a call whose context does not end sooner.
	callTimeout = 30 * time.Second
	// maxAnswer bounds an answer, in bytes. No file with settings is that long, and a report of that length has some ten
	// thousand findings.
	maxAnswer = 16 << 20
	// maxWait bounds how long GitLab can ask us to wait; its own limits are by the minute.
	maxWait = time.Hour
	// defaultWait is how long we wait when GitLab wants us to, but does not say how long.
	defaultWait = time.Minute
)

// Answer is one answer, and when it was asked for and came by our clock.
type Answer struct {
	Asked, Answered time.Time
	Header          http.Header
	status          int    // 0: there is no answer
	body            []byte // may hold secrets
}

// answerKey is the key of the *Answer in the context of a request, in which the answer is noted.
type answerKey struct{}

// newHTTPClient makes the only HTTP client of a caller.
func newHTTPClient() *http.Client {
	client := outbound.NewClient(outbound.Config{Timeout: callTimeout, MaxAnswer: maxAnswer})
	client.Transport = noting{client.Transport}
	return client
}

// noting reads each answer to its end and notes it in the context of its request. go-gitlab sees the body of a success only: it
// would drop the body of a 404, which tells us whether GitLab wrote it, and quote other bodies in errors.
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
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	if noted, ok := r.Context().Value(answerKey{}).(*Answer); ok {
		*noted = Answer{asked, time.Now(), response.Header, response.StatusCode, body}
	}
	return response, nil
}
