package outbound

import (
	"errors"
	"fmt"
	"slices"
)

// Refusal is an error answer, reduced to what may be shown to anyone. Whoever makes one takes care of that: nothing that the far
// side worded goes into it, only a code of a known form.
type Refusal struct {
	Doing  string // what the call was for: a gerund
	Who    string // who answered, as people call it
	Status int
	Code   string // what the far side calls the failure; may be empty
	Means  error  // what the answer means; nil: nobody classified it
	Hint   string // what a person can do; may be empty
}

// Error says what we were doing and what was answered.
func (r *Refusal) Error() string {
	text := fmt.Sprintf("%s: %s answers %d", r.Doing, r.Who, r.Status)
	if r.Code != "" {
		text += " " + r.Code
	}
	if r.Means != nil {
		text += ": " + r.Means.Error()
	}
	if r.Hint != "" {
		text += ": " + r.Hint
	}
	return text
}

// Unwrap returns what the answer means; nil: nobody classified it.
func (r *Refusal) Unwrap() error { return r.Means }

// Answered reports whether an error is or wraps a [Refusal] with one of these statuses.
func Answered(err error, statuses ...int) bool {
	no, ok := errors.AsType[*Refusal](err)
	return ok && slices.Contains(statuses, no.Status)
}
