package gitlabfake

import (
	"cmp"

	"stanch/receiver/outbound/vendorfake"
)

// Switches choose between answers that GitLab does not document, and turn on what differs between installations or goes wrong.
// Product code must work with every position.
type Switches struct {
	// Extract says what raw_source_code_extract is in reports and in raw_metadata: "secret"; "absent", as scanners may
	// leave it out; or "url", a whole URL that holds the secret as its password. Empty: secret.
	Extract string
	// RawMetadata says whether the finding of a vulnerability in REST has raw_metadata with the extract: "present", as in
	// go-gitlab's fixtures, or "absent". Empty: present.
	RawMetadata string
	// NoCommit takes the commit out of locations in hooks, reports and findings. Where GitLab puts it is inferred.
	NoCommit bool
	// Again is what GraphQL makes of a state that a vulnerability has already: "accepted", with the new comment, or
	// "refused", with an error in the payload. REST answers 304, as documented. Empty: accepted.
	Again string
	// NoComment takes the comment out of the mutations of GraphQL that once had none: all but the dismissal. REST
	// then ignores it.
	NoComment bool
	// ResendDisabled lets events of a hook that is switched off be sent again. GitLab's source refuses it with 422.
	ResendDisabled bool
	// Signatures says what webhook-signature holds: "one" signature or "many", as Standard Webhooks allows: of another
	// version, of a key that nobody knows, and then the good one. Empty: one.
	Signatures string
	// QuietLimits sends RateLimit-* fields with 429 only.
	QuietLimits bool

	// Twice sends every delivery twice with the same Idempotency-Key, and lists both.
	Twice bool
	// Reversed sends the newest waiting delivery first.
	Reversed bool
	// Drop loses every delivery: it is neither sent nor listed.
	Drop bool
}

// choices is every position of every switch whose answer is not established, the default first.
var choices = [][]func(*Switches){
	{
		func(s *Switches) { s.Extract = "secret" }, func(s *Switches) { s.Extract = "absent" },
		func(s *Switches) { s.Extract = "url" },
	},
	{func(s *Switches) { s.RawMetadata = "present" }, func(s *Switches) { s.RawMetadata = "absent" }},
	{func(s *Switches) { s.NoCommit = false }, func(s *Switches) { s.NoCommit = true }},
	{func(s *Switches) { s.Again = "accepted" }, func(s *Switches) { s.Again = "refused" }},
	{func(s *Switches) { s.NoComment = false }, func(s *Switches) { s.NoComment = true }},
	{func(s *Switches) { s.ResendDisabled = false }, func(s *Switches) { s.ResendDisabled = true }},
	{func(s *Switches) { s.Signatures = "one" }, func(s *Switches) { s.Signatures = "many" }},
	{func(s *Switches) { s.QuietLimits = false }, func(s *Switches) { s.QuietLimits = true }},
	{func(s *Switches) { s.Twice = false }, func(s *Switches) { s.Twice = true }},
	{func(s *Switches) { s.Reversed = false }, func(s *Switches) { s.Reversed = true }},
}

// Positions returns the defaults, and then each other position of each switch with the rest at their defaults: every
// answer occurs, in as few runs as possible. Drop stays off, because it is a loss and not an answer.
func Positions() []Switches { return vendorfake.Positions(Switches{}.withDefaults(), choices) }

func (s Switches) withDefaults() Switches {
	s.Extract = cmp.Or(s.Extract, "secret")
	s.RawMetadata = cmp.Or(s.RawMetadata, "present")
	s.Again = cmp.Or(s.Again, "accepted")
	s.Signatures = cmp.Or(s.Signatures, "one")
	return s
}
