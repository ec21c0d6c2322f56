package issuertest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/issuertest"
	"stanch/dispositions/issuertest/sample"
	"stanch/receiver/leak"
)

// fault is a way to break the contract, and the check that finds it.
type fault struct {
	name, sample, check string
	abilities           func(*leak.Abilities)
	twist               func() func(*asked) // made anew for each world, so that it can remember
}

// after twists the answers to some ops.
func after(ops string, twist func(*asked)) func() func(*asked) {
	return func() func(*asked) {
		return func(c *asked) {
			c.ask()
			if strings.Contains(ops, c.op) {
				twist(c)
			}
		}
	}
}

// instead twists some ops before the sample is asked.
func instead(ops string, twist func(*asked)) func() func(*asked) {
	return func() func(*asked) {
		return func(c *asked) {
			if !strings.Contains(ops, c.op) {
				c.ask()
				return
			}
			twist(c)
		}
	}
}

// remembering twists answers by what happened before, and when, to each key.
func remembering(twist func(c *asked, when map[string]time.Time)) func() func(*asked) {
	return func() func(*asked) {
		var mu sync.Mutex
		when := map[string]time.Time{}
		return func(c *asked) {
			c.ask()
			mu.Lock()
			defer mu.Unlock()
			twist(c, when)
		}
	}
}

const everyChange = "Disable Enable Delete Lock Unlock"

