package gitlabfake

import "time"

// HookStatus says whether GitLab sends to a hook, as alert_status has it.
type HookStatus string

// The statuses of a hook.
const (
	Executable          HookStatus = "executable"
	TemporarilyDisabled HookStatus = "temporarily_disabled"
	Disabled            HookStatus = "disabled" // until a test delivery succeeds
)

// How GitLab switches a hook off: the fourth failure in a row for a minute, each further one for twice as long, and the
// fortieth for good.
const (
	toleratedFailures = 3
	lastFailure       = 40
	firstPause        = time.Minute
	longestPause      = 24 * time.Hour
)

// HookStatus returns the status of a hook now; empty: there is no such hook.
func (f *Fake) HookStatus(id int64) HookStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ok := f.hooks[id]
	if !ok {
		return ""
	}
	return h.status(f.options.Now())
}

func (h *hook) status(now time.Time) HookStatus {
	switch {
	case h.Failures >= lastFailure:
		return Disabled
	case h.Failures > toleratedFailures && !now.After(h.DisabledUntil):
		return TemporarilyDisabled
	}
	return Executable
}

// failed counts a failure, unless the hook is off already: tests are sent to it all the same.
func (h *hook) failed(now time.Time) {
	if h.status(now) != Executable {
		return
	}
	h.Failures++
	if over := h.Failures - toleratedFailures; over > 0 {
		pause := firstPause << min(over-1, 20)
		h.DisabledUntil = now.Add(min(pause, longestPause))
	}
}

// succeeded switches a hook on.
func (h *hook) succeeded() { h.Failures, h.DisabledUntil = 0, time.Time{} }
