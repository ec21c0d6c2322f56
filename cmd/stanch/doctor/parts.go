package doctor

import (
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/cmd/stanch/config"
	"stanch/cmd/stanch/role"
	"stanch/dispositions"
	"stanch/notify"
	"stanch/receiver"
	"stanch/receiver/leak"
)

// parts lists what doctor examines, in the order in which an alert meets them.
func parts(c *config.Config) []part {
	var parts []part
	add := func(name string, ask func(context.Context) []leak.Finding) { parts = append(parts, part{name, ask}) }
	for _, s := range c.Sources {
		add("source "+s.Name, func(ctx context.Context) []leak.Finding { return examineSource(ctx, s, c.Roles()) })
	}
	if c.Roles().Have(role.Engine) {
		for _, i := range c.Issuers {
			add("issuer "+i.Name, func(ctx context.Context) []leak.Finding { return examineIssuer(ctx, i, c.Policy) })
		}
	}
	add("store", func(ctx context.Context) []leak.Finding { return examineStore(ctx, c) })
	add("serve", func(ctx context.Context) []leak.Finding { return examineServe(ctx, c.Store.Dir()) })
	add("keys", func(context.Context) []leak.Finding { return examineKeys(c) })
	add("web", func(context.Context) []leak.Finding { return examineWeb(c) })
	add("policy", func(context.Context) []leak.Finding { return examinePolicy(c.Policy) })
	if c.Roles().Have(role.Notifier) {
		for _, n := range c.Notifiers {
			add("notifier "+n.Name, func(ctx context.Context) []leak.Finding { return examineNotifier(ctx, n) })
		}
	}
	if len(c.Notifiers) == 0 {
		add("notifiers", func(context.Context) []leak.Finding {
			return []leak.Finding{{Check: "notifiers", Result: leak.Doubt, Text: "there is none: nobody is told"}}
		})
	}
	return parts
}

func examineSource(ctx context.Context, s config.Source, roles role.Roles) (found []leak.Finding) {
	if roles.Have(role.Receiver) {
		found = examineFeed(ctx, s)
	}
	if roles.Have(role.Collector) {
		found = append(found, examineAPI(ctx, s)...)
	}
	return found
}

// examineFeed examines what the receiver depends on.
func examineFeed(ctx context.Context, s config.Source) []leak.Finding {
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
func examineAPI(ctx context.Context, s config.Source) []leak.Finding {
	adapter, ok := s.Adapter.(config.VendorAdapter)
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

func examineNotifier(ctx context.Context, n config.Notifier) []leak.Finding {
	notifier, err := n.Adapter.Open(n.Name, quiet)
	if err != nil {
		return notOpened(err)
	}
	if e, ok := notifier.(notify.Examiner); ok {
		return e.Examine(ctx)
	}
	return nil
}

func examineIssuer(ctx context.Context, i config.Issuer, p config.Policy) []leak.Finding {
	issuer, err := i.Adapter.Open(i.Name, quiet)
	if err != nil {
		return notOpened(err)
	}
	found := leak.Findings(issuer.Examine(ctx))
	settle(found, p)
	found.Good("abilities", "it can %s", issuer.Abilities())
	if tenant, ok := issuer.(dispositions.Tenant); ok && len(i.Accounts) > 0 {
		examineAccounts(ctx, tenant, i.Accounts, &found)
	}
	return found
}

// examineAccounts compares the accounts whose keys may be acted on with that of our own credential.
func examineAccounts(ctx context.Context, tenant dispositions.Tenant, accounts []string, found *leak.Findings) {
	const check = "accounts"
	account, err := tenant.Account(ctx)
	switch {
	case err != nil:
		found.Doubt(check, "they cannot be compared with that of our own credential: %v", err)
	case account == "":
		found.Doubt(check, "the issuer does not say to which of them our own credential belongs")
	case !slices.Contains(accounts, account):
		found.Doubt(check, "our own credential belongs to %s, which is not among them: no key of it is acted on", account)
	default:
		found.Good(check, "our own credential belongs to %s, which is among them", account)
	}
}

// settle turns doubts about an issuer into good findings where the policy covers them.
func settle(found []leak.Finding, p config.Policy) {
	for n := range found {
		covered := found[n].Check == dispositions.SetToNone && p.KeyNone != leak.Nothing ||
			found[n].Check == dispositions.LockedKeys && p.Unlock
		if covered && found[n].Result == leak.Doubt {
			found[n].Result = leak.Good
			found[n].Text += " (policy does)"
		}
	}
}

func examinePolicy(p config.Policy) []leak.Finding {
	var found leak.Findings
	if p.DryRun {
		found.Doubt("dry run", "it is on: no key is touched")
	} else {
		found.Good("dry run", "it is off: leaked keys are acted on")
	}
	found.Good("actions", "%v", p)
	return found
}