var faults = []fault{
	{name: "nothing is twisted", sample: "full"},
	{name: "nothing is twisted, by value", sample: "by value"},
	{name: "nothing is twisted, delete only", sample: "delete only"},

	{name: "enables what it cannot disable", sample: "delete only", check: "Abilities", abilities: func(a *leak.Abilities) { a.Enable = true }},
	{name: "a control of nothing", sample: "delete only", check: "Abilities", abilities: func(a *leak.Abilities) { a.Control = true }},
	{name: "a window that the far side does not have", sample: "full", check: "Abilities", abilities: func(a *leak.Abilities) { a.Settles = time.Hour }},

	{name: "an unknown key is unresolved", sample: "full", check: "Locate", twist: after("Locate", func(c *asked) {
		if errors.Is(c.err, leak.ErrNotFound) {
			c.err = errors.New("nobody knows")
		}
	})},
	{name: "our own key is a stranger's", sample: "full", check: "Locate", twist: after("Locate", func(c *asked) { c.key.Own = false })},
	{name: "no value is looked up", sample: "by value", check: "Locate", twist: instead("Locate", func(c *asked) {
		if c.target.Secret.Empty() {
			c.target.Secret = leak.NewSecret("nil")
		}
		c.ask()
	})},
	{name: "what is read is less than what is located", sample: "full", check: "Read", twist: after("Read", func(c *asked) { c.key.Account = "" })},
	{name: "an id climbs the path", sample: "full", check: "Named", twist: instead("Read "+everyChange, func(c *asked) {
		if strings.HasPrefix(c.target.Key.ID, "..") {
			c.target.Key.ID = "nobody"
		}
		c.ask()
	})},
	{name: "a key without a value is revoked", sample: "by value", check: "Named", twist: instead("Delete", func(c *asked) {
		if c.target.Secret.Empty() {
			c.target.Secret = leak.NewSecret("nil")
		}
		c.ask()
	})},
	{name: "by value, and only with an id", sample: "by value", check: "Kill", twist: instead("Delete", func(c *asked) {
		if c.target.Key.ID != "" {
			c.ask()
		}
	})},
	{name: "by id, and only with the value", sample: "full", check: "Kill", twist: instead(everyChange, func(c *asked) {
		c.err = errors.New("which key?")
		if !c.target.Secret.Empty() {
			c.ask()
		}
	})},
	{name: "a disable deletes", sample: "full", check: "Kill", twist: instead("Disable", func(c *asked) { c.op = "Delete"; c.ask() })},
	{name: "a disabled key cannot be disabled", sample: "full", check: "Kill", twist: remembering(func(c *asked, when map[string]time.Time) {
		if c.op != "Disable" {
			return
		}
		if !when[c.target.Key.ID].IsZero() {
			c.err = errors.New("it is disabled already")
		}
		when[c.target.Key.ID] = time.Now()
	})},
	{name: "an unknown key is deleted", sample: "delete only", check: "Kill", twist: after("Delete", func(c *asked) {
		if errors.Is(c.err, leak.ErrNotFound) {
			c.err = nil
		}
	})},
	{name: "a batch does nothing", sample: "by value", check: "Kill", twist: instead("Batch", func(c *asked) { c.answers = []error{nil} })},
	{name: "an enable does nothing", sample: "full", check: "Enable", twist: instead("Enable", func(*asked) {})},
	{name: "a lock does nothing", sample: "full", check: "Lock", twist: instead("Lock", func(*asked) {})},
	{name: "a lock is lifted unasked", sample: "full", check: "Locked", twist: instead("Delete", func(c *asked) {
		c.op = "Unlock"
		c.ask()
		c.op = "Delete"
		c.ask()
	})},
	{name: "it is not told how a key stands that settles", sample: "full, settles", check: "Settling", twist: remembering(func(c *asked, when map[string]time.Time) {
		switch {
		case c.op == "Delete":
			when[c.target.Key.ID] = time.Now()
		case c.op == "Read" && !when[c.target.Key.ID].IsZero(): // the first time, however late that is
			delete(when, c.target.Key.ID)
			c.err = errors.New("it is being deleted")
		}
	})},
	{name: "a batch has one answer", sample: "by value", check: "Batch", twist: after("Batch", func(c *asked) { c.answers = c.answers[:1] })},
	{name: "a bad key costs the others their call", sample: "by value", check: "Batch", twist: after("Batch", func(c *asked) {
		if err := errors.Join(c.answers...); err != nil {
			for i := range c.answers {
				c.answers[i] = err
			}
		}
	})},
	{name: "what is throttled is accepted in a batch", sample: "by value", check: "Batch", twist: after("Batch", func(c *asked) {
		for i := range c.answers[1:] {
			c.answers[i+1] = nil
		}
	})},
	{name: "a value that works is dead", sample: "full", check: "Try", twist: after("Try", func(c *asked) { c.trial.Result = leak.Dead })},
	{name: "a dead value works", sample: "by value", check: "Try", twist: after("Try", func(c *asked) { c.trial.Result = leak.Works })},
	{name: "a stranger is death", sample: "full", check: "Try", twist: after("Try", func(c *asked) {
		if c.trial.Code == "STRANGER" {
			c.trial.Result = leak.Dead
		}
	})},
	{name: "after a control a stranger is a refusal", sample: "by value", check: "Try", twist: after("Try", func(c *asked) {
		if c.err != nil && !c.target.Secret.Empty() {
			c.trial, c.err = leak.Trial{Result: leak.Refused}, nil
		}
	})},
	{name: "no answer is death", sample: "full", check: "Try", twist: after("Try", func(c *asked) {
		if errors.Is(c.err, context.DeadlineExceeded) {
			c.trial, c.err = leak.Trial{Result: leak.Dead}, nil
		}
	})},
	{name: "a refusal that proves nothing", sample: "by value", check: "Try", abilities: func(a *leak.Abilities) { a.Control = false }},
	{name: "what was accepted is remembered as done", sample: "full", check: "Lie", twist: remembering(func(c *asked, when map[string]time.Time) {
		switch {
		case c.op == "Disable" && c.err == nil:
			when[c.target.Key.ID] = time.Now()
		case c.op == "Read" && !when[c.target.Key.ID].IsZero():
			c.key.Disabled = true
		}
	})},
	{name: "what was refused is remembered as not done", sample: "delete only", check: "Committed", twist: remembering(func(c *asked, when map[string]time.Time) {
		switch {
		case c.op == "Delete" && c.err != nil && !errors.Is(c.err, leak.ErrNotFound):
			when[c.target.Key.ID] = time.Now()
		case c.op == "Read" && !when[c.target.Key.ID].IsZero():
			c.err = nil
		}
	})},
	{name: "our dead credential is an unknown key", sample: "full", check: "Credential", twist: after("Locate", func(c *asked) {
		if errors.Is(c.err, leak.ErrCredential) {
			c.err = leak.ErrNotFound
		}
	})},
	{name: "a wish is not told", sample: "by value", check: "Throttled", twist: after("Delete", func(c *asked) {
		if wish, ok := errors.AsType[*leak.Throttled](c.err); ok {
			c.err = wish.Err
		}
	})},
	{name: "a wish is negative", sample: "delete only", check: "Wishes", twist: after("Read", func(c *asked) {
		if wish, ok := errors.AsType[*leak.Throttled](c.err); ok && wish.After == 0 {
			c.err = &leak.Throttled{After: -time.Second, Err: wish.Err}
		}
	})},
	{name: "a failed lookup is an unknown key", sample: "full", check: "Unresolved", twist: after("Locate", func(c *asked) {
		if c.err != nil {
			c.err = leak.ErrNotFound
		}
	})},
	{name: "a failed change is success", sample: "full", check: "Unresolved", twist: after("Disable", func(c *asked) { c.err = nil })},
	{name: "an error means two things", sample: "full", check: "Credential", twist: after("Delete", func(c *asked) {
		if errors.Is(c.err, leak.ErrCredential) {
			c.err = errors.Join(c.err, leak.ErrNotFound)
		}
	})},
	{name: "an error shows the secret", sample: "by value", check: "Unresolved", twist: after("Delete", func(c *asked) {
		if c.err != nil {
			c.err = fmt.Errorf("revoking %s: %w", c.target.Secret.Reveal(), c.err)
		}
	})},
	{name: "an error shows our credential", sample: "delete only", check: "Unresolved", twist: after("Delete", func(c *asked) {
		if c.err != nil {
			c.err = fmt.Errorf("as planted-sample-own: %w", c.err)
		}
	})},
	{name: "an error shows a URL", sample: "delete only", check: "Unresolved", twist: after("Read", func(c *asked) {
		if c.err != nil {
			c.err = fmt.Errorf("GET %s: %w", url, c.err)
		}
	})},
	{name: "it goes on when it is cancelled", sample: "full", check: "Cancelled", twist: instead("Delete", func(c *asked) {
		if c.ctx.Err() != nil {
			c.ctx = context.WithoutCancel(c.ctx)
		}
		c.ask()
	})},
	{name: "it goes where it is sent", sample: "by value", check: "Redirect", twist: after("Locate", func(c *asked) {
		if to, ok := errors.AsType[elsewhere](c.err); ok {
			to.visit()
		}
	})},
	{name: "two at once get one answer", sample: "delete only", check: "Concurrent", twist: func() func(*asked) {
		var mu sync.Mutex
		var last leak.Secret
		return func(c *asked) {
			if c.op == "Locate" && !c.target.Secret.Empty() {
				mu.Lock()
				last = c.target.Secret
				mu.Unlock()
				time.Sleep(time.Millisecond)
				mu.Lock()
				c.target.Secret = last
				mu.Unlock()
			}
			c.ask()
		}
	}},
	{name: "nothing is found", sample: "delete only", check: "Examine", twist: after("Examine", func(c *asked) { c.found = nil })},
	{name: "all is well", sample: "by value", check: "Examine", twist: after("Examine", func(c *asked) {
		c.found = []leak.Finding{{Check: "key service", Result: leak.Good, Text: "nothing to examine"}}
	})},
	{name: "a use that nobody knows is none", sample: "full", check: "Watch", twist: after("Activity", func(c *asked) {
		if !errors.Is(c.err, leak.ErrNotFound) {
			c.used.Known, c.err = true, nil
		}
	})},
	{name: "what nobody knows was not made", sample: "full", check: "Trace", twist: after("MadeBy", func(c *asked) { c.err = nil })},
	{name: "every key is for people to revoke", sample: "full", check: "Recognise", twist: after("Recognise", func(c *asked) { c.key.Kind = "classic" })},
}

