package dispositions

import (
	"context"
	"fmt"
	"strings"

	"stanch/dispositions/admit"
	"stanch/receiver/leak"
)

// connection is a configured issuer as a pass uses it: each call goes through the issuer's limiter, and only abilities that it
// announces are used.
type connection struct {
	Configured
	limiter *admit.Limiter // nil: nobody else asks
	batch   *admit.Batch[batched]
}

// batched is one target of a batch.
type batched struct {
	action leak.Action
	target Target
}

// locate asks whose key a secret is.
func (c connection) locate(ctx context.Context, secret leak.Secret) (key leak.Key, err error) {
	err = c.limiter.Do(ctx, func() error {
		key, err = c.Issuer.Locate(ctx, secret)
		return err
	})
	return bounded(key, err)
}

// reads reports whether the issuer can say how a target stands now.
func (c connection) reads(t Target) bool {
	able := c.Issuer.Abilities()
	return able.Read && (!able.ByValue || !t.Secret.Empty())
}

// read asks how a target stands now.
func (c connection) read(ctx context.Context, t Target) (key leak.Key, err error) {
	err = c.limiter.Do(ctx, func() error {
		key, err = c.Issuer.(Reader).Read(ctx, t)
		return err
	})
	return bounded(key, err)
}

// maxSaid is how much is taken of each thing that an issuer says of a key, in bytes: an entry of the log holds all of them.
const maxSaid = 1024

// bounded cuts what an issuer says of a key. An id that long is none that a key can be named by.
func bounded(key leak.Key, err error) (leak.Key, error) {
	if err == nil && len(key.ID) > maxSaid {
		return leak.Key{}, fmt.Errorf("the issuer's id of the key has %d bytes", len(key.ID))
	}
	for _, s := range []*string{&key.Name, &key.Kind, &key.Owner, &key.OwnerName, &key.Account} {
		if len(*s) > maxSaid {
			*s = strings.ToValidUTF8((*s)[:maxSaid], "") + "…"
		}
	}
	return key, err
}

// tries reports whether the issuer can try a target's value, which is not always kept.
func (c connection) tries(t Target) bool { return c.Issuer.Abilities().Prove && !t.Secret.Empty() }

// try uses a target's value as its finder would.
func (c connection) try(ctx context.Context, t Target) (trial leak.Trial, err error) {
	err = c.limiter.Do(ctx, func() error {
		trial, err = c.Issuer.(Prover).Try(ctx, t.Secret)
		return err
	})
	return trial, err
}

// effect asks the issuer for an action.
func (c connection) effect(ctx context.Context, action leak.Action, t Target) error {
	able := c.Issuer.Abilities()
	switch {
	case !able.Can(action):
		return fmt.Errorf("%s cannot %s a key", c.Name, action)
	case able.ByValue && t.Secret.Empty():
		return fmt.Errorf("%s names a key by its value only, and that is not kept any more", c.Name)
	case c.batch != nil && action != leak.Enable:
		return c.batch.Do(ctx, batched{action, t})
	}
	return c.limiter.Do(ctx, func() error { return c.act(ctx, action, t) })
}

func (c connection) act(ctx context.Context, action leak.Action, t Target) error {
	switch action {
	case leak.Disable:
		return c.Issuer.(Disabler).Disable(ctx, t)
	case leak.Delete:
		return c.Issuer.(Deleter).Delete(ctx, t)
	}
	return c.Issuer.(Enabler).Enable(ctx, t)
}

// unlock lifts a target's lock.
func (c connection) unlock(ctx context.Context, t Target) error {
	if !c.Issuer.Abilities().Lock {
		return fmt.Errorf("%w, and %s cannot unlock it", leak.ErrLocked, c.Name)
	}
	if err := c.limiter.Do(ctx, func() error { return c.Issuer.(Locker).Unlock(ctx, t) }); err != nil {
		return fmt.Errorf("unlocking the key: %w", err)
	}
	return nil
}

// relock sets a target's lock again.
func (c connection) relock(ctx context.Context, t Target) error {
	return c.limiter.Do(ctx, func() error { return c.Issuer.(Locker).Lock(ctx, t) })
}

// actOnMany does what waits for one call, an action at a time.
func (c connection) actOnMany(ctx context.Context, items []batched) []error {
	answers := make([]error, len(items))
	for _, action := range []leak.Action{leak.Disable, leak.Delete} {
		var targets []Target
		var places []int
		for i, item := range items {
			if item.action == action {
				targets, places = append(targets, item.target), append(places, i)
			}
		}
		if len(targets) == 0 {
			continue
		}
		accepted := c.Issuer.(Batcher).Batch(ctx, action, targets)
		for n, i := range places {
			answers[i] = fmt.Errorf("the issuer answered for %d of %d keys", len(accepted), len(targets))
			if len(accepted) == len(targets) {
				answers[i] = accepted[n]
			}
		}
	}
	return answers
}
