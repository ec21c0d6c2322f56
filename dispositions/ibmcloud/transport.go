package ibmcloud

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"stanch/dispositions"
	"stanch/receiver/queue/span"
)

const (
	// callTimeout bounds a call whose context sets no sooner end, a token request among them.
	callTimeout = 20 * time.Second
	// maxAnswer bounds how much of an answer is read, in bytes: a key takes two thousand.
	maxAnswer = 1 << 20
	// maxConnections is how many connections are kept open: one for each turn that the engine can take, and half as many for
	// what a turn asks at the same time.
	maxConnections = dispositions.MaxInFlight * 3 / 2
)

// dialer opens a connection; nil: the network's.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// newClient makes the one client for tokens and keys. It follows no redirect, which would hand the leaked key or our
// own to another host.
// How IAM's clock stands is read from the last answer.
func newClient(last *atomic.Pointer[exchange], dial dialer) *http.Client {
	return &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: bounded{last, span.Transport(&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dial,
			ForceAttemptHTTP2:      true,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second,
			MaxIdleConnsPerHost:    maxConnections,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 1 << 16,
		})},
	}
}

// exchange is when IAM was asked something and had answered, by our clock and by its own.
type exchange struct {
	asked, answered time.Time
	date            string // header field of the answer
}

// bounded cuts answers that are too long; what is cut cannot be read as success. It notes when the last answer came.
type bounded struct {
	last *atomic.Pointer[exchange]
	http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		b.last.Store(&exchange{asked, time.Now(), response.Header.Get("Date")})
		response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	}
	return response, err
}
