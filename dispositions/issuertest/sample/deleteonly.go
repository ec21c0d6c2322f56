package sample

import (
	"context"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// DeleteOnly knows its keys by id, tells how they stand, and can only delete them. It cannot try a value, has no lock, and says
// nothing of tokens.
type DeleteOnly struct{ Site *Site }

// NewDeleteOnly returns an issuer without any key but our own.
func NewDeleteOnly() *DeleteOnly { return &DeleteOnly{newSite(leak.NewSecret("planted-sample-own"))} }

// Abilities implements dispositions.Issuer.
func (d *DeleteOnly) Abilities() leak.Abilities { return leak.Abilities{Delete: true, Read: true} }

// Locate implements dispositions.Issuer.
func (d *DeleteOnly) Locate(ctx context.Context, secret leak.Secret) (leak.Key, error) {
	return d.Site.locate(ctx, secret)
}

// Examine implements dispositions.Issuer.
func (d *DeleteOnly) Examine(ctx context.Context) []leak.Finding { return d.Site.examine(ctx) }

// Read implements dispositions.Reader.
func (d *DeleteOnly) Read(ctx context.Context, t dispositions.Target) (leak.Key, error) {
	return d.Site.read(ctx, t)
}

// Delete implements dispositions.Deleter.
func (d *DeleteOnly) Delete(ctx context.Context, t dispositions.Target) error {
	return d.Site.write(ctx, "Delete", t, func(k *leak.Key) { k.Gone = true })
}
