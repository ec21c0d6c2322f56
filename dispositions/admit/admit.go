// Package admit decides when an issuer may be asked and how much may be destroyed: a [Limiter] for each issuer, which bounds
// passes at once, passes per second and obeys an issuer that asks for a pause, and a [Fuse] for each account. What finds no
// place goes back to the queue and does not count as an attempt.
package admit

import (
	"errors"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// An issuer may ask for a pause of up to Patience before somebody is paged. A pause is never longer than maxPause.
const (
	Patience = time.Minute
	maxPause = 5 * time.Minute
)

// Pause returns how long an error's issuer asked to be left alone; 0: it did not ask.
func Pause(err error) time.Duration {
	if throttled, ok := errors.AsType[*leak.Throttled](err); ok {
		return max(throttled.After, time.Second)
	}
	return 0
}

// Postpone makes a failure come back when its issuer's pause is over; one that asked for no pause is returned as it is.
func Postpone(err error) error {
	if pause := Pause(err); pause > 0 {
		return &queue.Later{Delay: min(pause, maxPause), Err: err}
	}
	return err
}

// Postponed reports whether an error means that nobody was asked, because it is not time yet.
func Postponed(err error) bool {
	_, later := errors.AsType[*queue.Later](err)
	return later
}
