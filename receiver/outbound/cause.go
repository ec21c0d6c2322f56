package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
)

// ErrNoAnswer is the cause of a failed call when nothing better is known.
var ErrNoAnswer = errors.New("no answer")

// What stands in the way of an answer, in words of our own.
var (
	errTimeout = errors.New("no answer in time")
	errName    = errors.New("the host name cannot be resolved")
	errNoTLS   = errors.New("the far side does not speak TLS")
	errRefused = errors.New("the far side refuses the TLS handshake")
	errTooLong = errors.New("the answer is too long")
	errCut     = errors.New("the answer breaks off")

	errCertificate = errors.New("the certificate is not trusted")
	errUnknown     = fmt.Errorf("%w: an unknown authority signed it", errCertificate)
	errOtherName   = fmt.Errorf("%w: it is for another host name", errCertificate)
	errExpired     = fmt.Errorf("%w: it has expired, or is not valid yet", errCertificate)
)

// Cause says why a call failed, of the error that an HTTP client or the reading of a body returned: that ctx has ended, or one
// of a few causes in our own words. An error of the operating system, such as [syscall.ECONNREFUSED], is returned as it is.
// Nothing else of err is kept: its text may hold the URL, our credential, or whatever the far side sent.
func Cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	why := cause(err)
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "proxyconnect" {
		return fmt.Errorf("the proxy: %w", why)
	}
	return why
}

func cause(err error) error {
	var long *http.MaxBytesError
	var name *net.DNSError
	var errno syscall.Errno
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return errTimeout
	}
	if why := tlsCause(err); why != nil {
		return why
	}
	switch {
	case errors.As(err, &long):
		return errTooLong
	case errors.As(err, &name):
		return errName
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errCut
	}
	return ErrNoAnswer
}

// tlsCause is what went wrong in the handshake; nil: nothing that is known.
func tlsCause(err error) error {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var other *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var remote *net.OpError
	switch {
	case errors.As(err, &authority):
		return errUnknown
	case errors.As(err, &host):
		return errOtherName
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errExpired
	case errors.As(err, &other):
		return errCertificate
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return errNoTLS
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert, whose type crypto/tls keeps to itself
		return errRefused
	}
	return nil
}
