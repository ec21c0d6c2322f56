package policy

import (
	"cmp"
	"slices"

	"stanch/receiver/leak"
)

// raised is the stronger of what a rule decides that looks at what an alert carries and of what is decided without the
// rule. Severity and unlock are the higher of the two.
func raised(own, without leak.Decision) leak.Decision {
	d := own
	if strength(without) > strength(own) {
		d = without
		d.Reason = own.Reason + ", which may not hold back what is decided without it: " + without.Reason
	}
	d.Severity = slices.MaxFunc([]leak.Severity{own.Severity, without.Severity}, func(a, b leak.Severity) int {
		return cmp.Compare(slices.Index(severities, a), slices.Index(severities, b))
	})
	d.Unlock = own.Unlock || without.Unlock
	return d
}

// strength orders decisions by what they do to a key at once and in the end: nothing, disable with approval, disable,
// delete with approval, which disables at once, and delete.
func strength(d leak.Decision) int {
	s := 2 * slices.Index(actions, d.Action)
	if d.Approval {
		s--
	}
	return s
}
