package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v4"

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
		add("source "+s.Name, s.examine)
	}
	for _, i := range c.Issuers {
		add("issuer "+i.Name, func(ctx context.Context) []leak.Finding { return i.examine(ctx, c.Policy) })
	}
	add("store", c.Store.Embedded.examine)
	add("serve", c.Store.Embedded.examineServe)
	add("keys", c.examineKeys)
	add("web", c.examineWeb)
	add("policy", c.Policy.examine)
	for _, n := range c.Notifiers {
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

func (s Source) examine(ctx context.Context) []leak.Finding {
	source, err := s.Adapter.Open(s.Name, quiet, prometheus.NewRegistry())
	if err != nil {
		return notOpened(err)
	}
	if e, ok := source.(receiver.Examiner); ok {
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

func (c *Config) examineWeb(context.Context) []leak.Finding {
	var found leak.Findings
	c.Web.Public.examinePublic(&found)
	c.Web.Private.examinePrivate(&found)
	switch {
	case c.Web.ExternalURL != "":
		found.Good("external URL", "notices link to the incident")
	case len(c.Notifiers) > 0:
		found.Doubt("external URL", "there is none: notices hold no link to the incident")
	}
	return found
}

func (l Listener) examinePublic(found *leak.Findings) {
	const check = "public listener"
	guard, err := l.guard()
	switch {
	case err != nil:
		found.Broken(check, "its config_file cannot be read: %v", err)
	case guard.signsIn():
		found.Broken(check, "its config_file asks for a sign-in, which no source can give: every delivery is refused")
	case guard.TLS != nil:
		found.Good(check, "%s, with TLS", l.Address)
	case l.loopback():
		found.Good(check, "%s, which only this machine reaches: a proxy has to bring TLS", l.Address)
	default:
		found.Doubt(check, "%s has no TLS: leaked keys arrive in clear, unless a proxy in front of it has", l.Address)
	}
}

func (l Listener) examinePrivate(found *leak.Findings) {
	const check = "private listener"
	guard, err := l.guard()
	switch {
	case err != nil:
		found.Broken(check, "its config_file cannot be read: %v", err)
	case l.loopback():
		found.Good(check, "%s, which only this machine reaches", l.Address)
	case !guard.signsIn():
		found.Broken(check, "everybody who reaches %s may read incidents: give it a config_file with a sign-in", l.Address)
	case guard.TLS == nil:
		found.Doubt(check, "%s has no TLS: passwords travel in clear", l.Address)
	default:
		found.Good(check, "%s, with TLS and a sign-in", l.Address)
	}
}

// loopback reports whether only this machine reaches the listener.
func (l Listener) loopback() bool {
	host, _, _ := net.SplitHostPort(l.Address)
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// guard is what a web configuration file of the exporter toolkit puts before a listener; the zero guard is nothing.
type guard struct {
	TLS *struct {
		ClientAuth string `yaml:"client_auth_type"`
	} `yaml:"tls_server_config"`
	Users map[string]string `yaml:"basic_auth_users"`
}

// signsIn reports whether nobody comes in without a password or a certificate.
func (g guard) signsIn() bool {
	return len(g.Users) > 0 || g.TLS != nil && g.TLS.ClientAuth == "RequireAndVerifyClientCert"
}

func (l Listener) guard() (g guard, err error) {
	if l.ConfigFile == "" {
		return g, nil
	}
	data, err := os.ReadFile(l.ConfigFile)
	if err != nil {
		return g, err
	}
	return g, yaml.Load(data, &g)
}
