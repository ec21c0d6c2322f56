// Package outbound is how stanch calls others over HTTP: the client that every adapter starts from, why a call had no answer,
// how long an answer asks to wait, and which URLs a credential may be sent to. A far side may be slow, broken or hostile: no
// call goes on for ever, no answer fills the memory, and no redirect takes a credential to another host. No error of this
// package holds a URL, an address, a credential or anything that the far side said.
package outbound

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"stanch/receiver/queue/span"
)

// What bounds a client where its [Config] does not say.
const (
	defaultTimeout     = 20 * time.Second
	defaultMaxAnswer   = 1 << 20
	defaultConnections = 16
)

// Config is what clients differ in. The zero value is a good client of an API whose answers are small.
type Config struct {
	// Timeout bounds a call, the reading of its answer included; 0: 20 seconds. A context may end it sooner.
	Timeout time.Duration
	// MaxAnswer is how much of an answer's body can be read, in bytes after decompression; 0: 1 MiB. Reading beyond it is an
	// error, so that a longer answer never looks like a success.
	MaxAnswer int64
	// Connections is how many idle connections to one host are kept open; 0: 16.
	Connections int
	// Roots are the certificate authorities that are trusted; nil: the system's.
	Roots *x509.CertPool
	// Dial opens the connections, for simulations without a network; nil: the network's dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Transport takes the place of the network's transport, for tests in which time passes; nil: the network's. With it,
	// Connections, Roots and Dial have no effect.
	Transport http.RoundTripper
	// Answered is told of every answer as soon as its header is there; nil: nobody is. It may be called concurrently.
	Answered func(Exchange)
}

// Exchange is one answer, without its body.
type Exchange struct {
	Asked, Answered time.Time // by our clock
	Status          int
	Header          http.Header // the answer's own: a change of it is seen by whoever made the call
}

// NewClient makes a client that follows no redirect: the answer that names another place is the answer. It uses the proxy that
// the environment names, and TLS 1.2 at least. Each call is shown as a span of its context's trace.
func NewClient(c Config) *http.Client {
	through := c.Transport
	if through == nil {
		through = network(c)
	}
	return &http.Client{
		Timeout:       cmp.Or(c.Timeout, defaultTimeout),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &bounded{span.Transport(through), cmp.Or(c.MaxAnswer, defaultMaxAnswer), c.Answered},
	}
}

func network(c Config) http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            c.Dial,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    cmp.Or(c.Connections, defaultConnections),
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 1 << 16,
	}
}

// bounded limits how much of each answer can be read, and tells of it.
type bounded struct {
	through  http.RoundTripper
	most     int64
	answered func(Exchange) // nil: nobody is told
}

// RoundTrip implements [http.RoundTripper].
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	response, err := b.through.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, b.most)
	if b.answered != nil {
		b.answered(Exchange{Asked: asked, Answered: time.Now(), Status: response.StatusCode, Header: response.Header})
	}
	return response, nil
}

// Roots reads the certificates of the authorities that a CA file holds in PEM; without a file, nil: the system's. Errors are
// worded to follow the name of the field.
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.New("cannot be read")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("names a file without a certificate in PEM")
	}
	return roots, nil
}
