package outbound

import (
	"errors"
	"net/netip"
	"net/url"
)

// URLRules are what a configured URL may be; by the zero value, a place that a credential can be sent to.
type URLRules struct {
	Plain bool // http to any host will do: nothing goes there that others must not read or change
	Query bool // it may have a query
}

// CheckURL says what is wrong with a configured URL: it must be absolute, hold no credential, and be https, or http to this
// machine. The error is worded to follow the name of the field, and repeats nothing of the URL.
func CheckURL(text string, rules URLRules) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be an https URL with a host")
	case rules.Query && (u.User != nil || u.Fragment != ""):
		return errors.New("must hold no user and no fragment: a credential goes into a file of its own")
	case !rules.Query && (u.User != nil || u.RawQuery != "" || u.Fragment != ""):
		return errors.New("must hold no user, no query and no fragment: a credential goes into a file of its own")
	case u.Scheme == "http" && !rules.Plain && !Loopback(u.Hostname()):
		return errors.New("must be https: others could read what goes over http, and answer it")
	}
	return nil
}

// Loopback reports whether a host, given without its port, is this machine, whatever the network says.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
