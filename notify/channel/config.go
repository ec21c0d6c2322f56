package channel

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"unicode"

	"stanch/receiver/leak"
)

// maxSecretFile is how large the file of a credential may be, in bytes.
const maxSecretFile = 4096

// Secret reads the one line of a file that holds a credential; space around it is dropped. Errors are worded to follow the
// name of the field, and do not hold the path, which may be the secret in the wrong place.
func Secret(path string) (leak.Secret, error) {
	if path == "" {
		return leak.Secret{}, errors.New("is missing")
	}
	data, err := os.ReadFile(path)
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		err = wrapped.Err
	}
	if err != nil {
		return leak.Secret{}, fmt.Errorf("cannot be read: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return leak.Secret{}, errors.New("names an empty file")
	}
	if len(text) > maxSecretFile || strings.ContainsFunc(text, unicode.IsControl) {
		return leak.Secret{}, fmt.Errorf("names a file that is not one line of at most %d bytes", maxSecretFile)
	}
	return leak.NewSecret(text), nil
}

// CheckURL says what is wrong with the URL of a channel: it must hold no credential, and be https, or http to this
// machine, or any http where notices may travel in clear. Errors are worded to follow the name of the field, and do not
// repeat the URL.
func CheckURL(text string, inClear bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be an https URL with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must hold no user, no query and no fragment")
	case u.Scheme == "http" && !inClear && !Loopback(u.Hostname()):
		return errors.New("must be https: a credential would travel in clear")
	}
	return nil
}

// Loopback reports whether a host is this machine, whatever the network says.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Opening is the error of a notifier that cannot be opened: everything that check finds, or nil. A configuration is
// checked before, so that this is for what changed since.
func Opening(name string, check func(fault func(field, problem string))) error {
	var faults []error
	check(func(field, problem string) { faults = append(faults, fmt.Errorf("%s %s", field, problem)) })
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("opening notifier %s: %w", name, err)
	}
	return nil
}
