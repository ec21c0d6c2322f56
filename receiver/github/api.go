package github

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"stanch/receiver"
	"stanch/receiver/collect"
)

// vendor is GitHub's API as the collector asks it: collect.Vendor, collect.Redeliverer and receiver.Examiner. It asks
// for alerts of one organisation, at the base URL that was configured: never at one that an answer or a delivery
// names.
type vendor struct {
	name       string // of the source
	org        string
	caller     *caller
	credential credential
	app        *app // the credential, when it is one; nil otherwise
	log        *slog.Logger
	self       atomic.Pointer[string] // our login, once GitHub has told it
}

// OpenVendor makes the vendor that the source's collector asks; it is a collect.Redeliverer and a receiver.Examiner as
// well. It reads the file with our token or private key, and asks nobody: GitHub may be down when stanch starts.
func (c *HookConfig) OpenVendor(name string, log *slog.Logger) (collect.Vendor, error) {
	base, err := baseURL(c.API.url())
	if err != nil || !isName(c.Organization) {
		return nil, fmt.Errorf("opening the API of source %s: its api.url or its organisation is not valid", name)
	}
	v := &vendor{
		name: name, org: strings.ToLower(c.Organization), caller: newCaller(base), log: log.With("source", name),
	}
	if c.API.App != nil {
		v.app, err = c.API.App.open(base, v.org)
		v.credential = v.app
	} else {
		v.credential, err = openTokenFile(c.API.TokenFile)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the API of source %s: %w", name, err)
	}
	return v, nil
}

// baseURL is a base as go-github wants it: with a slash at its end.
func baseURL(text string) (*url.URL, error) {
	if err := receiver.CheckAPIURL(text); err != nil {
		return nil, err
	}
	return url.Parse(strings.TrimSuffix(cmp.Or(text, defaultAPIURL), "/") + "/")
}

func (c *AppConfig) open(base *url.URL, org string) (*app, error) {
	key, err := readAppKey(c.PrivateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading api.app.private_key_file, which %w", err)
	}
	return &app{
		caller: newCaller(base), sign: signer(c.ID, key), org: org,
		configured: int64(c.Installation), tokens: map[right]appToken{},
	}, nil
}

// own reads a ref, and refuses one that is not of our organisation.
func (v *vendor) own(text string) (ref, error) {
	r, err := parseRef(text)
	if err != nil || !r.in(v.org) {
		return ref{}, fmt.Errorf("%w: the alert is not of the configured organisation", collect.ErrRefused)
	}
	return r, nil
}

// path is where the API has an alert.
func (r ref) path() string {
	return "repos/" + r.owner + "/" + r.repo + "/secret-scanning/alerts/" + strconv.FormatInt(r.number, 10)
}
