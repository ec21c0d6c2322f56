package gitlabhooks

import "time"

// SetMinute changes how long the minute is in which GitLab sends five deliveries again.
func (h *Hooks) SetMinute(minute time.Duration) { h.resent.minute = minute }

// Reserve reserves so many times at which a delivery can be sent again, and returns how long each is to wait.
func Reserve(n int) []time.Duration {
	r, waits := newResent(), make([]time.Duration, n)
	for i := range waits {
		waits[i] = r.reserve()
	}
	return waits
}
