package gitlabapi

import (
	"time"

	"stanch/receiver/collect"
)

// SetMinute changes how long the minute is in which a vendor has so many deliveries sent again.
func SetMinute(v collect.Vendor, minute time.Duration) { v.(*vendor).resent.minute = minute }

// Turns takes so many turns at having a delivery sent again, and returns how long each is to wait.
func Turns(n int) []time.Duration {
	r, waits := newResent(), make([]time.Duration, n)
	for i := range waits {
		waits[i] = r.turn()
	}
	return waits
}

// The ways from what stands at a place to the token; empty: nobody can tell.
var (
	TokenOf = tokenOf
	TokenAt = tokenAt
)
