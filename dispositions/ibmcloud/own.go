package ibmcloud

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	iam "github.com/IBM/platform-services-go-sdk/iamidentityv1"
	"golang.org/x/sync/singleflight"

	"stanch/receiver/leak"
)

// identity is whose key we run on.
type identity struct {
	id    string // of our key
	iamID string // of who it acts as, as bareIAMID writes it

	account string // that it belongs to; empty: IAM does not say
}

// own knows which keys are ours. It asks IAM on first use and remembers the answer: at the start IAM may be down. While
// it does not know, no key is handed out and none is changed.
type own struct {
	ask    func(ctx context.Context) (*iam.APIKey, error)
	known  atomic.Pointer[identity]
	flight singleflight.Group
	others sync.Map // ids of further keys that were seen to act as us
}

// identity returns whose key we run on. Its error never wraps leak.ErrNotFound: that would be read as a statement about
// the leaked key.
func (o *own) identity(ctx context.Context) (identity, error) {
	if known := o.known.Load(); known != nil {
		return *known, nil
	}
	return share(ctx, &o.flight, "looking up our own key", func() (identity, error) {
		if known := o.known.Load(); known != nil { // by a flight that has just ended
			return *known, nil
		}
		return o.resolve(context.WithoutCancel(ctx))
	})
}

func (o *own) resolve(ctx context.Context) (identity, error) {
	const doing = "looking up our own key"
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := o.ask(ctx)
	switch {
	case errors.Is(err, leak.ErrNotFound), saysUnknownValue(err):
		return identity{}, fmt.Errorf("%s: %w", doing, leak.ErrCredential)
	case err != nil:
		return identity{}, err
	case found == nil || !keyID.MatchString(value(found.ID)) || value(found.IamID) == "":
		return identity{}, fmt.Errorf("%s: %w", doing, errNoKey)
	}
	known := identity{id: *found.ID, iamID: bareIAMID(*found.IamID), account: value(found.AccountID)}
	o.known.Store(&known)
	return known, nil
}

// has reports whether a key is ours, as far as its id tells.
func (o *own) has(id string) bool {
	known := o.known.Load()
	_, other := o.others.Load(id)
	return other || known != nil && strings.EqualFold(known.id, id)
}

// key translates what IAM says of a key. Any field may be missing, except a valid id.
func (o *own) key(doing string, found *iam.APIKey) (leak.Key, error) {
	if found == nil || !keyID.MatchString(value(found.ID)) {
		return leak.Key{}, fmt.Errorf("%s: %w", doing, errNoKey)
	}
	return o.translate(found), nil
}

// translate does so for keys that are only shown, and of which even the id may be missing.
func (o *own) translate(found *iam.APIKey) leak.Key {
	k := leak.Key{
		ID: value(found.ID), Name: value(found.Name), Owner: value(found.IamID), Kind: kind(value(found.IamID)),
		Account: value(found.AccountID), Locked: value(found.Locked), Disabled: value(found.Disabled),
		ExpiresAt: parseTime(value(found.ExpiresAt)), Setting: setting(value(found.ActionWhenLeaked)),
	}
	if found.CreatedAt != nil {
		k.CreatedAt = time.Time(*found.CreatedAt)
	}
	known := o.known.Load()
	k.Own = o.has(k.ID) || known != nil && k.Owner != "" && bareIAMID(k.Owner) == known.iamID
	if k.Own {
		o.others.Store(k.ID, true)
	}
	return k
}
