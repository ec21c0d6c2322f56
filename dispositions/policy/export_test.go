package policy

import "stanch/receiver/leak"

// Certainty is what the examination of rules takes for certain of an expression in a situation: that it is true, that it
// is false, or neither. It is nothing for an expression that does not compile.
func Certainty(when, issuer string, setting leak.Action) (isTrue, isFalse bool) {
	x, _ := compile(when)
	if x == nil {
		return false, false
	}
	verdict := x.certainty(issuer, setting)
	return verdict == always, verdict == never
}

// Carried reports whether a rule looks at something that an alert carries.
func Carried(when string) bool {
	x, _ := compile(when)
	if x == nil {
		return false
	}
	_, carried := x.carried()
	return carried
}
