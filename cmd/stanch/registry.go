package main

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/ibmcloud"
	"stanch/notify"
	"stanch/notify/alertmanager"
	"stanch/notify/console"
	"stanch/notify/email"
	"stanch/notify/pagerduty"
	"stanch/notify/slack"
	"stanch/notify/webhook"
	"stanch/receiver"
	"stanch/receiver/collect"
	"stanch/receiver/github"
	"stanch/receiver/gitlab"

	"github.com/prometheus/client_golang/prometheus"
)

// The adapters, by the type that a configuration entry names. A new one is its folder and its line here.
var (
	sources = map[string]func() sourceConfig{
		"github_partner":    func() sourceConfig { return new(github.PartnerConfig) },
		"github_webhook":    func() sourceConfig { return new(github.HookConfig) },
		"gitlab_partner":    func() sourceConfig { return new(gitlab.PartnerConfig) },
		"gitlab_revocation": func() sourceConfig { return new(gitlab.RevocationConfig) },
		"gitlab_webhook":    func() sourceConfig { return new(gitlab.HookConfig) },
	}
	issuers = map[string]func() issuerConfig{
		"ibmcloud": func() issuerConfig { return new(ibmcloud.Config) },
	}
	notifiers = map[string]func() notifierConfig{
		"alertmanager": func() notifierConfig { return new(alertmanager.Config) },
		"console":      func() notifierConfig { return new(console.Config) },
		"email":        func() notifierConfig { return new(email.Config) },
		"pagerduty":    func() notifierConfig { return new(pagerduty.Config) },
		"slack":        func() notifierConfig { return new(slack.Config) },
		"webhook":      func() notifierConfig { return new(webhook.Config) },
	}
)

// checker is a part of the configuration that knows its own faults. Check reports every one of them: the YAML path of
// the field within its entry, and what is wrong, without the value.
type checker interface {
	Check(fault func(field, problem string))
}

// sourceConfig is the part of a source's entry that its adapter reads, and the way from it to the source.
type sourceConfig interface {
	checker
	Open(name string, log *slog.Logger, reg prometheus.Registerer) (receiver.Source, error)
}

// vendorConfig is a sourceConfig whose deliveries hold no secret: the collector asks the vendor for it.
type vendorConfig interface {
	OpenVendor(name string, log *slog.Logger) (collect.Vendor, error)
	// SweepEvery is how often the source is swept.
	SweepEvery() time.Duration
}

// recordsConfig is a sourceConfig whose deliveries are records, each with a secret.
type recordsConfig interface{ Records() receiver.Fields }

// issuerConfig is the part of an issuer's entry that its adapter reads, and the way from it to the issuer.
type issuerConfig interface {
	checker
	Open(name string, log *slog.Logger) (dispositions.Issuer, error)
}

// notifierConfig is the part of a notifier's entry that its adapter reads, and the way from it to the notifier.
type notifierConfig interface {
	checker
	Open(name string, log *slog.Logger) (notify.Notifier, error)
}

func (s *Source) adapt(kind string) (any, []string)   { return adapt(sources, kind, &s.Adapter) }
func (i *Issuer) adapt(kind string) (any, []string)   { return adapt(issuers, kind, &i.Adapter) }
func (n *Notifier) adapt(kind string) (any, []string) { return adapt(notifiers, kind, &n.Adapter) }

func adapt[C checker](registry map[string]func() C, kind string, to *C) (any, []string) {
	fresh, ok := registry[kind]
	if !ok {
		return nil, slices.Sorted(maps.Keys(registry))
	}
	*to = fresh()
	return *to, nil
}
