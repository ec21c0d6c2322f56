package pagerduty

import (
	"log/slog"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

// defaultURL is where PagerDuty takes events of its Events API v2.
const defaultURL = "https://events.pagerduty.com/v2/enqueue"

// Config is what a notifier of type pagerduty needs besides what every notifier has. An incident pages when it opens with
// at least the configured severity, is acknowledged when a person takes it up, and resolved when nothing more has to be done.
// A group is an alert of its own, which a person resolves.
type Config struct {
	// RoutingKeyFile holds the integration key of an Events API v2 integration of a service: 32 characters; space around it
	// is dropped.
	RoutingKeyFile string `yaml:"routing_key_file"`
	// URL is where events are sent; empty: https://events.pagerduty.com/v2/enqueue. A service in the EU has
	// https://events.eu.pagerduty.com/v2/enqueue.
	URL string `yaml:"url"`
	// Severity is the lowest that pages: info, warning or critical; critical by default.
	Severity leak.Severity `yaml:"severity"`
}

// Check reports every fault by the path of its field. It reads the key's file, and asks nobody.
func (c *Config) Check(fault func(field, problem string)) {
	if _, err := secretfile.Line(c.RoutingKeyFile); err != nil {
		fault("routing_key_file", err.Error())
	}
	if c.URL != "" {
		if err := outbound.CheckURL(c.URL, outbound.URLRules{}); err != nil {
			fault("url", err.Error())
		}
	}
	if _, ok := ranks[c.Severity]; !ok {
		fault("severity", "must be info, warning or critical")
	}
}

// Open makes the notifier, which is also Remembering, a Follower and an Outsider. It asks nobody.
func (c *Config) Open(name string, _ *slog.Logger) (notify.Notifier, error) {
	if err := channel.Opening(name, c.Check); err != nil {
		return nil, err
	}
	key, err := secretfile.Line(c.RoutingKeyFile)
	if err != nil {
		return nil, err
	}
	url := c.URL
	if url == "" {
		url = defaultURL
	}
	return &pagerduty{
		Book: channel.NewBook[page](), client: outbound.NewClient(outbound.Config{}), url: url, key: key, least: ranks[c.Severity],
	}, nil
}

// ranks order the severities; the empty one is what pages by default.
var ranks = map[leak.Severity]int{leak.Info: 1, leak.Warning: 2, leak.Critical: 3, "": 3}
