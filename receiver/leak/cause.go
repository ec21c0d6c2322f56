package leak

import "errors"

// Cause is why an incident failed, as far as people have different things to do about it.
type Cause string

// The causes of failures.
const (
	CauseLocked     Cause = "locked"     // the key is locked, and policy does not allow stanch to unlock it
	CauseCredential Cause = "credential" // the issuer refuses our own credential
	CauseAlive      Cause = "alive"      // the key is said to be dead, and its value works
	CauseThrottled  Cause = "throttled"  // the issuer asked for a long pause
	CauseUnresolved Cause = "unresolved" // anything else
)

// CauseOf is the cause of a failure.
func CauseOf(err error) Cause {
	_, throttled := errors.AsType[*Throttled](err)
	switch {
	case errors.Is(err, ErrLocked):
		return CauseLocked
	case errors.Is(err, ErrAlive):
		return CauseAlive
	case errors.Is(err, ErrCredential):
		return CauseCredential
	case throttled:
		return CauseThrottled
	}
	return CauseUnresolved
}
