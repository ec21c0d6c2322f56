package github

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"stanch/receiver/leak"
)

// defaultKeysURL is where GitHub publishes the keys that sign partner deliveries.
const defaultKeysURL = "https://api.github.com/meta/public_keys/secret_scanning"

// maxTokenFile is the most that a token file may have, in bytes.
const maxTokenFile = 4 << 10

// PartnerConfig configures a source of type github_partner.
type PartnerConfig struct {
	// KeysURL is where the public keys are; empty: GitHub's. It must be https, because who answers there can sign
	// deliveries; http only to this machine, for trials.
	KeysURL string `yaml:"keys_url"`
	// KeysTokenFile holds any GitHub token, which raises the limit of the key endpoint from 60 to 5,000 requests an
	// hour; empty: no token is sent.
	KeysTokenFile string `yaml:"keys_token_file"`
	// Feedback is what GitHub is told about each token in the answer; empty or none: nothing.
	Feedback string `yaml:"feedback"`
}

// Check reports every fault by the field that has it. No problem holds a secret.
func (c *PartnerConfig) Check(fault func(field, problem string)) {
	if err := checkURL(c.keysURL()); err != nil {
		fault("keys_url", err.Error())
	}
	if c.KeysTokenFile != "" {
		if _, err := readToken(c.KeysTokenFile); err != nil {
			fault("keys_token_file", err.Error())
		}
	}
	switch c.Feedback {
	case "", "none":
	case "token_hash", "token_raw":
		fault("feedback", "is "+c.Feedback+", which this version cannot give yet: use none")
	default:
		fault("feedback", "must be none, token_hash or token_raw")
	}
}

func (c *PartnerConfig) keysURL() string {
	if c.KeysURL == "" {
		return defaultKeysURL
	}
	return c.KeysURL
}

// checkURL says what is wrong with the URL of a key document, without repeating it.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return errors.New("is not an absolute URL")
	}
	if u.User != nil {
		return errors.New("holds a user or a password: give a token in keys_token_file instead")
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return errors.New("must start with https://, because who answers there can sign deliveries")
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// readToken reads the one line of a token file.
func readToken(path string) (leak.Secret, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return leak.Secret{}, unreadable(err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return leak.Secret{}, errors.New("names an empty file")
	}
	if len(token) > maxTokenFile || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return leak.Secret{}, errors.New("names a file that is not one line with a token")
	}
	return leak.NewSecret(token), nil
}

// unreadable says why a file cannot be read, without its path, which may be a secret in the wrong place.
func unreadable(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}
