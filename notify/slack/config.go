package slack

import (
	"log/slog"
	"strings"

	api "github.com/slack-go/slack"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

// Config is what a notifier of type slack needs besides what every notifier has: a Slack app with the bot scope chat:write
// that is a member of the channel. Each incident is one thread there, whose first message shows how the incident stands now.
type Config struct {
	// TokenFile holds the bot token of the app, which begins with xoxb-; space around it is dropped.
	TokenFile string `yaml:"token_file"`
	// Channel is the id of the channel, such as C0123456789, as the channel's details show it; its name does not work.
	Channel string `yaml:"channel"`
	// URL of the Web API; empty: https://slack.com/api/.
	URL string `yaml:"url"`
}

// Check reports every fault by the path of its field. It reads the token's file, and asks nobody.
func (c *Config) Check(fault func(field, problem string)) {
	if _, err := secretfile.Line(c.TokenFile); err != nil {
		fault("token_file", err.Error())
	}
	switch {
	case c.Channel == "":
		fault("channel", "is missing")
	case strings.Trim(c.Channel, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "":
		fault("channel", "must be the id of a channel, which is of capital letters and digits, and not its name")
	}
	if c.URL != "" {
		if err := outbound.CheckURL(c.URL, outbound.URLRules{}); err != nil {
			fault("url", err.Error())
		}
	}
}

// Open makes the notifier, which is also Remembering, a Follower, an Outsider and an Examiner. It asks nobody.
func (c *Config) Open(name string, _ *slog.Logger) (notify.Notifier, error) {
	if err := channel.Opening(name, c.Check); err != nil {
		return nil, err
	}
	token, err := secretfile.Line(c.TokenFile)
	if err != nil {
		return nil, err
	}
	url := api.APIURL
	if c.URL != "" {
		url = strings.TrimSuffix(c.URL, "/") + "/"
	}
	return &slack{
		Book: channel.NewBook[thread](), client: outbound.NewClient(outbound.Config{}), url: url, token: token, channel: c.Channel,
	}, nil
}
