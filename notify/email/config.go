package email

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"strconv"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

// Config is what a notifier of type email needs besides what every notifier has. The mail server must offer STARTTLS and
// have a certificate that we trust, unless it is on this machine. Each recipient gets a mail of their own, in text and
// HTML; all mails about an incident are one thread.
type Config struct {
	// Address is HOST:PORT of the mail server that takes our mails; at most providers the port is 587.
	Address string `yaml:"address"`
	// CAFile holds certificates in PEM that are trusted instead of the system's.
	CAFile string `yaml:"ca_file"`
	// Username is our name on the mail server; empty: we do not sign in.
	Username string `yaml:"username"`
	// PasswordFile holds the password that goes with it; space around it is dropped.
	PasswordFile string `yaml:"password_file"`
	// From is the sender: an address, or NAME <ADDRESS>.
	From string `yaml:"from"`
	// To are the recipients, written like the sender.
	To []string `yaml:"to"`
	// Internal says that mails to these recipients stay in the house. By default stanch assumes that they pass through
	// somebody else's hands, so they do not say where an alert of a partner programme saw a key.
	Internal bool `yaml:"internal"`
}

// Check reports every fault by the path of its field. It reads the files, and asks nobody.
func (c *Config) Check(fault func(field, problem string)) {
	if _, _, err := c.address(); err != nil {
		fault("address", err.Error())
	}
	if _, err := outbound.Roots(c.CAFile); err != nil {
		fault("ca_file", err.Error())
	}
	if _, err := c.password(); err != nil {
		fault("password_file", err.Error())
	}
	if c.Username == "" && c.PasswordFile != "" {
		fault("username", "is missing")
	}
	if _, err := mail.ParseAddress(c.From); err != nil {
		fault("from", "must be an address, or NAME <ADDRESS>")
	}
	if len(c.To) == 0 {
		fault("to", "give at least one recipient")
	}
	for i, to := range c.To {
		if _, err := mail.ParseAddress(to); err != nil {
			fault(fmt.Sprintf("to[%d]", i), "must be an address, or NAME <ADDRESS>")
		}
	}
}

func (c *Config) address() (host string, port int, err error) {
	host, text, err := net.SplitHostPort(c.Address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || host == "" || port < 1 || port > 65535 {
		return "", 0, errors.New("must be HOST:PORT")
	}
	return host, port, nil
}

func (c *Config) password() (leak.Secret, error) {
	if c.Username == "" && c.PasswordFile == "" {
		return leak.Secret{}, nil
	}
	return secretfile.Line(c.PasswordFile)
}

// Open makes the notifier, which is also Remembering, an Outsider and an Examiner. It asks nobody.
func (c *Config) Open(name string, log *slog.Logger) (notify.Notifier, error) {
	if err := channel.Opening(name, c.Check); err != nil {
		return nil, err
	}
	e := &email{Book: channel.NewBook[thread](), outside: !c.Internal, log: log.With("notifier", name)}
	e.server.username = c.Username
	var err error
	if e.server.password, err = c.password(); err != nil {
		return nil, err
	}
	if e.server.roots, err = outbound.Roots(c.CAFile); err != nil {
		return nil, err
	}
	if e.server.host, e.server.port, err = c.address(); err != nil {
		return nil, err
	}
	if e.from, err = mail.ParseAddress(c.From); err != nil {
		return nil, err
	}
	for _, to := range c.To {
		address, err := mail.ParseAddress(to)
		if err != nil {
			return nil, err
		}
		e.to = append(e.to, address)
	}
	return e, nil
}
