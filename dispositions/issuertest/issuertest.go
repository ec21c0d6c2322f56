// Package issuertest is the conformance suite of every issuer. It drives an adapter against a far side that the adapter's
// test brings along, and holds it to the contract of dispositions.Issuer: it can do what it announces, an error means one thing,
// a failure never looks like success, and no error holds a secret, our own credential or a URL. What an issuer does not
// announce is not asked of it.
package issuertest

import (
	"context"
	"fmt"
	"slices"
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
	// AddKey adds a live key that is not ours to the far side, and returns its value, and as much of the key as the issuer
	// needs to name it: nothing where it goes by the value only. A lock is asked of those only that announce one.
	AddKey func(locked bool) dispositions.Target
	// State is how the far side itself says that a key stands.
	State func(t dispositions.Target) State
	// Unknown is well-formed, and names no key.
	Unknown dispositions.Target
	// Own is our own credential, empty where the issuer needs none, and URL the far side's, empty where it has none: both are
	// looked for in errors.
	Own leak.Secret
	URL string
	// Break makes every answer go wrong, from now on until Mend.
	Break func(Breakage)
	// Redirect makes every answer one with a status that sends us to a URL, until Mend. Nil: the far side does not speak HTTP.
	Redirect func(status int, to string)
	// Mend ends what Break and Redirect began.
	Mend func()
	// Settle lets the time pass that changes take to hold. Nil: they hold at once.
	Settle func()
}

// State is how a key stands; the zero State is a live one.
type State struct {
	Disabled, Locked, Gone bool
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
const hangTime = 20 * time.Millisecond

// checks are the parts of the suite.
var checks = []struct {
	name string
	test func(t *testing.T, h Harness)
}{
	{"Locate", testLocate},
	{"Read", testRead},
	{"Named", testNamed},
	{"Kill", testKill},
	{"Enable", testEnable},
	{"Lock", testLock},
	{"Locked", testLocked},
	{"Settling", testSettling},
	{"Batch", testBatch},
	{"Try", testTry},
	{"Lie", testLie},
	{"Committed", testCommitted},
	{"Credential", testCredential},
	{"Throttled", testThrottled},
	{"Wishes", testWishes},
	{"Unresolved", testUnresolved},
	{"Cancelled", testCancelled},
	{"Redirect", testRedirect},
	{"Concurrent", testConcurrent},
	{"Examine", testExamine},
	{"Watch", testWatch},
	{"Trace", testTrace},
	{"Recognise", testRecognise},
}

// Run holds an issuer to its contract.
func Run(t *testing.T, h Harness) {
	if !t.Run("Abilities", func(t *testing.T) { testAbilities(t, h) }) {
		return
	}
	for _, check := range checks {
		t.Run(check.name, func(t *testing.T) { check.test(t, h) })
	}
}

func (w World) able() leak.Abilities { return w.Issuer.Abilities() }

// named leaves of a target what the issuer needs to name a key, and nothing else: the engine has often no more.
func (w World) named(t dispositions.Target) dispositions.Target {
	if w.able().ByValue {
		return dispositions.Target{Secret: t.Secret}
	}
	return dispositions.Target{Key: t.Key}
}

// settle lets the time pass that changes take to hold.
func (w World) settle() {
	if w.Settle != nil {
		w.Settle()
	}
}

// call is one thing that an issuer can be asked.
type call struct {
	name string
	kind kind
	do   func(context.Context) error
}

type kind int

const (
	asks     kind = iota // how a key stands
	tries                // whether a value works
	changes              // a key, that lives on
	disables             // a key
	deletes              // a key
)

// calls lists everything that an issuer can be asked about a key, as it announces it.
func (w World) calls(t dispositions.Target) []call {
	all := []call{{"Locate", asks, func(ctx context.Context) error { _, err := w.Issuer.Locate(ctx, t.Secret); return err }}}
	if w.able().Prove {
		p := w.Issuer.(dispositions.Prover)
		all = append(all, call{"Try", tries, func(ctx context.Context) error { _, err := p.Try(ctx, t.Secret); return err }})
	}
	return append(all, w.verbs(w.named(t))...)
}

// verbs lists everything that an issuer can be asked about a target.
func (w World) verbs(t dispositions.Target) []call {
	var all []call
	add := func(name string, kind kind, do func(context.Context, dispositions.Target) error) {
		all = append(all, call{name, kind, func(ctx context.Context) error { return do(ctx, t) }})
	}
	able := w.able()
	if able.Read {
		r := w.Issuer.(dispositions.Reader)
		add("Read", asks, func(ctx context.Context, t dispositions.Target) error { _, err := r.Read(ctx, t); return err })
	}
	if able.Disable {
		add("Disable", disables, w.Issuer.(dispositions.Disabler).Disable)
	}
	if able.Delete {
		add("Delete", deletes, w.Issuer.(dispositions.Deleter).Delete)
	}
	if able.Enable {
		add("Enable", changes, w.Issuer.(dispositions.Enabler).Enable)
	}
	if able.Lock {
		add("Lock", changes, w.Issuer.(dispositions.Locker).Lock)
		add("Unlock", changes, w.Issuer.(dispositions.Locker).Unlock)
	}
	if able.Batch > 1 && able.Disable {
		add("Batch disable", disables, w.inBatch(leak.Disable))
	}
	if able.Batch > 1 && able.Delete {
		add("Batch delete", deletes, w.inBatch(leak.Delete))
	}
	return all
}

// inBatch does an action to one key by the call that takes many.
func (w World) inBatch(action leak.Action) func(context.Context, dispositions.Target) error {
	return func(ctx context.Context, t dispositions.Target) error {
		answers := w.Issuer.(dispositions.Batcher).Batch(ctx, action, []dispositions.Target{t})
		if len(answers) != 1 {
			return fmt.Errorf("%d answers for one key", len(answers))
		}
		return answers[0]
	}
}

// verb is one of them, by its name.
func (w World) verb(name string, t dispositions.Target) call {
	all := w.verbs(t)
	return all[slices.IndexFunc(all, func(c call) bool { return c.name == name })]
}

// kills runs a test in a new world for every change that makes a key useless.
func kills(t *testing.T, h Harness, test func(t *testing.T, w World, c call, target dispositions.Target)) {
	t.Helper()
	for _, c := range h.New(t).verbs(dispositions.Target{}) {
		if c.kind != disables && c.kind != deletes {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w := h.New(t)
			target := w.AddKey(false)
			test(t, w, w.verb(c.name, w.named(target)), target)
		})
	}
}
