package ibmfake

import (
	"cmp"
	"net/http"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// Switches choose between the answers that nobody outside IBM has established. Product code must work with every
// position.
type Switches struct {
	// Unknown is the status of a lookup by a value that no key has: 404 (not_found) or 400 (as the token endpoint
	// answers it). 0: 404.
	Unknown int `json:"unknown"`
	// Locked is the status of a refused write on a locked key: 409, 400 or 403. 0: 409.
	Locked int `json:"locked"`
	// Again is the status of disabling a disabled key, and of deleting an expired one: 204 or 409. 0: 204.
	Again int `json:"again"`
	// Stale is the status of an update with an old If-Match: 409 or 412. 0: 409.
	Stale int `json:"stale"`
	// Disabled is the status with which the token endpoint refuses a disabled key, of which the code alone is established: 400 or
	// 401. 0: 400.
	Disabled int `json:"disabled"`
	// NumericStatus makes status_code in error bodies a number; otherwise it is a string.
	NumericStatus bool `json:"numeric_status"`

	// Unset is what a key answers whose owner never chose what a leak does: "none", as in IBM's sample, "disable", as
	// IBM's documentation has it, or "absent". Empty: none. [Positions] leaves it alone, because it changes what keys
	// are set to.
	Unset string `json:"unset"`
	// Fresh is how often a key made by POST /v1/apikeys is answered as unknown before it shows: creation is
	// eventually consistent.
	Fresh int `json:"fresh"`
	// Skew is how far the Date of answers is ahead of the fake's own time; in JSON, nanoseconds. 0: not at all.
	Skew time.Duration `json:"skew,omitempty"`
}

// choices is every position of every switch whose answer is not established, the default first.
var choices = [][]func(*Switches){
	{func(s *Switches) { s.Unknown = 404 }, func(s *Switches) { s.Unknown = 400 }},
	{func(s *Switches) { s.Locked = 409 }, func(s *Switches) { s.Locked = 400 }, func(s *Switches) { s.Locked = 403 }},
	{func(s *Switches) { s.Again = 204 }, func(s *Switches) { s.Again = 409 }},
	{func(s *Switches) { s.Stale = 409 }, func(s *Switches) { s.Stale = 412 }},
	{func(s *Switches) { s.Disabled = 400 }, func(s *Switches) { s.Disabled = 401 }},
	{func(s *Switches) { s.NumericStatus = false }, func(s *Switches) { s.NumericStatus = true }},
}

// Positions returns the defaults, and then each other position of each switch with the rest at their defaults: every
// answer occurs, in as few runs as possible.
func Positions() []Switches { return vendorfake.Positions(Switches{}.withDefaults(), choices) }

// Combinations returns every combination of positions.
func Combinations() []Switches { return vendorfake.Combinations(Switches{}.withDefaults(), choices) }

// date is what the Date header field of an answer says.
func (f *Fake) date() string {
	return f.now().Add(f.Switches().Skew).UTC().Format(http.TimeFormat)
}

func (s Switches) withDefaults() Switches {
	s.Unknown = cmp.Or(s.Unknown, 404)
	s.Locked = cmp.Or(s.Locked, 409)
	s.Again = cmp.Or(s.Again, 204)
	s.Stale = cmp.Or(s.Stale, 409)
	s.Disabled = cmp.Or(s.Disabled, 400)
	s.Unset = cmp.Or(s.Unset, "none")
	return s
}
