// Package githubapi is GitHub's API as the collector asks it about the secret scanning of one organisation: it fetches,
// lists, closes and opens alerts, and has failed deliveries sent again. It shows nobody our credential but the
// configured server, keeps every answer within bounds, and passes nothing of what a server says on in an error.
package githubapi

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"stanch/receiver/collect"
	"stanch/receiver/outbound"
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

// Open makes the vendor that the collector of a source asks about one organisation; it is a collect.Redeliverer, a
// collect.Selfaware and a receiver.Examiner as well. It reads the file with our token or private key, and asks nobody:
// GitHub may be down when stanch starts.
func Open(c Config, source, organization string, log *slog.Logger) (collect.Vendor, error) {
	base, err := baseURL(c.url())
	if err != nil || !IsName(organization) {
		return nil, fmt.Errorf("opening the API of source %s: its api.url or its organisation is not valid", source)
	}
	v := &vendor{
		name: source, org: strings.ToLower(organization), caller: newCaller(base), log: log.With("source", source),
	}
	if c.App != nil {
		v.app, err = c.App.open(base, v.org)
		v.credential = v.app
	} else {
		v.credential, err = openTokenFile(c.TokenFile)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the API of source %s: %w", source, err)
	}
	return v, nil
}

// baseURL is a base as go-github wants it: with a slash at its end.
func baseURL(text string) (*url.URL, error) {
	if err := outbound.CheckURL(text, outbound.URLRules{}); err != nil {
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
func (v *vendor) own(text string) (Ref, error) {
	r, err := parseRef(text)
	if err != nil || !r.In(v.org) {
		return Ref{}, fmt.Errorf("%w: the alert is not of the configured organisation", collect.ErrRefused)
	}
	return r, nil
}

// path is where the API has an alert.
func (r Ref) path() string {
	return "repos/" + r.owner + "/" + r.repo + "/secret-scanning/alerts/" + strconv.FormatInt(r.number, 10)
}
