// Package issuertest is the conformance suite of every issuer. It drives an adapter against a far side that the adapter's
// test brings along, and holds it to the contract of dispositions.Issuer: an error means one thing, a failure never
// looks like success, and no error holds a secret, our own credential or a URL.
package issuertest

import (
	"context"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// Harness makes worlds. Run asks for a new one for every test.
type Harness struct {
	// New makes an issuer that has not been used yet, and its far side with no key but our own.
	New func(t *testing.T) World
}

// World is an issuer and its far side.
type World struct {
	Issuer dispositions.Issuer
	// AddKey adds a live key that is not ours to the far side.
	AddKey func(locked bool) (id string, secret leak.Secret)
	// State is what the far side itself says of a key; false: it is gone.
	State func(id string) (state State, exists bool)
	// UnknownID and UnknownSecret are well-formed, and no key has them.
	UnknownID     string
	UnknownSecret leak.Secret
	// Own is our own credential, and URL the far side's: both are looked for in errors.
	Own leak.Secret
	URL string
	// Break makes every answer go wrong, from now on until Mend.
	Break func(Breakage)
	// Redirect makes every answer one with a status that sends us to a URL, until Mend.
	Redirect func(status int, to string)
	// Mend ends what Break and Redirect began.
	Mend func()
}

// State is how a key stands.
type State struct {
	Disabled, Locked bool
}

// Breakage is a way in which a far side fails.
type Breakage string

// The ways in which a far side fails.
const (
	// Credential: it refuses our own credential, and everything that was issued for it.
	Credential Breakage = "our own credential is refused"
	// Forbidden: it knows us, and does not let us do anything.
	Forbidden Breakage = "our own credential lacks rights"
	// Throttle: it asks to wait for RetryAfter.
	Throttle Breakage = "throttled"
	// ThrottleAbsurdly: it asks to wait for a thousand days.
	ThrottleAbsurdly Breakage = "throttled for a thousand days"
	// ThrottleNegative, ThrottleGarbage and ThrottleUntil: it asks to wait for less than no time, for what is no time, and
	// until a day in the year 2100.
	ThrottleNegative Breakage = "throttled for a negative time"
	ThrottleGarbage  Breakage = "throttled for no time at all"
	ThrottleUntil    Breakage = "throttled until 2100"
	// Stranger: it refuses the leaked value, and only that, with a code that nobody has documented.
	Stranger Breakage = "a refusal that nobody knows"
	// Committed: it makes a change, and answers 500.
	Committed Breakage = "500 after the change was made"
	// ServerError: 500 with a body in its own format.
	ServerError Breakage = "500"
	// HTML: 502 with a page as proxies send it.
	HTML Breakage = "502 with an HTML page"
	// HTMLSuccess: 200 with a page, as a captive portal sends it.
	HTMLSuccess Breakage = "200 with an HTML page"
	// EmptySuccess: 200 with an empty object.
	EmptySuccess Breakage = "200 with an empty object"
	// Empty: 503 without a body.
	Empty Breakage = "503 without a body"
	// BareNotFound: 404 that is not in the far side's format, as from a proxy without a route.
	BareNotFound Breakage = "404 with an HTML page"
	// Redirect: it sends us to another host.
	Redirect Breakage = "redirect to another host"
	// Cut: it closes the connection without an answer.
	Cut Breakage = "connection cut"
	// Hang: it never answers.
	Hang Breakage = "hang"
	// Lie: it says yes to a change and does nothing.
	Lie Breakage = "lying success"
)

// RetryAfter is what a far side that throttles asks for.
const RetryAfter = 7 * time.Second

// unresolved are the breakages after which nobody can tell anything.
var unresolved = []Breakage{
	ServerError, HTML, HTMLSuccess, EmptySuccess, Empty, BareNotFound, Redirect, Cut, Hang,
}

// hangTime is how long the suite waits for a far side that never answers.
const hangTime = 50 * time.Millisecond

// Run holds an issuer to its contract. What it cannot do, by not being a Disabler, Deleter, Enabler, Locker, Prover, Watcher,
// Tracer, Recogniser or Examiner, is not asked of it.
func Run(t *testing.T, h Harness) {
	t.Run("Locate", func(t *testing.T) { testLocate(t, h) })
	t.Run("Read", func(t *testing.T) { testRead(t, h) })
	t.Run("Disable", func(t *testing.T) { testDisable(t, h) })
	t.Run("Enable", func(t *testing.T) { testEnable(t, h) })
	t.Run("Delete", func(t *testing.T) { testDelete(t, h) })
	t.Run("Lock", func(t *testing.T) { testLock(t, h) })
	t.Run("Locked", func(t *testing.T) { testLocked(t, h) })
	t.Run("Lie", func(t *testing.T) { testLie(t, h) })
	t.Run("Credential", func(t *testing.T) { testCredential(t, h) })
	t.Run("Throttled", func(t *testing.T) { testThrottled(t, h) })
	t.Run("Unresolved", func(t *testing.T) { testUnresolved(t, h) })
	t.Run("Cancelled", func(t *testing.T) { testCancelled(t, h) })
	t.Run("Redirect", func(t *testing.T) { testRedirect(t, h) })
	t.Run("Committed", func(t *testing.T) { testCommitted(t, h) })
	t.Run("Wishes", func(t *testing.T) { testWishes(t, h) })
	t.Run("Watch", func(t *testing.T) { testWatch(t, h) })
	t.Run("Trace", func(t *testing.T) { testTrace(t, h) })
	t.Run("Recognise", func(t *testing.T) { testRecognise(t, h) })
	t.Run("Prove", func(t *testing.T) { testProve(t, h) })
	t.Run("Examine", func(t *testing.T) { testExamine(t, h) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, h) })
}

// call is one thing that an issuer can be asked.
type call struct {
	name string
	do   func(context.Context) error
}

// calls lists everything that an issuer can be asked about a key.
func (w World) calls(id string, secret leak.Secret) []call {
	all := []call{
		{"Locate", func(ctx context.Context) error { _, err := w.Issuer.Locate(ctx, secret); return err }},
		{"Read", func(ctx context.Context) error { _, err := w.read(ctx, id); return err }},
	}
	return append(all, w.writes(id)...)
}

// writes lists every change that an issuer can make to a key.
func (w World) writes(id string) []call {
	var all []call
	add := func(name string, do func(context.Context, dispositions.Target) error) {
		all = append(all, call{name, func(ctx context.Context) error { return do(ctx, named(id)) }})
	}
	if d, ok := w.Issuer.(dispositions.Disabler); ok {
		add("Disable", d.Disable)
	}
	if d, ok := w.Issuer.(dispositions.Deleter); ok {
		add("Delete", d.Delete)
	}
	if e, ok := w.Issuer.(dispositions.Enabler); ok {
		add("Enable", e.Enable)
	}
	if l, ok := w.Issuer.(dispositions.Locker); ok {
		add("Lock", l.Lock)
		add("Unlock", l.Unlock)
	}
	return all
}
