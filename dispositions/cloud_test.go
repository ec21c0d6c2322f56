package dispositions_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// cloud is an issuer in memory, for tests in fake time: an HTTP fake cannot run there. The adapters are tested against
// theirs.
type cloud struct {
	mu      sync.Mutex
	keys    map[string]leak.Key    // by id; a key that is deleted is not there
	values  map[string]leak.Secret // by id
	effects map[string]int         // effect calls, by op and id
	used    map[string]int64       // sign-ins, by id
	made    []leak.Made            // by every owner
	// fault is asked before a call and after it; an error of it is the answer. Nil: none.
	fault func(op string, after bool) error
	// latency is how long a call takes on its way there and back; nil: no time.
	latency func() time.Duration
	random  *rand.Rand // for faults and latency, under mu
	// watch is told of each effect call before it is carried out; nil: nobody is.
	watch     func(op, id string)
	now, peak int                    // calls under way, and the most there were
	dead      map[string][]time.Time // when an answer said that a key is disabled or gone, by id
	// able narrows what the cloud can do, and says how long changes take to hold; it is not changed once an engine runs.
	able leak.Abilities
	// lie makes effects answer success and do nothing.
	lie bool
}

func newCloud() *cloud {
	able := leak.Abilities{Disable: true, Enable: true, Delete: true, Read: true, Lock: true, TokensOutlive: leak.LivesFor(time.Hour)}
	return &cloud{able: able, keys: map[string]leak.Key{}, values: map[string]leak.Secret{}, effects: map[string]int{}, used: map[string]int64{}}
}

func (c *cloud) add(k leak.Key) leak.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	value := leak.NewSecret("planted-" + k.ID)
	if k.Account == "" {
		k.Account = "acme"
	}
	c.keys[k.ID], c.values[k.ID] = k, value
	return value
}

func (c *cloud) set(id string, change func(*leak.Key)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keys[id]
	change(&k)
	c.keys[id] = k
}

func (c *cloud) get(id string) (leak.Key, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.keys[id]
	return k, ok
}

// size is how many keys there are.
func (c *cloud) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.keys)
}

func (c *cloud) count(op, id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.effects[op+" "+id]
}

func (c *cloud) ask(op string, after bool) error {
	if c.fault == nil {
		return nil
	}
	return c.fault(op, after)
}

// spoil sets the fault.
func (c *cloud) spoil(fault func(op string, after bool) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault
}

func (c *cloud) liar(lie bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lie = lie
}

// underWay counts a call that is under way, until done.
func (c *cloud) underWay() (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	c.peak = max(c.peak, c.now)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now--
	}
}

// most is how many calls were under way at once.
func (c *cloud) most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peak
}

// touched is how many keys were acted on.
func (c *cloud) touched() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.effects)
}

// travel takes the time that a call is on its way.
func (c *cloud) travel() {
	var d time.Duration
	c.mu.Lock()
	if c.latency != nil {
		d = c.latency()
	}
	c.mu.Unlock()
	time.Sleep(d)
}

// says notes that an answer says that a key is dead.
func (c *cloud) says(id string) {
	if c.dead == nil {
		c.dead = map[string][]time.Time{}
	}
	c.dead[id] = append(c.dead[id], time.Now())
}

// saidDead reports whether an answer said so within a second before a time.
func (c *cloud) saidDead(id string, at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.dead[id], func(t time.Time) bool { return !t.After(at) && at.Sub(t) < time.Second })
}

// call does one call, with the fault before it or after it.
func (c *cloud) call(ctx context.Context, op string, do func() error) error {
	defer c.underWay()()
	c.travel()
	defer c.travel()
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ask(op, false); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return c.ask(op, true)
}

func (c *cloud) Abilities() leak.Abilities {
	return c.able
}

func (c *cloud) Examine(context.Context) []leak.Finding { return nil }

func (c *cloud) Locate(ctx context.Context, secret leak.Secret) (found leak.Key, err error) {
	err = c.call(ctx, "locate", func() error {
		for id, value := range c.values {
			if value.Equal(secret) {
				if k, ok := c.keys[id]; ok {
					found = k
					found.Used = leak.Activity{Known: true, Count: c.used[id]}
					if k.Disabled {
						c.says(id)
					}
					return nil
				}
			}
		}
		return fmt.Errorf("looking up a key: %w", leak.ErrNotFound)
	})
	return found, err
}

func (c *cloud) Read(ctx context.Context, t dispositions.Target) (found leak.Key, err error) {
	id := t.Key.ID
	err = c.call(ctx, "read", func() error {
		k, ok := c.keys[id]
		if !ok || k.Disabled {
			c.says(id)
		}
		if !ok {
			return fmt.Errorf("reading a key: %w", leak.ErrNotFound)
		}
		found = k
		return nil
	})
	return found, err
}

// use signs in with a key.
func (c *cloud) use(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used[id]++
}

// make lets the owner of a key make another.
func (c *cloud) make(m leak.Made) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, m)
}

func (c *cloud) Activity(ctx context.Context, t dispositions.Target) (used leak.Activity, err error) {
	id := t.Key.ID
	err = c.call(ctx, "activity", func() error {
		used = leak.Activity{Known: true, Count: c.used[id]}
		return nil
	})
	return used, err
}

func (c *cloud) MadeBy(ctx context.Context, _ leak.Key, since time.Time) (made []leak.Made, err error) {
	err = c.call(ctx, "made by", func() error {
		for _, m := range c.made {
			if m.At.After(since) {
				made = append(made, m)
			}
		}
		return nil
	})
	return made, err
}

func (c *cloud) effect(ctx context.Context, op, id string, change func(k leak.Key) error) error {
	if c.watch != nil {
		c.watch(op, id)
	}
	return c.call(ctx, op, func() error {
		c.effects[op+" "+id]++
		k, ok := c.keys[id]
		switch {
		case !ok:
			return fmt.Errorf("changing a key: %w", leak.ErrNotFound)
		case k.Locked && op != "unlock":
			return fmt.Errorf("changing a key: %w", leak.ErrLocked)
		case c.lie:
			return nil
		}
		return change(k)
	})
}

func (c *cloud) Disable(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	return c.effect(ctx, "disable", id, func(k leak.Key) error { k.Disabled = true; c.keys[id] = k; return nil })
}

func (c *cloud) Enable(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	return c.effect(ctx, "enable", id, func(k leak.Key) error { k.Disabled = false; c.keys[id] = k; return nil })
}

func (c *cloud) Delete(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	return c.effect(ctx, "delete", id, func(leak.Key) error { delete(c.keys, id); return nil })
}

func (c *cloud) Unlock(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	return c.effect(ctx, "unlock", id, func(k leak.Key) error { k.Locked = false; c.keys[id] = k; return nil })
}

func (c *cloud) Lock(ctx context.Context, t dispositions.Target) error {
	id := t.Key.ID
	return c.effect(ctx, "lock", id, func(k leak.Key) error { k.Locked = true; c.keys[id] = k; return nil })
}

// named is a key by its id alone.
func named(id string) dispositions.Target { return dispositions.Target{Key: leak.Key{ID: id}} }
