// Package leak is the vocabulary of stanch: what a leaked key, the reports of it and its incident are called, and the
// errors that stages decide on. It imports the standard library only, and every stage speaks it, so that stages need
// not import each other. Of everything here only [Content] holds a secret, and a [Secret] does not print.
package leak

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers decide on. Adapters wrap them; everything that is none of these is unresolved: it is tried
// again, and then somebody is paged.
var (
	// ErrNotFound means that the issuer, asked with a working credential, says that it has no such key.
	ErrNotFound = errors.New("the issuer knows no such key")
	// ErrNotVisible means that the issuer has a key of this value perhaps, and does not show it to us; it says nothing about
	// our own credential.
	ErrNotVisible = errors.New("a key that we may not see")
	// ErrLocked means that the issuer refuses to change the key because it is locked.
	ErrLocked = errors.New("the key is locked")
	// ErrAlive means that a secret works, although its key is said to be dead.
	ErrAlive = errors.New("the leaked value still works")
	// ErrCredential means that the issuer refuses our own credential; it says nothing about the leaked key.
	ErrCredential = errors.New("our own credential is refused")
)

// Throttled is an error of an issuer or a channel that asked to be left alone for a while.
type Throttled struct {
	After time.Duration // how long, as it was asked for; it may be absurd, so bound it
	Err   error
}

// Error is the error that came with the wish.
func (t *Throttled) Error() string { return t.Err.Error() }

// Unwrap returns the error that came with the wish.
func (t *Throttled) Unwrap() error { return t.Err }

// Fingerprint is HMAC-SHA256 of a secret under a local key, in lower-case hex: the only name that a secret has outside
// the engine, and the id of its incident.
type Fingerprint string

// Short is the fingerprint as people read it in a log or a table; it is not unique.
func (f Fingerprint) Short() string {
	if len(f) <= 12 {
		return string(f)
	}
	return string(f[:12])
}

// Refusal says why what a person ordered was not taken. Nothing was changed.
type Refusal struct{ Text string }

// Error says why.
func (r *Refusal) Error() string { return r.Text }

// Refuse returns a *Refusal with a text, formatted as by fmt.
func Refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }
