package webhook

import (
	"cmp"
	"errors"
	"log/slog"
	"strings"
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	// defaultTimeout is how long a receiver has to answer, and maxTimeout the most that can be configured: a notice is
	// tried again after half a minute.
	defaultTimeout = 10 * time.Second
	maxTimeout     = 25 * time.Second
	// minKey and maxKey are how long a signing key may be, in bytes, as Standard Webhooks prescribes.
	minKey = 24
	maxKey = 64
	// keyPrefix is what a signing key begins with in a file.
	keyPrefix = "whsec_"
)

// Config is what a notifier of type webhook needs besides what every notifier has. Each notice is one POST of a CloudEvent
// 1.0 in structured mode (application/cloudevents+json), signed as Standard Webhooks prescribes; any 2xx
// accepts it. The event's id is that of the notice and stays the same when the notice comes again, so that a receiver can
// drop what it already has.
type Config struct {
	// URL is where notices are posted: https, or http on this machine, without a query.
	URL string `yaml:"url"`
	// URLFile holds the URL instead, where it is a secret itself; such a URL may have a query. Give exactly one of the two.
	URLFile string `yaml:"url_file"`
	// SecretFile holds the key that signs: whsec_ and then 24 to 64 random bytes in base64, as in
	// "echo whsec_$(openssl rand -base64 32)". The receiver verifies with the same key.
	SecretFile string `yaml:"secret_file"`
	// Timeout is how long the receiver has to answer, 10s by default and 25s at most.
	Timeout time.Duration `yaml:"timeout"`
	// Internal says that the receiver is our own and hands nothing on. By default it is not told where a partner's alert saw
	// a key, because the partner agreement forbids sharing that onward.
	Internal bool `yaml:"internal"`
}

// Check reports every fault by the path of its field. It reads the files, and asks nobody.
func (c *Config) Check(fault func(field, problem string)) {
	switch {
	case c.URL == "" && c.URLFile == "":
		fault("url", "is missing; give url, or url_file where it is a secret")
	case c.URL != "" && c.URLFile != "":
		fault("url_file", "goes without url; give one of them")
	case c.URL != "":
		if err := outbound.CheckURL(c.URL, outbound.URLRules{}); err != nil {
			fault("url", err.Error())
		}
	default:
		if _, err := c.address(); err != nil {
			fault("url_file", err.Error())
		}
	}
	if _, err := c.signer(); err != nil {
		fault("secret_file", err.Error())
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		fault("timeout", "must be positive, and 25s at most")
	}
}

// Open makes the notifier, which is also an Outsider and a Follower. It asks nobody.
func (c *Config) Open(name string, _ *slog.Logger) (notify.Notifier, error) {
	if err := channel.Opening(name, c.Check); err != nil {
		return nil, err
	}
	address, err := c.address()
	if err != nil {
		return nil, err
	}
	signer, err := c.signer()
	if err != nil {
		return nil, err
	}
	return &webhook{
		client: outbound.NewClient(outbound.Config{}), url: address, signer: signer, timeout: cmp.Or(c.Timeout, defaultTimeout), inside: c.Internal,
	}, nil
}

// address is the URL, which may be a secret.
func (c *Config) address() (leak.Secret, error) {
	if c.URLFile == "" {
		return leak.NewSecret(c.URL), nil
	}
	secret, err := secretfile.Line(c.URLFile)
	if err != nil {
		return secret, err
	}
	if err := outbound.CheckURL(secret.Reveal(), outbound.URLRules{Query: true}); err != nil {
		return secret, errors.New("holds a URL that " + err.Error())
	}
	return secret, nil
}

// signer makes what signs. Errors hold nothing of the key.
func (c *Config) signer() (*standardwebhooks.Webhook, error) {
	secret, err := secretfile.Line(c.SecretFile)
	if err != nil {
		return nil, err
	}
	encoded, ok := strings.CutPrefix(secret.Reveal(), keyPrefix)
	signer, err := standardwebhooks.NewWebhook(encoded)
	size := len(strings.TrimRight(encoded, "=")) * 3 / 4
	if !ok || err != nil || size < minKey || size > maxKey {
		return nil, errors.New("must hold whsec_ and then 24 to 64 bytes in base64")
	}
	return signer, nil
}
