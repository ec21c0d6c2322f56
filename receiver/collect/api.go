package collect

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"stanch/receiver/queue/span"
)

// What the APIs of vendors have in common.

// NewTransport makes what a vendor's requests go through: a proxy if the environment names one, and TLS of a version that is
// still good. Give it to a client that follows no redirect, which would hand our credential to another host.
func NewTransport() http.RoundTripper {
	return span.Transport(&http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 1 << 16,
	})
}

// Reasons for which there is no answer.
var (
	errNoAnswer = errors.New("no answer")
	errTimeout  = errors.New("no answer in time")
)

// NoAnswer says why a request was not answered: that ctx has ended, or what is wrong with the network as far as err tells. It
// keeps nothing of err that could hold a URL or our credential.
func NoAnswer(ctx context.Context, err error) error {
	var netErr *net.OpError
	var dnsErr *net.DNSError
	var tlsErr *tls.CertificateVerificationError
	var urlErr *url.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &urlErr) && urlErr.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return errTimeout
	case errors.As(err, &dnsErr):
		return dnsErr
	case errors.As(err, &tlsErr):
		return tlsErr
	case errors.As(err, &netErr):
		return netErr
	}
	return errNoAnswer
}
