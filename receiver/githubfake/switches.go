package githubfake

import (
	"cmp"
	"net/http"

	"stanch/receiver/outbound/vendorfake"
)

// Switches choose between answers that GitHub does not document, and turn on what differs between organisations or goes wrong.
// Product code must work with every position.
type Switches struct {
	// Limited is the status when the rate limit is spent: 403 or 429, both documented. 0: 403.
	Limited int
	// Unchanged is the status of an update that asks for the state that the alert has: 400, documented when the
	// resolution does not change, or 200. 0: 400.
	Unchanged int
	// Cursors says when the Link of an alert listing holds a cursor: "asked", when the request had before or after, even
	// empty, as documented; "always"; or "never", by page only, as older Enterprise Servers. Empty: asked.
	Cursors string
	// Unreached is the status code listed for a delivery that nobody answered; status says why. 0: 502; -1: 0, which is no status.
	Unreached int
	// Validity is what becomes of the validity in an update: "" stores it; "ignored", or "refused" with 422, play servers
	// that do not know it yet.
	Validity string
	// CommentLimit is the longest resolution comment, in characters; a longer one is answered 400. 0: any.
	CommentLimit int
	// DelegatedDismissal makes resolving an alert a matter of approval: the API answers 403.
	DelegatedDismissal bool

	// Sparse leaves of the alert in a secret_scanning_alert event what older servers send: number, secret_type and the
	// resolution.
	Sparse bool
	// NoLocationSecret takes the secret out of secret_scanning_alert_location events. The published example has it.
	NoLocationSecret bool
	// Twice sends every delivery twice with the same GUID, and lists both.
	Twice bool
	// Reversed sends the newest waiting delivery first.
	Reversed bool
	// Drop loses every delivery: it is neither sent nor listed.
	Drop bool
}

// choices is every position of every switch whose answer is not established, the default first.
var choices = [][]func(*Switches){
	{func(s *Switches) { s.Limited = 403 }, func(s *Switches) { s.Limited = 429 }},
	{func(s *Switches) { s.Unchanged = 400 }, func(s *Switches) { s.Unchanged = 200 }},
	{
		func(s *Switches) { s.Cursors = "asked" }, func(s *Switches) { s.Cursors = "always" },
		func(s *Switches) { s.Cursors = "never" },
	},
	{func(s *Switches) { s.Unreached = 502 }, func(s *Switches) { s.Unreached = -1 }},
	{
		func(s *Switches) { s.Validity = "" }, func(s *Switches) { s.Validity = "ignored" },
		func(s *Switches) { s.Validity = "refused" },
	},
	{func(s *Switches) { s.CommentLimit = 0 }, func(s *Switches) { s.CommentLimit = 280 }},
	{func(s *Switches) { s.DelegatedDismissal = false }, func(s *Switches) { s.DelegatedDismissal = true }},
	{func(s *Switches) { s.Sparse = false }, func(s *Switches) { s.Sparse = true }},
	{func(s *Switches) { s.NoLocationSecret = false }, func(s *Switches) { s.NoLocationSecret = true }},
	{func(s *Switches) { s.Twice = false }, func(s *Switches) { s.Twice = true }},
	{func(s *Switches) { s.Reversed = false }, func(s *Switches) { s.Reversed = true }},
}

// Positions returns the defaults, and then each other position of each switch with the rest at their defaults: every
// answer occurs, in as few runs as possible. Drop stays off, because it is a loss and not an answer.
func Positions() []Switches { return vendorfake.Positions(Switches{}.withDefaults(), choices) }

func (s Switches) withDefaults() Switches {
	s.Limited = cmp.Or(s.Limited, http.StatusForbidden)
	s.Unchanged = cmp.Or(s.Unchanged, http.StatusBadRequest)
	s.Cursors = cmp.Or(s.Cursors, "asked")
	s.Unreached = cmp.Or(s.Unreached, http.StatusBadGateway)
	return s
}
