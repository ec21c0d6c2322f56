// Package channel is what the notifiers of many channels have in common: how a channel is reached over HTTP, what of its
// failures may be told, where credentials are read from, and what is remembered of an incident. No error of this package
// holds a URL, an address, a credential, or anything that a channel answered.
package channel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"

	"stanch/notify"
	"stanch/receiver/leak"
	"stanch/receiver/queue/span"
)

const (
	// callTimeout bounds a call whose context sets no sooner end.
	callTimeout = 20 * time.Second
	// maxAnswer bounds how much of an answer is read, in bytes.
	maxAnswer = 1 << 20
	// maxWait bounds what is taken of a Retry-After.
	maxWait = 24 * time.Hour
)

// NewClient makes the client of one notifier. It follows no redirect, which would hand the notice and the credential to
// another host.
func NewClient() *http.Client {
	return &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: bounded{span.Transport(&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			ForceAttemptHTTP2:      true,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 1 << 16,
		})},
	}
}

// bounded cuts answers that are too long.
type bounded struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	}
	return response, err
}

// Status is the error of a channel that was reached and answered something else than success: the HTTP status.
type Status int

// Error is the number and, where there is one, the registered name; nothing that the channel chose.
func (s Status) Error() string {
	return fmt.Sprintf("the channel answered %d %s", int(s), http.StatusText(int(s)))
}

// Do sends a request and reads the answer to its end. It is nil for a 2xx, and only for those statuses that are given
// where some are: whatever stands between us and a channel may answer 200. It is *leak.Throttled for an answer that asks to
// wait, *notify.Refused for a 4xx that a retry alone cannot help, another [Status] as it is, and what [Cause] makes of
// everything else.
func Do(client *http.Client, r *http.Request, success ...int) error {
	r.Header.Set("User-Agent", "stanch")
	response, err := client.Do(r)
	if err != nil {
		return Cause(r.Context(), err)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body) // so that the connection can be used again
	code := response.StatusCode
	if code/100 != 2 || len(success) > 0 && !slices.Contains(success, code) {
		return Answered(code, response.Header.Get("Retry-After"))
	}
	if err != nil {
		return Cause(r.Context(), err)
	}
	return nil
}

// Answered is the error of an answer with a status that is no success, as [Do] returns it. Of a Retry-After a day is taken at
// most.
func Answered(code int, after string) error {
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable && after != "":
		return &leak.Throttled{After: wait(after, time.Now()), Err: Status(code)}
	case code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusTooEarly:
		return &notify.Refused{Err: Status(code)}
	}
	return Status(code)
}

// wait reads a Retry-After, which is seconds or a date, as a time between none and maxWait.
func wait(text string, now time.Time) time.Duration {
	after := time.Duration(0)
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		after = time.Duration(min(seconds, int64(maxWait/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		after = at.Sub(now)
	}
	return max(0, min(after, maxWait))
}

// What stood in the way of an answer.
var (
	errTimeout     = errors.New("no answer in time")
	errName        = errors.New("the host name of the channel cannot be resolved")
	errCertificate = errors.New("the certificate of the channel is not trusted")

	// ErrNoAnswer is said when nothing better is known.
	ErrNoAnswer = errors.New("the connection gave no answer")
)

// Cause says why a channel gave no answer, of what a network call returned: the end of ctx, or one of a few causes in
// our own words.
func Cause(ctx context.Context, err error) error {
	var dnsErr *net.DNSError
	var certErr *tls.CertificateVerificationError
	var urlErr *url.Error
	var netErr net.Error
	var errno syscall.Errno
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &urlErr) && urlErr.Timeout(), errors.As(err, &netErr) && netErr.Timeout():
		return errTimeout
	case errors.As(err, &dnsErr):
		return errName
	case errors.As(err, &certErr):
		return errCertificate
	case errors.As(err, &errno):
		return errno
	}
	return ErrNoAnswer
}
