package dispositions

import (
	"context"
	"time"

	"stanch/receiver/leak"
)

// Issuer knows the keys that it issued. What else it can do with a key it says by implementing [Disabler], [Deleter],
// [Enabler], [Locker], [Examiner], [Tenant], [Prover], [Watcher], [Tracer], [Recogniser]; there are no "not implemented" methods.
//
// Methods are safe for concurrent use, bounded in time by ctx, and try once: the engine retries. An error wraps
// leak.ErrNotFound, leak.ErrLocked or leak.ErrCredential when, and only when, the issuer's answer means that;
// *leak.Throttled when the issuer asked to wait; everything else is unresolved, and never taken for success. No error
// holds the secret, our own credential or a URL.
type Issuer interface {
	// Locate asks whose key the secret is. leak.ErrNotFound: the issuer, asked with a working credential, has no such
	// key. An empty secret is refused without asking.
	Locate(ctx context.Context, secret leak.Secret) (leak.Key, error)
	// Read returns the key as it is now, looked up by id. leak.ErrNotFound: it is gone.
	Read(ctx context.Context, id string) (leak.Key, error)
}

// Disabler can make a key useless in a way that can be undone. A nil error means that the issuer accepted it, which
// proves nothing: the engine reads the key again. Disabling twice is no error.
type Disabler interface {
	Disable(ctx context.Context, id string) error
}

// Deleter can delete a key for good. A nil error proves nothing; deleting a key that is gone is leak.ErrNotFound.
type Deleter interface {
	Delete(ctx context.Context, id string) error
}

// Enabler can undo Disable.
type Enabler interface {
	Enable(ctx context.Context, id string) error
}

// Locker can lift and set the lock that keeps a key from being changed.
type Locker interface {
	Unlock(ctx context.Context, id string) error
	Lock(ctx context.Context, id string) error
}

// Examiner can say how it stands with the far side: whether our credential is taken, what it may see, what should worry
// its owner. Examine changes nothing and is bounded in time by ctx; it may make more calls than any other method. Its
// findings hold no secret, no credential of ours and no URL.
type Examiner interface {
	Examine(ctx context.Context) []leak.Finding
}

// Checks of an Examiner whose findings policy may settle, which an issuer does not know; whoever knows both judges them.
const (
	// SetToNone: how many keys are set to none, as policy.key_none covers them or does not.
	SetToNone = "keys set to none"
	// LockedKeys: how many keys are locked, which policy.unlock allows to unlock or does not.
	LockedKeys = "locked keys"
)

// Tenant can say to which account, organisation or tenant our own credential belongs.
type Tenant interface {
	Account(ctx context.Context) (string, error)
}

// Prover can use a secret as its finder would.
type Prover interface {
	// Refused tries the secret, and returns nil when it is refused in a way that its issuer documents for a dead key. An
	// error wraps leak.ErrAlive when the secret works; every other is unresolved.
	Refused(ctx context.Context, secret leak.Secret) error
}

// Watcher can tell how a key is used.
type Watcher interface {
	// Activity returns the key's use so far. leak.ErrNotFound: the key is gone, and its use with it.
	Activity(ctx context.Context, id string) (leak.Activity, error)
}

// Tracer can tell what an identity left behind.
type Tracer interface {
	// MadeBy returns what the owner of a key made since a time, keys and identities, newest first; at most MaxMade.
	MadeBy(ctx context.Context, key leak.Key, since time.Time) ([]leak.Made, error)
}

// Recogniser can tell secrets of its issuer that nobody can look up or revoke by a call.
type Recogniser interface {
	// Recognise goes by what the source calls the secret and by its form: it asks nobody. It returns what it is, and how a
	// person revokes it, a sentence; false: it is none that is known.
	Recognise(c leak.Content) (kind, byHand string, ok bool)
}

// MaxMade is how many things MadeBy returns at most: more than anybody reads.
const MaxMade = 100