// elsewhere is an answer that sends us to another host, and does not say where.
type elsewhere struct{ visit func() }

func (elsewhere) Error() string { return "it sends us elsewhere" }

func redirect(to string) elsewhere {
	return elsewhere{func() {
		if response, err := http.Get(to); err == nil {
			_ = response.Body.Close()
		}
	}}
}

// harness makes worlds of an issuer that is broken in one way.
func (f fault) harness() issuertest.Harness {
	return issuertest.Harness{New: func(*testing.T) issuertest.World {
		base, site := samples[f.sample]()
		broken := twisted{sample: base, abilities: func(*leak.Abilities) {}, twist: (*asked).plain}
		if f.abilities != nil {
			broken.abilities = f.abilities
		}
		if f.twist != nil {
			broken.twist = f.twist()
		}
		var issuer dispositions.Issuer = broken
		if _, full := base.(*sample.Full); full {
			issuer = watching{broken}
		}
		w := world(issuer, site)
		if base.Abilities().Settles == 0 {
			w.Settle = nil
		}
		w.Redirect = func(_ int, to string) {
			site.Spoil(func(context.Context, string, bool) error { return redirect(to) })
		}
		return w
	}}
}

func (c *asked) plain() { c.ask() }

// child is set in the process in which the suite is to fail.
const child = "STANCH_ISSUERTEST_FAULTS"

// TestFaulty runs the suite on every faulty sample, in a process of its own: most of it fails.
func TestFaulty(t *testing.T) {
	if os.Getenv(child) == "" {
		t.Skip("it is run by TestSuiteFindsFaults")
	}
	for n, f := range faults {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			issuertest.Run(t, f.harness())
		})
	}
}

// TestSuiteFindsFaults: for each check there is a fault that it finds, and a sample that is not twisted has none.
func TestSuiteFindsFaults(t *testing.T) {
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFaulty$", "-test.parallel=100")
	command.Env = append(os.Environ(), child+"=1")
	output, err := command.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); !failed {
		t.Fatalf("the suite did not fail: %v\n%s", err, output)
	}
	unused := issuertest.Checks()
	for n, f := range faults {
		failed := fmt.Sprintf("--- FAIL: TestFaulty/%d", n)
		switch {
		case f.check == "" && strings.Contains(string(output), failed+" "):
			t.Errorf("%s: the suite finds fault with it", f.name)
		case f.check != "" && !strings.Contains(string(output), failed+"/"+f.check+" "):
			t.Errorf("%s: %s does not find it", f.name, f.check)
		}
		unused = slices.DeleteFunc(unused, func(check string) bool { return check == f.check })
	}
	if len(unused) > 0 {
		t.Errorf("no fault tries %v", unused)
	}
}
