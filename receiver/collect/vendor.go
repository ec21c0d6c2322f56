// Package collect is the collector: it asks a source for the secret that a pointer points to, seals it and queues it;
// it sweeps for what no delivery told of; and it reports the outcome back, after the proof. It holds the sources' API
// tokens, the public sealing key and the fingerprint key, and cannot open what is sealed.
package collect

import (
	"context"
	"errors"
	"iter"
	"time"

	"stanch/receiver/leak"
)

// Errors of vendors that the collector decides on.
var (
	// ErrGone means that the source, asked with a working credential, has no such alert, or shows it to nobody any more.
	ErrGone = errors.New("the source has no such alert")
	// ErrRefused means that our credential may not do what was asked, and trying again does not help.
	ErrRefused = errors.New("the source refuses it")
	// ErrNoSecret means that the source has the alert and shows it, and that nobody can tell the secret from what is around
	// it. Somebody must look, because trying again does not help.
	ErrNoSecret = errors.New("the alert holds no secret that can be told apart")
	// ErrSwitchedOff means that the source has stopped delivering to us, because deliveries failed.
	ErrSwitchedOff = errors.New("the source has switched off a hook that delivers to us")
)

// Vendor is the API of a source that points to alerts. Methods are safe for concurrent use, bounded in time by ctx,
// and try once: the collector retries. An error wraps ErrGone or ErrRefused when, and only when, the answer means
// that; *leak.Throttled when the source asked to wait; everything else is unresolved. No error holds a secret, our
// credential or a URL. What a method changes at the source is part of the chain that ctx has as [Cause].
//
// A ref is what Parse of the same source put into a pointer. One that is not of the configured organisation is
// ErrRefused, and nobody is asked.
type Vendor interface {
	// Fetch returns what an alert says now: its secret, once for every place where it was seen. Ref is set, unless the
	// pointer leads to what can neither be resolved nor opened again. ErrNoSecret may come of it.
	Fetch(ctx context.Context, ref string) ([]leak.Content, error)
	// Open yields the alerts that are open and changed since a time (zero: ever), newest change first. Secrets are not
	// asked for. An error ends it.
	Open(ctx context.Context, since time.Time) iter.Seq2[Listed, error]
	// Resolve closes an alert as revoked, with a comment. That it is closed already is no error, and its comment stays.
	Resolve(ctx context.Context, ref, comment string) error
	// Reopen opens an alert again that Resolve closed, with a comment where the source takes one. That it is open
	// already, or that somebody closed it for another reason, is no error, and nothing changes then.
	Reopen(ctx context.Context, ref, comment string) error
}

// Listed is one alert of a list.
type Listed struct {
	Ref       string
	UpdatedAt time.Time
}

// Redeliverer is a Vendor that keeps deliveries which failed, and sends one again when it is asked to.
type Redeliverer interface {
	// Redeliver asks for every delivery since a time that failed and did not succeed later, and returns how many that are. An
	// error wraps ErrSwitchedOff when nothing more is delivered until somebody sees to it.
	Redeliver(ctx context.Context, since time.Time) (int, error)
}

// Selfaware is a Vendor that knows under which name its source shows what we do there: our own changes come back as
// deliveries, and nothing must come of them.
type Selfaware interface {
	// Self returns that name, as pointers have it in By.
	Self(ctx context.Context) (string, error)
}

// causeKey is under which a context has a cause.
type causeKey struct{}

// WithCause returns a context whose calls are part of a chain of calls and events, as a pointer has it in Cause. Sources that
// are told of it need not tell us of what we change.
func WithCause(ctx context.Context, cause string) context.Context {
	return context.WithValue(ctx, causeKey{}, cause)
}

// Cause is the chain that calls with a context are a part of; empty: none. It comes from whoever made the pointer's delivery,
// and means something to that source only.
func Cause(ctx context.Context) string {
	cause, _ := ctx.Value(causeKey{}).(string)
	return cause
}
