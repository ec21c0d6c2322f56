// Package gitlabapi is GitLab's API as the collector asks it about the secret detection of one group: it fetches, lists,
// resolves and opens vulnerabilities, and has failed deliveries sent again. It shows nobody our token but the configured
// instance, keeps every answer within bounds, and passes nothing of what a server says on in an error.
package gitlabapi

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"

	"stanch/receiver/collect"
	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

// vendor is GitLab's API as the collector asks it: collect.Vendor, collect.Redeliverer, collect.Selfaware and
// receiver.Examiner. It asks for what belongs to one group, at the base URL that was configured: never at one that an answer
// or a delivery names.
type vendor struct {
	name   string // of the source
	group  string
	base   *url.URL // of the instance; pages are shown with it
	caller *caller
	token  *secretfile.File
	log    *slog.Logger
	self   atomic.Int64 // our number, once GitLab has told it
	resent *resent
}

// Open makes the vendor that the collector of a source asks about one group; it is a collect.Redeliverer, a
// collect.Selfaware and a receiver.Examiner as well. It reads the file with our token, and asks nobody: GitLab may be down
// when stanch starts.
func Open(c Config, source, group string, log *slog.Logger) (collect.Vendor, error) {
	base, err := url.Parse(c.base())
	if err != nil || outbound.CheckURL(c.base(), outbound.URLRules{}) != nil || !IsPath(group) {
		return nil, fmt.Errorf("opening the API of source %s: its api.url or its group is not valid", source)
	}
	token, err := secretfile.Open(c.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("opening the API of source %s: reading api.token_file, which %w", source, err)
	}
	caller, err := newCaller(base)
	if err != nil {
		return nil, fmt.Errorf("opening the API of source %s: its api.url is not valid", source)
	}
	return &vendor{
		name: source, group: strings.ToLower(group), base: base, caller: caller, token: token,
		log: log.With("source", source), resent: newResent(),
	}, nil
}

// own reads a ref, and refuses one that is not of our group.
func (v *vendor) own(text string) (Ref, error) {
	r, err := ParseRef(text)
	if err != nil || !r.In(v.group) {
		return Ref{}, fmt.Errorf("%w: it is not of the configured group", collect.ErrRefused)
	}
	return r, nil
}

// ownClosable reads the ref of something that can be closed: a job cannot.
func (v *vendor) ownClosable(text string) (Ref, error) {
	r, err := v.own(text)
	if err == nil && r.subject != vulnerability {
		return Ref{}, fmt.Errorf("%w: a job is nothing that can be closed", collect.ErrRefused)
	}
	return r, err
}

// page is a page of the instance that people can open; fragment may be empty.
func (v *vendor) page(path, fragment string) string {
	page := *v.base
	page.Path, page.RawPath, page.Fragment = strings.TrimSuffix(page.Path, "/")+"/"+path, "", fragment
	return page.String()
}
