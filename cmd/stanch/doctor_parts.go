package main

import (
	"context"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/dispositions"
	"stanch/notify"
	"stanch/receiver"
	"stanch/receiver/leak"
)

// parts are what doctor examines, in the order in which an alert meets them.
func (c *Config) parts() []part {
	var parts []part
	add := func(name string, ask func(context.Context) []leak.Finding) { parts = append(parts, part{name, ask}) }
	for _, s := range c.Sources {
		add("source "+s.Name, func(ctx context.Context) []leak.Finding { return s.examine(ctx, c.roles) })
	}
	for _, i := range forRole(c, deciding, c.Issuers) {
		add("issuer "+i.Name, func(ctx context.Context) []leak.Finding { return i.examine(ctx, c.Policy) })
	}
	add("store", c.examineStore)
	add("serve", c.Store.examineServe)
	add("keys", c.examineKeys)
	add("web", c.examineWeb)
	add("policy", c.Policy.examine)
	for _, n := range forRole(c, notifying, c.Notifiers) {
		add("notifier "+n.Name, n.examine)
	}
	if len(c.Notifiers) == 0 {
		add("notifiers", func(context.Context) []leak.Finding {
			return []leak.Finding{{Check: "notifiers", Result: leak.Doubt, Text: "there is none: nobody is told"}}
		})
	}
	return parts
}

// quiet is the log of adapters under examination: what they have to say they say as findings.
var quiet = slog.New(slog.DiscardHandler)

// notOpened is what is found of an adapter that does not open.
func notOpened(err error) []leak.Finding {
	return []leak.Finding{{Check: "configuration", Result: leak.Broken, Text: err.Error()}}
}

func (s Source) examine(ctx context.Context, roles roles) (found []leak.Finding) {
	if roles.have(receiving) {
		found = s.examineFeed(ctx)
	}
	if roles.have(collecting) {
		found = append(found, s.examineAPI(ctx)...)
	}
	return found
}

// examineFeed examines what the receiver depends on.
func (s Source) examineFeed(ctx context.Context) []leak.Finding {
	source, err := s.Adapter.Open(s.Name, quiet, prometheus.NewRegistry())
	if err != nil {
		return notOpened(err)
	}
	if e, ok := source.(receiver.Examiner); ok {
		return e.Examine(ctx)
	}
	return nil
}

// examineAPI examines what the collector depends on.
func (s Source) examineAPI(ctx context.Context) []leak.Finding {
	adapter, ok := s.Adapter.(vendorConfig)
	if !ok {
		return nil
	}
	vendor, err := adapter.OpenVendor(s.Name, quiet)
	if err != nil {
		return notOpened(err)
	}
	if e, ok := vendor.(receiver.Examiner); ok {
		return e.Examine(ctx)
	}
	return nil
}

func (n Notifier) examine(ctx context.Context) []leak.Finding {
	notifier, err := n.Adapter.Open(n.Name, quiet)
	if err != nil {
		return notOpened(err)
	}
	if e, ok := notifier.(notify.Examiner); ok {
		return e.Examine(ctx)
	}
	return nil
}

func (i Issuer) examine(ctx context.Context, p Policy) []leak.Finding {
	issuer, err := i.Adapter.Open(i.Name, quiet)
	if err != nil {
		return notOpened(err)
	}
	var found leak.Findings
	if e, ok := issuer.(dispositions.Examiner); ok {
		found = e.Examine(ctx)
	}
	p.settle(found)
	if tenant, ok := issuer.(dispositions.Tenant); ok && len(i.Accounts) > 0 {
		i.examineAccounts(ctx, tenant, &found)
	}
	return found
}

// examineAccounts compares the accounts whose keys may be acted on with that of our own credential.
func (i Issuer) examineAccounts(ctx context.Context, tenant dispositions.Tenant, found *leak.Findings) {
	const check = "accounts"
	account, err := tenant.Account(ctx)
	switch {
	case err != nil:
		found.Doubt(check, "they cannot be compared with that of our own credential: %v", err)
	case account == "":
		found.Doubt(check, "the issuer does not say to which of them our own credential belongs")
	case !slices.Contains(i.Accounts, account):
		found.Doubt(check, "our own credential belongs to %s, which is not among them: no key of it is acted on", account)
	default:
		found.Good(check, "our own credential belongs to %s, which is among them", account)
	}
}

// settle takes the doubt out of findings of an issuer that policy has an answer to.
func (p Policy) settle(found []leak.Finding) {
	for n := range found {
		covered := found[n].Check == dispositions.SetToNone && p.KeyNone != leak.Nothing ||
			found[n].Check == dispositions.LockedKeys && p.Unlock
		if covered && found[n].Result == leak.Doubt {
			found[n].Result = leak.Good
			found[n].Text += " (policy does)"
		}
	}
}

func (p Policy) examine(context.Context) []leak.Finding {
	var found leak.Findings
	if p.DryRun {
		found.Doubt("dry run", "it is on: no key is touched")
	} else {
		found.Good("dry run", "it is off: leaked keys are acted on")
	}
	found.Good("actions", "%v", p)
	return found
}
