package ibmcloud

import (
	"context"
	"errors"
	"net/http"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// census counts the keys of an account. Those of our own identity are never acted on, so how they stand does not count.
type census struct {
	all, ours, locked, disabled, expired int

	settings map[leak.Action]int // empty action: not set
	own      bool                // whether our own key was among them
}

// examineKeys counts the keys of our own account, which also shows whether we may see them.
func (i *issuer) examineKeys(ctx context.Context, found *leak.Findings) {
	known, _ := i.own.identity(ctx)
	if known.account == "" {
		found.Doubt(accountKeys, "not counted: IAM does not say to which account our own key belongs")
		return
	}
	counted, err := i.count(ctx, known)
	var r *refusal
	switch {
	case errors.As(err, &r) && !r.token && r.Status == http.StatusForbidden:
		found.Broken(accountKeys, "the credential may not see the account's keys: Administrator on the IAM Identity service is needed")
		return
	case err != nil && counted.all == 0:
		found.Broken(accountKeys, "%v", err)
		return
	case err != nil:
		found.Doubt(accountKeys, "counted in part only: %v", err)
	case !counted.own:
		found.Doubt(accountKeys, "our own key is not in the list, which therefore is not whole")
	}
	counted.report(found)
}

func (i *issuer) count(ctx context.Context, known identity) (census, error) {
	c := census{settings: map[leak.Action]int{}}
	for key, err := range i.keys(ctx, known.account) {
		if err != nil {
			return c, err
		}
		c.add(key)
		c.own = c.own || key.ID == known.id
	}
	return c, nil
}

func (c *census) add(key leak.Key) {
	c.all++
	if key.Own {
		c.ours++
		return
	}
	c.settings[key.Setting]++
	if key.Locked {
		c.locked++
	}
	if key.Disabled {
		c.disabled++
	}
	if !key.ExpiresAt.IsZero() && time.Now().After(key.ExpiresAt) {
		c.expired++
	}
}

// report says what was counted, and what of it should worry somebody.
func (c *census) report(found *leak.Findings) {
	none := c.settings[leak.Nothing]
	found.Good(accountKeys, "%d in the default group, %d of them ours and never acted on; of the others %d are set to none, %d to disable, "+
		"%d to delete, %d not set, and %d are disabled, %d locked, %d expired", c.all, c.ours, none, c.settings[leak.Disable],
		c.settings[leak.Delete], c.settings[""], c.disabled, c.locked, c.expired)
	if none > 0 {
		found.Doubt(dispositions.SetToNone,
			"%d: IBM also answers none when nobody chose; policy.key_none: disable covers them", none)
	}
	if c.locked > 0 {
		found.Doubt(dispositions.LockedKeys,
			"%d: they can be neither disabled nor deleted; policy.unlock: true lets us unlock them, or somebody is paged", c.locked)
	}
	if c.expired > 0 {
		found.Doubt("expired keys", "%d: they open nothing and can be deleted", c.expired)
	}
}
