package gitlabfake

import "time"

// How long GitLab remembers which hooks a chain has been at, and how many those may be.
const (
	chainLife  = 30 * time.Minute
	chainHooks = 100
)

// chain is a series of deliveries and calls under one X-Gitlab-Event-UUID: a receiver that sends the UUID of a delivery on
// with its own calls makes the hooks that these cause part of the chain. No hook is in a chain twice.
type chain struct {
	hooks map[int64]bool
	until time.Time
	now   func() time.Time
}

// chain returns the chain of a UUID, a new one when none is remembered.
func (f *Fake) chain(uuid string) *chain {
	known, ok := f.chains[uuid]
	if !ok || f.options.Now().After(known.until) {
		known = &chain{hooks: map[int64]bool{}, now: f.options.Now, until: f.options.Now().Add(chainLife)}
		f.chains[uuid] = known
	}
	return known
}

func (c *chain) add(hook int64) {
	c.hooks[hook] = true
	c.until = c.now().Add(chainLife)
}

func (c *chain) blocks(hook int64) bool { return c.hooks[hook] || len(c.hooks) >= chainHooks }
