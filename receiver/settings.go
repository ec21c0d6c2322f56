package receiver

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

// What the configurations of sources have in common. Each of these says what is wrong with a value of a field and does
// not repeat it: people put secrets in the wrong places.

// MaxTokenFile is the most that a file with a secret of a source may have, in bytes.
const MaxTokenFile = 4 << 10

// CheckKeysURL says what is wrong with the URL of a key document. It must be https, because who answers there can sign
// deliveries; http only to this machine, for trials.
func CheckKeysURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return errors.New("is not an absolute URL")
	}
	if u.User != nil {
		return errors.New("holds a user or a password: a token belongs into a file of its own")
	}
	if !safe(u) {
		return errors.New("must start with https://, because who answers there can sign deliveries")
	}
	return nil
}

// CheckAPIURL says what is wrong with the base URL of a vendor's API, which our token is sent to.
func CheckAPIURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("is not an absolute URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must hold no user, no query and no fragment: a token goes into token_file")
	case !safe(u):
		return errors.New("must start with https://, because the token and the secrets go over it")
	}
	return nil
}

// safe reports whether nobody can listen or answer in between.
func safe(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// ReadToken reads the one line of a token file. Blanks around the token do not count, and there are none in it.
func ReadToken(path string) (leak.Secret, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return leak.Secret{}, Unreadable(err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return leak.Secret{}, errors.New("names an empty file")
	}
	if len(token) > MaxTokenFile || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return leak.Secret{}, errors.New("names a file that is not one line with a token")
	}
	return leak.NewSecret(token), nil
}

// Unreadable says why a file cannot be read, without its path, which may be a secret in the wrong place.
func Unreadable(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}
