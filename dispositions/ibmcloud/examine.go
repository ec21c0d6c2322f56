package ibmcloud

import (
	"context"
	"errors"
	"time"

	"stanch/receiver/leak"
)

// expirySoon is how long before our own key expires somebody should see to it.
const expirySoon = 30 * 24 * time.Hour

// credential and accountKeys are the checks that several findings are about.
const (
	credential  = "credential"
	accountKeys = "keys of the account"
)

// Examine implements dispositions.Issuer: our own key, whether the account's keys may be listed and how they stand,
// and the clock.
func (i *issuer) Examine(ctx context.Context) []leak.Finding {
	var found leak.Findings
	if i.examineOwn(ctx, &found) {
		i.examineKeys(ctx, &found)
		found.Good("changing keys", "not tried: whether the credential may change keys cannot be proved without changing one")
	}
	if last := i.last.Load(); last != nil {
		found.Clock(last.Header.Get("Date"), last.Asked, last.Answered)
	}
	return found
}

// Account implements dispositions.Tenant.
func (i *issuer) Account(ctx context.Context) (string, error) {
	known, err := i.own.identity(ctx)
	return known.account, err
}

// examineOwn looks at our own key, and reports whether IAM takes it.
func (i *issuer) examineOwn(ctx context.Context, found *leak.Findings) bool {
	if _, err := share(ctx, &i.tokens.flight, "fetching a token", i.tokens.fetch); err != nil {
		found.Broken(credential, "%v%s", err, hint(err))
		return false
	}
	found.Good(credential, "IAM gives us a token for our own key")
	if _, err := i.own.identity(ctx); err != nil {
		found.Broken("our own key", "%v", err)
		return false
	}
	const doing = "looking up our own key"
	raw, err := i.details(ctx, doing, i.tokens.key)
	if err != nil {
		found.Broken("our own key", "%v", err)
		return false
	}
	key, err := i.own.key(doing, raw)
	if err != nil {
		found.Broken("our own key", "%v", err)
		return false
	}
	describeOwn(found, key)
	examineExpiry(found, value(raw.ExpiresAt), key.ExpiresAt)
	return true
}

// hint says what IBM's codes for a refused token mean, where that is known.
func hint(err error) string {
	var r *refusal
	if !errors.As(err, &r) || !r.token {
		return ""
	}
	switch r.Code {
	case unknownValueCode:
		return " (no key has this value: it may be deleted, expired or mistyped)"
	case disabledCode:
		return " (the key is disabled)"
	}
	return ""
}

// describeOwn says what our own key is.
func describeOwn(found *leak.Findings, key leak.Key) {
	const check = "our own key"
	locked := "not locked, so that others can delete it"
	if key.Locked {
		locked = "locked"
	}
	switch {
	case key.Disabled:
		found.Broken(check, "%s is disabled, and tokens will be refused", key.ID)
	case key.Kind != "service_id":
		found.Doubt(check, "%s is the key of a user, whose other keys are never acted on: use a service ID of its own; %s", key.ID, locked)
	default:
		found.Good(check, "%s of %s in account %s; %s", key.ID, key.Owner, or(key.Account, "unknown"), locked)
	}
}

// examineExpiry looks at when our own key expires, as IAM writes it and as we read it.
func examineExpiry(found *leak.Findings, written string, at time.Time) {
	const check = "expiry of our own key"
	left := time.Until(at)
	switch {
	case written == "":
		found.Good(check, "it does not expire")
	case at.IsZero():
		found.Doubt(check, "IAM says that it expires, and not in a way that we can read")
	case left <= 0:
		found.Broken(check, "it expired at %s", at.UTC().Format(time.DateTime))
	case left < expirySoon:
		found.Doubt(check, "it expires in %d days, at %s UTC: make another", int(left.Hours()/24), at.UTC().Format(time.DateTime))
	default:
		found.Good(check, "at %s UTC", at.UTC().Format(time.DateTime))
	}
}
