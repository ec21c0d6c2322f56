// Package collect is the collector. It fetches the secret that a pointer points to from the source, seals it and queues it;
// it sweeps the source for alerts that no delivery reported; and it reports the outcome back, after the proof. It holds the
// sources' API tokens, the public sealing key and the fingerprint key, and cannot open what is sealed.
package collect

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"time"

	"stanch/receiver/leak"
)

// Errors of a Vendor that the Collector decides on.
var (
	// ErrGone means that the source has no such alert, or shows it to nobody any more. It is only said to a working
	// credential.
	ErrGone = errors.New("the source has no such alert")
	// ErrRefused means that our credential does not allow the call, and a retry does not help.
	ErrRefused = errors.New("the source refuses it")
	// ErrNoSecret means that the source shows the alert, but the secret cannot be told from the text around it. A retry does
	// not help: a person must look.
	ErrNoSecret = errors.New("no secret can be told from the text around it")
	// ErrSwitchedOff means that the source has stopped delivering to us because deliveries failed.
	ErrSwitchedOff = errors.New("the source has switched off a hook that delivers to us")
)

// Meaning is what an error status of a source's API means, given that the source itself wrote the answer; nil: nothing that is
// established.
func Meaning(status int) error {
	switch status {
	case http.StatusUnauthorized:
		return leak.ErrCredential
	case http.StatusForbidden:
		return ErrRefused
	case http.StatusNotFound:
		return ErrGone
	}
	return nil
}

// Vendor is the API of a source whose deliveries are pointers. Methods are safe for concurrent use, stop when ctx ends, and
// try once: the Collector retries. An error wraps ErrGone or ErrRefused if and only if the answer means that, and
// *leak.Throttled if the source asks us to wait; every other error is unresolved. No error holds a secret, our credential
// or a URL. Changes at the source are attributed to the chain that ctx carries as its [Cause].
//
// A ref is what Parse of the same source put into a pointer. A ref outside the configured organisation is ErrRefused,
// without a call.
type Vendor interface {
	// Fetch returns what an alert says now: its secret, once for each place where it was seen. Ref is set if the alert can
	// be resolved and reopened. The error may also wrap ErrNoSecret.
	Fetch(ctx context.Context, ref string) ([]leak.Content, error)
	// Open yields the open alerts that changed since a time (zero: all of them), latest change first. It does not ask for
	// secrets. An error ends it.
	Open(ctx context.Context, since time.Time) iter.Seq2[Listed, error]
	// Resolve closes an alert as revoked, with a comment. An alert that is already closed is no error and stays as it is.
	Resolve(ctx context.Context, ref, comment string) error
	// Reopen reopens an alert that Resolve closed, with a comment if the source takes one. An alert that is open, or that
	// somebody closed for another reason, is no error and stays as it is.
	Reopen(ctx context.Context, ref, comment string) error
}

// Listed is one alert of a list.
type Listed struct {
	Ref       string
	UpdatedAt time.Time
}

// Redeliverer is a Vendor that keeps failed deliveries and repeats them on request.
type Redeliverer interface {
	// Redeliver asks for each delivery since a time that failed and did not succeed later, and returns how many it asked
	// for, also together with an error. The error wraps ErrSwitchedOff when deliveries have stopped until somebody acts.
	Redeliver(ctx context.Context, since time.Time) (int, error)
}

// Selfaware is a Vendor that knows the name under which its source shows our own changes. They come back as deliveries, and
// must have no effect.
type Selfaware interface {
	// Self returns that name, as pointers hold it in By.
	Self(ctx context.Context) (string, error)
}

// causeKey is the key of the cause in a context.
type causeKey struct{}

// WithCause returns a context whose calls belong to the chain of calls and events named by a pointer's Cause. A source that
// sees it need not report our own changes to us.
func WithCause(ctx context.Context, cause string) context.Context {
	return context.WithValue(ctx, causeKey{}, cause)
}

// Cause returns the chain that calls with this context belong to; empty: none. The name comes from the source of the pointer
// and has a meaning only there.
func Cause(ctx context.Context) string {
	cause, _ := ctx.Value(causeKey{}).(string)
	return cause
}
