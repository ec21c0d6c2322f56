package vendorfake

import "time"

// Window is a stretch of time in which something is counted, such as the requests of a user.
type Window struct {
	Used  int
	Reset time.Time // when it is over
}

// Windows are the current windows, by what is counted in them. They must not be used concurrently.
type Windows map[string]*Window

// At returns the window of something at a time; a new one of this length when the last is over.
func (w Windows) At(what string, now time.Time, length time.Duration) *Window {
	current, ok := w[what]
	if !ok || !now.Before(current.Reset) {
		current = &Window{Reset: now.Add(length)}
		w[what] = current
	}
	return current
}
