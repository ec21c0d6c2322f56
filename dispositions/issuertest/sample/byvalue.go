package sample

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// ByValue knows a key by nothing but its value, as GitHub's revocation of credentials does: whoever has the value may revoke it, so
// it runs on no credential of ours, and many go by one call. It accepts everything, says nothing of a key that it does not
// know, and revokes later. A refusal has no code: it proves something only of a value that worked before.
type ByValue struct {
	Site  *Site
	batch int
}

// NewByValue returns an issuer without any key, whose changes take so long to hold, and which takes so many keys at once.
func NewByValue(settles time.Duration, batch int) *ByValue {
	site := newSite(leak.Secret{})
	site.byValue, site.settles = true, settles
	return &ByValue{Site: site, batch: batch}
}

// Abilities implements dispositions.Issuer.
func (b *ByValue) Abilities() leak.Abilities {
	return leak.Abilities{
		Delete: true, Prove: true, ByValue: true, Control: true, Batch: b.batch, Settles: b.Site.settles,
		TokensOutlive: leak.LivesFor(0),
	}
}

// Locate implements dispositions.Issuer.
func (b *ByValue) Locate(ctx context.Context, secret leak.Secret) (leak.Key, error) {
	return b.Site.locate(ctx, secret)
}

// Examine implements dispositions.Issuer.
func (b *ByValue) Examine(ctx context.Context) []leak.Finding { return b.Site.examine(ctx) }

// Delete implements dispositions.Deleter.
func (b *ByValue) Delete(ctx context.Context, t dispositions.Target) error {
	if blank(t.Secret) {
		return fmt.Errorf("asking the sample to Delete: %w", errEmpty)
	}
	return b.Site.call(ctx, "Delete", func() error { b.revoke(t); return nil })
}

// Batch implements dispositions.Batcher. A target without a value is left out, and does not cost the others their call.
func (b *ByValue) Batch(ctx context.Context, action leak.Action, targets []dispositions.Target) []error {
	answers := make([]error, len(targets))
	var sent []int
	for i, t := range targets {
		if answers[i] = acceptable(action, t); answers[i] == nil {
			sent = append(sent, i)
		}
	}
	if len(sent) == 0 {
		return answers
	}
	err := b.Site.call(ctx, "Batch", func() error {
		for _, i := range sent {
			b.revoke(targets[i])
		}
		return nil
	})
	for _, i := range sent {
		answers[i] = err
	}
	return answers
}

func acceptable(action leak.Action, t dispositions.Target) error {
	switch {
	case action != leak.Delete:
		return fmt.Errorf("asking the sample to Batch: it cannot %s a key", action)
	case blank(t.Secret):
		return fmt.Errorf("asking the sample to Batch: %w", errEmpty)
	}
	return nil
}

// revoke revokes what is known, and does not say whether it was.
func (b *ByValue) revoke(t dispositions.Target) {
	_ = b.Site.change(b.Site.find(t), func(k *leak.Key) { k.Gone = true })
}

// errLimit is what a trial ends with that is refused with a code that is not documented.
var errLimit = errors.New("the value is refused for a reason that does not say whether it is dead")

// Try implements dispositions.Prover.
func (b *ByValue) Try(ctx context.Context, secret leak.Secret) (trial leak.Trial, err error) {
	if blank(secret) {
		return trial, fmt.Errorf("asking the sample to Try: %w", errEmpty)
	}
	err = b.Site.call(ctx, "Try", func() error {
		trial.Result = leak.Works
		if b.Site.code != "" {
			return errLimit
		}
		if _, gone := known(b.Site.values[secret.Reveal()]); gone != nil {
			trial.Result = leak.Refused
		}
		return nil
	})
	if err != nil {
		return leak.Trial{}, err
	}
	return trial, nil
}
