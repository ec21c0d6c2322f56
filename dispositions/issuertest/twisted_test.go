package issuertest_test

import (
	"context"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// twisted is a sample between which and the suite somebody sits who breaks the contract. It implements every interface that goes
// by an ability; its abilities are the sample's, twisted.
type twisted struct {
	sample    dispositions.Issuer
	abilities func(*leak.Abilities)
	twist     func(*asked)
}

// asked is one call: what it asks, and once the sample is asked, what it answers.
type asked struct {
	op      string
	ctx     context.Context
	target  dispositions.Target // of Locate and Try, the secret
	ask     func()
	key     leak.Key
	trial   leak.Trial
	found   []leak.Finding
	answers []error
	used    leak.Activity
	made    []leak.Made
	err     error
}

func (t twisted) call(ctx context.Context, op string, target dispositions.Target, ask func(c *asked)) *asked {
	c := &asked{op: op, ctx: ctx, target: target}
	c.ask = func() { ask(c) }
	t.twist(c)
	return c
}

func (t twisted) Abilities() leak.Abilities {
	able := t.sample.Abilities()
	t.abilities(&able)
	return able
}

func (t twisted) Locate(ctx context.Context, secret leak.Secret) (leak.Key, error) {
	c := t.call(ctx, "Locate", dispositions.Target{Secret: secret}, func(c *asked) {
		c.key, c.err = t.sample.Locate(c.ctx, c.target.Secret)
	})
	return c.key, c.err
}

func (t twisted) Read(ctx context.Context, target dispositions.Target) (leak.Key, error) {
	c := t.call(ctx, "Read", target, func(c *asked) {
		c.key, c.err = t.sample.(dispositions.Reader).Read(c.ctx, c.target)
	})
	return c.key, c.err
}

func (t twisted) Try(ctx context.Context, secret leak.Secret) (leak.Trial, error) {
	c := t.call(ctx, "Try", dispositions.Target{Secret: secret}, func(c *asked) {
		c.trial, c.err = t.sample.(dispositions.Prover).Try(c.ctx, c.target.Secret)
	})
	return c.trial, c.err
}

func (t twisted) Examine(ctx context.Context) []leak.Finding {
	return t.call(ctx, "Examine", dispositions.Target{}, func(c *asked) { c.found = t.sample.Examine(c.ctx) }).found
}

func (t twisted) Batch(ctx context.Context, action leak.Action, targets []dispositions.Target) []error {
	return t.call(ctx, "Batch", dispositions.Target{}, func(c *asked) {
		c.answers = t.sample.(dispositions.Batcher).Batch(c.ctx, action, targets)
	}).answers
}

// change is one of the changes.
func (t twisted) change(ctx context.Context, op string, target dispositions.Target) error {
	return t.call(ctx, op, target, func(c *asked) { c.err = change(c.ctx, t.sample, c.op, c.target) }).err
}

func change(ctx context.Context, i dispositions.Issuer, op string, target dispositions.Target) error {
	switch op {
	case "Disable":
		return i.(dispositions.Disabler).Disable(ctx, target)
	case "Enable":
		return i.(dispositions.Enabler).Enable(ctx, target)
	case "Lock":
		return i.(dispositions.Locker).Lock(ctx, target)
	case "Unlock":
		return i.(dispositions.Locker).Unlock(ctx, target)
	}
	return i.(dispositions.Deleter).Delete(ctx, target)
}

func (t twisted) Disable(ctx context.Context, target dispositions.Target) error {
	return t.change(ctx, "Disable", target)
}

func (t twisted) Enable(ctx context.Context, target dispositions.Target) error {
	return t.change(ctx, "Enable", target)
}

func (t twisted) Delete(ctx context.Context, target dispositions.Target) error {
	return t.change(ctx, "Delete", target)
}

func (t twisted) Lock(ctx context.Context, target dispositions.Target) error {
	return t.change(ctx, "Lock", target)
}

func (t twisted) Unlock(ctx context.Context, target dispositions.Target) error {
	return t.change(ctx, "Unlock", target)
}

// watching is one that is known to do more by the interface alone.
type watching struct{ twisted }

func (w watching) Activity(ctx context.Context, target dispositions.Target) (leak.Activity, error) {
	c := w.call(ctx, "Activity", target, func(c *asked) {
		c.used, c.err = w.sample.(dispositions.Watcher).Activity(c.ctx, c.target)
	})
	return c.used, c.err
}

func (w watching) MadeBy(ctx context.Context, key leak.Key, since time.Time) ([]leak.Made, error) {
	c := w.call(ctx, "MadeBy", dispositions.Target{Key: key}, func(c *asked) {
		c.made, c.err = w.sample.(dispositions.Tracer).MadeBy(c.ctx, key, since)
	})
	return c.made, c.err
}

func (w watching) Recognise(c leak.Content) (kind, byHand string, ok bool) {
	call := w.call(context.Background(), "Recognise", dispositions.Target{Secret: c.Secret}, func(call *asked) {
		call.key.Kind, _, _ = w.sample.(dispositions.Recogniser).Recognise(c)
	})
	return call.key.Kind, "Revoke it.", call.key.Kind != ""
}
