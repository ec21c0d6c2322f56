// Package collecttest is the conformance suite of every vendor that the collector asks. It drives an adapter against
// a far side that the adapter's test brings along, and holds it to the contract of collect.Vendor: an error means one
// thing, a failure never looks like success, no error holds a secret or our own credential, and our credential goes
// to nobody else.
package collecttest

import (
	"context"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
)

// Harness makes worlds. Run asks for a new one for every test.
type Harness struct {
	// New makes a vendor that has not been used yet, and its far side without an alert.
	New func(t *testing.T) World
}

// World is a vendor and its far side.
type World struct {
	Vendor collect.Vendor
	// Add adds an open alert that changed at a time, with this secret, seen in this many places.
	Add func(secret leak.Secret, changed time.Time, places int) (ref string)
	// Close closes an alert as a person does: for another reason than ours, with this comment.
	Close func(ref, comment string)
	// Remove takes an alert away.
	Remove func(ref string)
	// State is an alert as the far side has it.
	State func(ref string) State
	// Foreign is somebody else's ref, and Absent one of ours for which there is no alert; both are well-formed.
	Foreign, Absent string
	// Own is our own credential, and URL the far side's: both are looked for in errors.
	Own leak.Secret
	URL string
	// Calls is how many requests the far side has answered.
	Calls func() int
	// PageSize is the largest number of alerts on one page of a list.
	PageSize int
	// MaxPlaces is the largest number of places that an alert can have; 0: no limit. Add is never asked for more.
	MaxPlaces int
	// Break makes every answer go wrong, from now on until Mend.
	Break func(Breakage)
	// Redirect makes every answer one that names another URL, from now on until Mend.
	Redirect func(url string)
	// Mend ends what Break or Redirect began.
	Mend func()
}

// State is how an alert stands.
type State struct {
	Open    bool
	Comment string // that it was closed with
}

// Breakage is a way in which a far side fails.
type Breakage string

// The ways in which a far side fails.
const (
	// Credential: it refuses our own credential.
	Credential Breakage = "our own credential is refused"
	// Forbidden: it knows us but allows us nothing.
	Forbidden Breakage = "our own credential lacks rights"
	// Throttle: it asks to wait for RetryAfter.
	Throttle Breakage = "throttled"
	// ThrottleAbsurdly: it asks to wait for a thousand days.
	ThrottleAbsurdly Breakage = "throttled for a thousand days"
	// ServerError: 500 with a body in its own format.
	ServerError Breakage = "500"
	// HTML: 502 with a page as proxies send it.
	HTML Breakage = "502 with an HTML page"
	// HTMLSuccess: 200 with a page, as a captive portal sends it.
	HTMLSuccess Breakage = "200 with an HTML page"
	// EmptySuccess: 200 with an empty object.
	EmptySuccess Breakage = "200 with an empty object"
	// NoSuccess: 200 without a body.
	NoSuccess Breakage = "200 without a body"
	// Empty: 503 without a body.
	Empty Breakage = "503 without a body"
	// BareNotFound: 404 that is not in the far side's format, as from a proxy without a route.
	BareNotFound Breakage = "404 with an HTML page"
	// BareForbidden: 403 that is not in the far side's format, as from a firewall.
	BareForbidden Breakage = "403 with an HTML page"
	// Cut: it closes the connection without an answer.
	Cut Breakage = "connection cut"
	// Hang: it never answers.
	Hang Breakage = "hang"
	// Truncate: it answers as usual, with half of the body.
	Truncate Breakage = "half of the answer"
	// Repeat: its lists start again after a page.
	Repeat Breakage = "pages that repeat"
	// Lie: it says yes to a change, shows the alert as it was, and does nothing.
	Lie Breakage = "lying success"
)

// RetryAfter is what a far side that throttles asks for.
const RetryAfter = 7 * time.Second

// unresolved are the breakages that leave the outcome open.
var unresolved = []Breakage{
	ServerError, HTML, HTMLSuccess, EmptySuccess, NoSuccess, Empty, BareNotFound, BareForbidden, Cut, Hang, Truncate,
}

// hangTime is how long the suite waits for a far side that never answers.
const hangTime = 50 * time.Millisecond

// Run holds a vendor to its contract, with redelivery if it is a collect.Redeliverer.
func Run(t *testing.T, h Harness) {
	t.Run("Fetch", func(t *testing.T) { testFetch(t, h) })
	t.Run("Open", func(t *testing.T) { testOpen(t, h) })
	t.Run("Resolve", func(t *testing.T) { testResolve(t, h) })
	t.Run("Reopen", func(t *testing.T) { testReopen(t, h) })
	t.Run("Gone", func(t *testing.T) { testGone(t, h) })
	t.Run("Foreign", func(t *testing.T) { testForeign(t, h) })
	t.Run("Refused", func(t *testing.T) { testRefused(t, h) })
	t.Run("Throttled", func(t *testing.T) { testThrottled(t, h) })
	t.Run("Unresolved", func(t *testing.T) { testUnresolved(t, h) })
	t.Run("Lie", func(t *testing.T) { testLie(t, h) })
	t.Run("Redirected", func(t *testing.T) { testRedirected(t, h) })
	t.Run("Cancelled", func(t *testing.T) { testCancelled(t, h) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, h) })
}

// call is one thing that a vendor can be asked.
type call struct {
	name string
	do   func(ctx context.Context, ref string) error
}

// aboutOne lists what a vendor can be asked about one alert.
func (w World) aboutOne() []call {
	return []call{
		{"Fetch", func(ctx context.Context, ref string) error { _, err := w.Vendor.Fetch(ctx, ref); return err }},
		{"Resolve", func(ctx context.Context, ref string) error { return w.Vendor.Resolve(ctx, ref, comment) }},
		{"Reopen", func(ctx context.Context, ref string) error { return w.Vendor.Reopen(ctx, ref, comment) }},
	}
}

// calls lists everything that a vendor can be asked.
func (w World) calls() []call {
	all := append(w.aboutOne(), call{"Open", func(ctx context.Context, _ string) error {
		_, err := list(ctx, w, time.Time{})
		return err
	}})
	if r, ok := w.Vendor.(collect.Redeliverer); ok {
		all = append(all, call{"Redeliver", func(ctx context.Context, _ string) error {
			_, err := r.Redeliver(ctx, time.Time{})
			return err
		}})
	}
	return all
}

// list returns what a vendor lists before an error, which must be the last thing that it yields.
func list(ctx context.Context, w World, since time.Time) (all []collect.Listed, err error) {
	for listed, problem := range w.Vendor.Open(ctx, since) {
		if err != nil {
			panic("Open goes on after an error")
		}
		if problem != nil {
			err = problem
			continue
		}
		all = append(all, listed)
	}
	return all, err
}

// comment is the comment with which we close alerts.
const comment = "The key is disabled."

// secret is the planted token.
func secret() leak.Secret { return leak.NewSecret("planted-4f9d2c61-token") }

// changed is when alerts of the suite changed, in whole seconds.
func changed() time.Time { return time.Now().Add(-time.Hour).Truncate(time.Second) }

// add adds the usual alert: with the planted token, in one place.
func (w World) add() string { return w.Add(secret(), changed(), 1) }
