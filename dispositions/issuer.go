package dispositions

import (
	"context"
	"time"

	"stanch/receiver/leak"
)

// Issuer knows the keys that it issued. [Issuer.Abilities] says what else it can do, and for each ability it implements the
// interface of that name: [Reader], [Disabler], [Enabler], [Deleter], [Locker], [Prover], [Batcher]. The engine never asks for
// what is not among the abilities, so an adapter may implement more than its configuration or its far side allows. [Tenant],
// [Watcher], [Tracer], [Recogniser] and [Adviser] are known by the interface alone.
//
// Methods are safe for concurrent use, bounded in time by ctx, and try once: the engine retries. An error wraps
// leak.ErrNotFound, leak.ErrNotVisible, leak.ErrLocked or leak.ErrCredential when, and only when, the issuer's answer means
// that; *leak.Throttled when the issuer asked for a pause; everything else is unresolved, and never taken for success. No error
// holds the secret, our own credential or a URL.
type Issuer interface {
	// Abilities asks nobody and costs nothing. What the far side alone can tell may widen or narrow the answer once it was asked;
	// until then the issuer announces all that it may turn out to be able to do.
	Abilities() leak.Abilities
	// Locate asks whose key the secret is. leak.ErrNotFound: the issuer, asked with a working credential, has no such
	// key; leak.ErrNotVisible: it has one perhaps, and does not show it to us. An empty secret is refused without asking.
	Locate(ctx context.Context, secret leak.Secret) (leak.Key, error)
	// Examine says how it stands with the far side: whether our credential is taken, what it may see, what should worry its
	// owner. It changes nothing, and may make more calls than any other method. A far side that does not answer is a broken
	// finding. Findings hold no secret, no credential of ours and no URL.
	Examine(ctx context.Context) []leak.Finding
}

// Target names a key by all that is at hand. An issuer uses what it needs.
type Target struct {
	Key    leak.Key    // as it was located; its ID is empty where the issuer has none
	Secret leak.Secret // empty when it is not kept any more
}

// Reader can say how a key stands now.
type Reader interface {
	// Read returns the key as it is now. leak.ErrNotFound: the issuer has no such key any more.
	Read(ctx context.Context, t Target) (leak.Key, error)
}

// Disabler can make a key useless. A nil error means that the issuer accepted it, which proves nothing. Disabling twice is no
// error. Here as in every change, a key that is not there is leak.ErrNotFound, or no error where the issuer does not tell.
type Disabler interface {
	Disable(ctx context.Context, t Target) error
}

// Enabler can undo Disable.
type Enabler interface {
	Enable(ctx context.Context, t Target) error
}

// Deleter can make a key useless for good: delete or revoke it. A nil error proves nothing. Deleting a key that is gone is
// leak.ErrNotFound, or no error.
type Deleter interface {
	Delete(ctx context.Context, t Target) error
}

// Locker can lift and set the lock that keeps a key from being changed.
type Locker interface {
	Unlock(ctx context.Context, t Target) error
	Lock(ctx context.Context, t Target) error
}

// Prover can use a secret as its finder would.
type Prover interface {
	// Try says what came of it. An error means that nothing did: no answer, none that the issuer itself gave, or a refusal that has to
	// do with us and not with the value; the trial is zero then. An issuer that cannot be read and announces no Control is proved by
	// leak.Dead only.
	Try(ctx context.Context, secret leak.Secret) (leak.Trial, error)
}

// Batcher can act on many keys by one call.
type Batcher interface {
	// Batch does one action to at most as many targets as the abilities say, and returns one error for each, nil where it was
	// accepted. A target that the issuer cannot name gets an error of its own, and is not asked for.
	Batch(ctx context.Context, action leak.Action, targets []Target) []error
}

// Checks of Examine whose findings policy may settle, which an issuer does not know; whoever knows both judges them.
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

// Watcher can tell how a key is used.
type Watcher interface {
	// Activity returns the key's use so far. leak.ErrNotFound: the key is gone, and its use with it.
	Activity(ctx context.Context, t Target) (leak.Activity, error)
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

// Adviser can tell people what they should know about a key that leaked.
type Adviser interface {
	// Advise goes by what is known of the key, and asks nobody. It says nothing about a key that it does not know.
	Advise(key leak.Key) leak.Advice
}

// MaxMade is how many things MadeBy returns at most: more than anybody reads.
const MaxMade = 100
