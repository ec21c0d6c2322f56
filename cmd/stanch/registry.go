package main

import (
	"stanch/cmd/stanch/config"
	"stanch/dispositions/ibmcloud"
	"stanch/notify/alertmanager"
	"stanch/notify/console"
	"stanch/notify/email"
	"stanch/notify/pagerduty"
	"stanch/notify/slack"
	"stanch/notify/webhook"
	"stanch/receiver/github"
	"stanch/receiver/gitlab"
)

// adapters are all that there are, by the type that a configuration entry names. A new one is its folder and its line here.
var adapters = config.Registry{
	Sources: map[string]func() config.SourceAdapter{
		"github_partner":    func() config.SourceAdapter { return new(github.PartnerConfig) },
		"github_webhook":    func() config.SourceAdapter { return new(github.HookConfig) },
		"gitlab_partner":    func() config.SourceAdapter { return new(gitlab.PartnerConfig) },
		"gitlab_revocation": func() config.SourceAdapter { return new(gitlab.RevocationConfig) },
		"gitlab_webhook":    func() config.SourceAdapter { return new(gitlab.HookConfig) },
	},
	Issuers: map[string]func() config.IssuerAdapter{
		"ibmcloud": func() config.IssuerAdapter { return new(ibmcloud.Config) },
	},
	Notifiers: map[string]func() config.NotifierAdapter{
		"alertmanager": func() config.NotifierAdapter { return new(alertmanager.Config) },
		"console":      func() config.NotifierAdapter { return new(console.Config) },
		"email":        func() config.NotifierAdapter { return new(email.Config) },
		"pagerduty":    func() config.NotifierAdapter { return new(pagerduty.Config) },
		"slack":        func() config.NotifierAdapter { return new(slack.Config) },
		"webhook":      func() config.NotifierAdapter { return new(webhook.Config) },
	},
}
