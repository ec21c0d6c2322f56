package sample

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// Full can do everything but take many keys at once.
type Full struct{ Site *Site }

// NewFull returns an issuer without any key but our own, whose changes take so long to hold.
func NewFull(settles time.Duration) *Full {
	f := &Full{newSite(leak.NewSecret("planted-sample-own"))}
	f.Site.settles = settles
	return f
}

// Abilities implements dispositions.Issuer.
func (f *Full) Abilities() leak.Abilities {
	return leak.Abilities{
		Disable: true, Enable: true, Delete: true, Read: true, Prove: true, Lock: true, Settles: f.Site.settles,
		TokensOutlive: leak.LivesFor(time.Hour),
	}
}

// Locate implements dispositions.Issuer.
func (f *Full) Locate(ctx context.Context, secret leak.Secret) (leak.Key, error) {
	return f.Site.locate(ctx, secret)
}

// Examine implements dispositions.Issuer.
func (f *Full) Examine(ctx context.Context) []leak.Finding { return f.Site.examine(ctx) }

// Account implements dispositions.Tenant.
func (f *Full) Account(context.Context) (string, error) { return "acme", nil }

// Read implements dispositions.Reader.
func (f *Full) Read(ctx context.Context, t dispositions.Target) (leak.Key, error) {
	return f.Site.read(ctx, t)
}

// Disable implements dispositions.Disabler.
func (f *Full) Disable(ctx context.Context, t dispositions.Target) error {
	return f.Site.write(ctx, "Disable", t, func(k *leak.Key) { k.Disabled = true })
}

// Enable implements dispositions.Enabler.
func (f *Full) Enable(ctx context.Context, t dispositions.Target) error {
	return f.Site.write(ctx, "Enable", t, func(k *leak.Key) { k.Disabled = false })
}

// Delete implements dispositions.Deleter.
func (f *Full) Delete(ctx context.Context, t dispositions.Target) error {
	return f.Site.write(ctx, "Delete", t, func(k *leak.Key) { k.Gone = true })
}

// Lock implements dispositions.Locker.
func (f *Full) Lock(ctx context.Context, t dispositions.Target) error {
	return f.Site.write(ctx, "Lock", t, func(k *leak.Key) { k.Locked = true })
}

// Unlock implements dispositions.Locker.
func (f *Full) Unlock(ctx context.Context, t dispositions.Target) error {
	return f.Site.write(ctx, "Unlock", t, func(k *leak.Key) { k.Locked = false })
}

// Try implements dispositions.Prover. Of a key that is disabled or gone it says so with a documented code.
func (f *Full) Try(ctx context.Context, secret leak.Secret) (trial leak.Trial, err error) {
	if blank(secret) {
		return trial, fmt.Errorf("asking the sample to Try: %w", errEmpty)
	}
	err = f.Site.call(ctx, "Try", func() error {
		e := f.Site.values[secret.Reveal()]
		k, gone := known(e)
		switch {
		case f.Site.code != "":
			trial = leak.Trial{Result: leak.Refused, Code: f.Site.code}
		case gone != nil:
			trial = leak.Trial{Result: leak.Dead, Code: "NOT_FOUND"}
		case k.Disabled:
			trial = leak.Trial{Result: leak.Dead, Code: "DISABLED"}
		default:
			trial = leak.Trial{Result: leak.Works}
			e.used = leak.Activity{Known: true, Count: e.used.Count + 1, LastAt: time.Now()}
		}
		return nil
	})
	if err != nil {
		return leak.Trial{}, err
	}
	return trial, nil
}

// Activity implements dispositions.Watcher.
func (f *Full) Activity(ctx context.Context, t dispositions.Target) (used leak.Activity, err error) {
	err = f.Site.byID(ctx, "Activity", t, func(e *entry) error {
		if _, err := known(e); err != nil {
			return err
		}
		used = leak.Activity{Known: true, Count: e.used.Count, LastAt: e.used.LastAt}
		return nil
	})
	if err != nil {
		return leak.Activity{}, err
	}
	return used, nil
}

// MadeBy implements dispositions.Tracer.
func (f *Full) MadeBy(ctx context.Context, key leak.Key, since time.Time) (made []leak.Made, err error) {
	err = f.Site.call(ctx, "MadeBy", func() error {
		for _, e := range f.Site.ids {
			if k := e.now(); k.ID != key.ID && k.Owner == key.Owner && k.CreatedAt.After(since) {
				made = append(made, leak.Made{Kind: "key", ID: k.ID, Name: k.Name, At: k.CreatedAt})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(made, func(a, b leak.Made) int { return b.At.Compare(a.At) })
	return made[:min(len(made), dispositions.MaxMade)], nil
}

// ByHand is the type of a secret that a [Full] recognises as one that only a person can revoke.
const ByHand = "sample_by_hand"

// Recognise implements dispositions.Recogniser.
func (f *Full) Recognise(c leak.Content) (kind, byHand string, ok bool) {
	if c.Type != ByHand {
		return "", "", false
	}
	return "classic sample", "Revoke it on its own page.", true
}
