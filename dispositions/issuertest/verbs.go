package issuertest

import (
	"context"
	"errors"
	"testing"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// testAbilities: what is announced makes sense, has its interface, and is told without asking anybody.
func testAbilities(t *testing.T, h Harness) {
	w := h.New(t)
	able := w.able()
	has := func(announced bool, name string, implemented bool) {
		if announced && !implemented {
			t.Errorf("it announces %s and is no %s: %+v", name, name, able)
		}
	}
	_, ok := w.Issuer.(dispositions.Disabler)
	has(able.Disable, "Disabler", ok)
	_, ok = w.Issuer.(dispositions.Enabler)
	has(able.Enable, "Enabler", ok)
	_, ok = w.Issuer.(dispositions.Deleter)
	has(able.Delete, "Deleter", ok)
	_, ok = w.Issuer.(dispositions.Reader)
	has(able.Read, "Reader", ok)
	_, ok = w.Issuer.(dispositions.Prover)
	has(able.Prove, "Prover", ok)
	_, ok = w.Issuer.(dispositions.Locker)
	has(able.Lock, "Locker", ok)
	_, ok = w.Issuer.(dispositions.Batcher)
	has(able.Batch > 1, "Batcher", ok)
	senseless := map[string]bool{
		"to enable what it cannot disable":         able.Enable && !able.Disable,
		"a control without a trial":                able.Control && !able.Prove,
		"to do nothing to many keys at once":       able.Batch > 1 && !able.Disable && !able.Delete,
		"less than no time or no key":              able.Batch < 0 || able.Settles < 0 || able.TokensOutlive.Most < 0,
		"how long tokens live, and not to know it": !able.TokensOutlive.Known && able.TokensOutlive.Most != 0,
		"to settle otherwise than its far side":    (able.Settles > 0) != (w.Settle != nil),
	}
	for what, is := range senseless {
		if is {
			t.Errorf("it announces %s: %+v", what, able)
		}
	}
	w.Break(Hang)
	if again := w.able(); again != able {
		t.Errorf("while nobody answers it announces %+v, and %+v before", again, able)
	}
}

func testLocate(t *testing.T, h Harness) {
	t.Run("known", func(t *testing.T) {
		w := h.New(t)
		target := w.AddKey(false)
		key := w.mustLocate(t, target.Secret)
		if key.ID != target.Key.ID || key.Own || key.Disabled || key.Locked || key.Gone {
			t.Errorf("got %+v, want id %q, not ours, not disabled, not locked", key, target.Key.ID)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		w := h.New(t)
		_, err := w.Issuer.Locate(context.Background(), w.Unknown.Secret)
		w.wants(t, "Locate", err, leak.ErrNotFound)
	})
	t.Run("empty", func(t *testing.T) {
		w := h.New(t)
		for _, s := range []leak.Secret{{}, leak.NewSecret(""), leak.NewSecret(" "), leak.NewSecret("\r\n")} {
			key, err := w.Issuer.Locate(context.Background(), s)
			w.wants(t, "Locate", err, nil)
			if key != (leak.Key{}) {
				t.Errorf("got key %+v for an empty secret", key)
			}
		}
		w.refusesUnasked(t, "Locate of no value", func(ctx context.Context) error {
			_, err := w.Issuer.Locate(ctx, leak.Secret{})
			return err
		})
	})
	t.Run("our own", func(t *testing.T) {
		w := h.New(t)
		if w.Own.Empty() {
			t.Skip("it needs no credential")
		}
		if key := w.mustLocate(t, w.Own); !key.Own {
			t.Errorf("our own credential is located as %+v, want Own set", key)
		}
	})
}

func testRead(t *testing.T, h Harness) {
	w := h.New(t)
	if !w.able().Read {
		t.Skip("it cannot read")
	}
	target := w.AddKey(false)
	located, read := w.mustLocate(t, target.Secret), w.mustRead(t, target)
	read.LastUsedAt, read.Used = located.LastUsedAt, located.Used // not every issuer can afford to say it twice
	if read != located {
		t.Errorf("Read says %+v, Locate %+v", read, located)
	}
	_, err := w.Issuer.(dispositions.Reader).Read(context.Background(), w.named(w.Unknown))
	w.wants(t, "Read of an unknown key", err, leak.ErrNotFound)
}

// testNamed: a key is named by what the issuer says that it goes by, and a target without that is refused without asking. Every
// other test gives it nothing else.
func testNamed(t *testing.T, h Harness) {
	t.Run("by everything", func(t *testing.T) {
		kills(t, h, func(t *testing.T, w World, c call, target dispositions.Target) {
			target.Key = w.mustLocate(t, target.Secret)
			if err := w.verb(c.name, target).do(context.Background()); err != nil {
				t.Errorf("%s of a key that is named by all that is known: %v", c.name, err)
			}
		})
	})
	w := h.New(t)
	target := w.AddKey(false)
	var nameless []dispositions.Target
	if w.able().ByValue {
		nameless = []dispositions.Target{{}, {Key: leak.Key{ID: "1"}}, {Key: target.Key, Secret: leak.NewSecret("")}}
	} else {
		for _, id := range []string{"", ".", "..", "../keys", "a/b", "a?b=c", "a\nb"} {
			nameless = append(nameless, dispositions.Target{Key: leak.Key{ID: id}, Secret: target.Secret})
		}
	}
	for _, name := range nameless {
		for _, c := range w.verbs(name) {
			w.refusesUnasked(t, c.name+" of a key without a name", c.do, target.Secret)
		}
	}
	w.mustStand(t, target, State{})
}

// testKill: what makes a key useless does so, and again does no harm.
func testKill(t *testing.T, h Harness) {
	kills(t, h, func(t *testing.T, w World, c call, target dispositions.Target) {
		if err := c.do(context.Background()); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		w.settle()
		w.mustBeDead(t, c.kind, target)
		switch err := c.do(context.Background()); {
		case c.kind == deletes:
			w.wantsUnknown(t, c.name+" twice", err, target.Secret)
		case err != nil:
			t.Errorf("%s twice: %v", c.name, err)
		}
		w.settle()
		w.mustBeDead(t, c.kind, target)
		unknown := w.verb(c.name, w.named(w.Unknown))
		w.wantsUnknown(t, c.name+" of an unknown key", unknown.do(context.Background()))
	})
}

func testEnable(t *testing.T, h Harness) {
	w := h.New(t)
	if !w.able().Enable {
		t.Skip("it cannot enable")
	}
	target, e := w.AddKey(false), w.Issuer.(dispositions.Enabler)
	for _, do := range []func(context.Context, dispositions.Target) error{w.Issuer.(dispositions.Disabler).Disable, e.Enable, e.Enable} {
		if err := do(context.Background(), w.named(target)); err != nil {
			t.Fatalf("disabling a key, and enabling it twice: %v", err)
		}
		w.settle()
	}
	w.mustStand(t, target, State{})
	if w.able().Read {
		if key := w.mustRead(t, target); key.Disabled {
			t.Errorf("enabled, and read as %+v", key)
		}
	}
	w.wantsUnknown(t, "Enable of an unknown key", e.Enable(context.Background(), w.named(w.Unknown)))
}

func testLock(t *testing.T, h Harness) {
	w := h.New(t)
	if !w.able().Lock {
		t.Skip("it has no lock")
	}
	target, l := w.AddKey(false), w.Issuer.(dispositions.Locker)
	for n, step := range []struct {
		do   func(context.Context, dispositions.Target) error
		want bool
	}{{l.Lock, true}, {l.Lock, true}, {l.Unlock, false}, {l.Unlock, false}} {
		if err := step.do(context.Background(), w.named(target)); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
		w.settle()
		w.mustStand(t, target, State{Locked: step.want})
		if key := w.mustLocate(t, target.Secret); key.Locked != step.want {
			t.Errorf("step %d: located as %+v, want locked %v", n, key, step.want)
		}
		if w.able().Read && w.mustRead(t, target).Locked != step.want {
			t.Errorf("step %d: not read as locked %v", n, step.want)
		}
	}
	w.wantsUnknown(t, "Unlock of an unknown key", l.Unlock(context.Background(), w.named(w.Unknown)))
}

// testLocked: a lock is never lifted unasked.
func testLocked(t *testing.T, h Harness) {
	if !h.New(t).able().Lock {
		t.Skip("it has no lock")
	}
	kills(t, h, func(t *testing.T, w World, c call, _ dispositions.Target) {
		target := w.AddKey(true)
		c = w.verb(c.name, w.named(target))
		w.wants(t, c.name+" of a locked key", c.do(context.Background()), leak.ErrLocked, target.Secret)
		w.settle()
		w.mustStand(t, target, State{Locked: true})
		if key := w.mustLocate(t, target.Secret); !key.Locked {
			t.Errorf("a locked key is located as %+v", key)
		}
		if err := w.Issuer.(dispositions.Locker).Unlock(context.Background(), w.named(target)); err != nil {
			t.Fatalf("Unlock: %v", err)
		}
		w.settle()
		if err := c.do(context.Background()); err != nil {
			t.Errorf("%s of an unlocked key: %v", c.name, err)
		}
	})
}

// testSettling: until a change holds, how the key stands may be told either way, and it is told.
func testSettling(t *testing.T, h Harness) {
	if h.New(t).able().Settles == 0 {
		t.Skip("changes hold at once")
	}
	kills(t, h, func(t *testing.T, w World, c call, target dispositions.Target) {
		if err := c.do(context.Background()); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, look := range w.calls(target) {
			if look.kind != asks && look.kind != tries {
				continue
			}
			if err := look.do(context.Background()); err != nil && !errors.Is(err, leak.ErrNotFound) {
				t.Errorf("%s before the change holds: %v", look.name, err)
			}
		}
		w.settle()
		w.mustBeDead(t, c.kind, target)
	})
}

// testBatch: each key of a call that takes many has an answer of its own, and a bad one does not cost the others theirs.
func testBatch(t *testing.T, h Harness) {
	able := h.New(t).able()
	if able.Batch < 2 {
		t.Skip("it takes one at a time")
	}
	for _, action := range []leak.Action{leak.Disable, leak.Delete} {
		if !able.Can(action) {
			continue
		}
		t.Run(string(action), func(t *testing.T) { testBatchOf(t, h, action) })
	}
}

func testBatchOf(t *testing.T, h Harness, action leak.Action) {
	change := map[leak.Action]kind{leak.Disable: disables, leak.Delete: deletes}[action]
	for bad := range 2 {
		w := h.New(t)
		good := w.AddKey(false)
		targets := []dispositions.Target{w.named(good), w.named(good)}
		targets[bad] = dispositions.Target{}
		answers := w.batch(t, action, targets)
		if err := answers[1-bad]; err != nil {
			t.Errorf("%v for a good key beside a bad one", err)
		}
		w.wants(t, "a key without a name", answers[bad], nil, good.Secret)
		w.settle()
		w.mustBeDead(t, change, good)
	}
	for _, how := range []Breakage{Throttle, ServerError, Cut} {
		w := h.New(t)
		one, other := w.AddKey(false), w.AddKey(false)
		w.Break(how)
		for _, err := range w.batch(t, action, []dispositions.Target{w.named(one), w.named(other)}) {
			w.wants(t, string(how), err, nil, one.Secret, other.Secret)
		}
		w.mustStand(t, other, State{})
	}
}

// batch does an action to several keys by one call, and returns an answer for each.
func (w World) batch(t *testing.T, action leak.Action, targets []dispositions.Target) []error {
	t.Helper()
	answers := w.Issuer.(dispositions.Batcher).Batch(context.Background(), action, targets)
	if len(answers) != len(targets) {
		t.Fatalf("%d answers for %d keys", len(answers), len(targets))
	}
	return answers
}
