package alertmanager

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

const (
	// defaultRepeat is how often what is open is sent again, unless configured otherwise.
	defaultRepeat = time.Minute
	// maxRepeat leaves an alert a second chance to arrive before it ends.
	maxRepeat = validFor / 3
)

// Config is what a notifier of type alertmanager needs besides what every notifier has. Each incident is an alert with the
// labels alertname (LeakedKey; LeakedKeys for a group), severity, issuer, state and incident, and the
// annotations summary, description and link. It fires while somebody has to look; an incident that was settled at once fires
// for an hour, because it is news.
type Config struct {
	// URLs are those of every Alertmanager of a cluster, because each is told by itself, as Prometheus does: https://HOST:9093,
	// with the path prefix if there is one. Plain http is allowed where no password is sent.
	URLs []string `yaml:"urls"`
	// BasicAuth is how we sign in, where that is asked for.
	BasicAuth BasicAuth `yaml:"basic_auth"`
	// Repeat is how often an alert that still fires is sent again, 5m at most; 1m by default. Without that it would end after
	// 15 minutes, or when an Alertmanager restarts.
	Repeat time.Duration `yaml:"repeat"`
}

// BasicAuth is a name and a password for HTTP.
type BasicAuth struct {
	// Username is the name.
	Username string `yaml:"username"`
	// PasswordFile holds the password; space around it is dropped.
	PasswordFile string `yaml:"password_file"`
}

// Check reports every fault by the path of its field. It reads the password's file, and asks nobody.
func (c *Config) Check(fault func(field, problem string)) {
	if len(c.URLs) == 0 {
		fault("urls", "give at least one")
	}
	inClear := c.BasicAuth == BasicAuth{}
	for i, url := range c.URLs {
		if err := outbound.CheckURL(url, outbound.URLRules{Plain: inClear}); err != nil {
			fault(fmt.Sprintf("urls[%d]", i), err.Error())
		}
	}
	if _, err := c.BasicAuth.password(); err != nil {
		fault("basic_auth.password_file", err.Error())
	}
	if c.BasicAuth.Username == "" && c.BasicAuth.PasswordFile != "" {
		fault("basic_auth.username", "is missing")
	}
	if c.Repeat < 0 || c.Repeat > maxRepeat {
		fault("repeat", "must be 5m at most")
	}
}

func (b BasicAuth) password() (leak.Secret, error) {
	if b == (BasicAuth{}) {
		return leak.Secret{}, nil
	}
	return secretfile.Line(b.PasswordFile)
}

// Open makes the notifier, which is also Remembering, a Runner and an Examiner. It asks nobody.
func (c *Config) Open(name string, log *slog.Logger) (notify.Notifier, error) {
	if err := channel.Opening(name, c.Check); err != nil {
		return nil, err
	}
	password, err := c.BasicAuth.password()
	if err != nil {
		return nil, err
	}
	a := &alertmanager{
		Book: channel.NewBook[told](), client: outbound.NewClient(outbound.Config{}), username: c.BasicAuth.Username, password: password,
		repeat: c.Repeat, log: log.With("notifier", name), firing: map[leak.Fingerprint]alert{},
	}
	if a.repeat == 0 {
		a.repeat = defaultRepeat
	}
	for _, url := range c.URLs {
		a.urls = append(a.urls, strings.TrimSuffix(url, "/"))
	}
	return a, nil
}
