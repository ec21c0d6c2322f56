package githubapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
)

// hookFeed is a hook at GitHub that delivers to our source: the organisation's, or that of the App that we are.
type hookFeed struct {
	what     string // for people
	path     string // of the hook in the API
	ask      func(context.Context, request) (*gh.Response, error)
	settings hookSettings
}

// hookSettings is how a hook is set up at GitHub.
type hookSettings struct {
	ID     int64        `json:"id"`
	Active bool         `json:"active"`
	Events []string     `json:"events"`
	Config hookDelivers `json:"config"`
}

// hookDelivers is where and how a hook delivers.
type hookDelivers struct {
	URL         string          `json:"url"`
	ContentType string          `json:"content_type"`
	InsecureSSL json.RawMessage `json:"insecure_ssl"` // "0" or 0: certificates are checked
	Secret      secretText      `json:"secret"`       // stars, when there is one
}

func (h hookSettings) id() string { return strconv.FormatInt(h.ID, 10) }

// ours reports whether a hook delivers to this source: its URL ends with the source's path.
func (v *vendor) ours(h hookDelivers) bool {
	u, err := url.Parse(h.URL)
	return err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/hooks/"+v.name)
}

// feeds finds the hooks that deliver to this source. That the organisation's hooks may not be seen matters only when
// nothing else delivers.
func (v *vendor) feeds(ctx context.Context) ([]hookFeed, error) {
	found, err := v.appFeed(ctx)
	if err != nil {
		return nil, err
	}
	more, err := v.orgFeeds(ctx)
	found = append(found, more...)
	if err != nil && (len(found) == 0 || !errors.Is(err, collect.ErrRefused)) {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("looking for the hook: %w: no hook delivers to a URL that ends with /hooks/%s",
			collect.ErrRefused, v.name)
	}
	return found, nil
}

// orgFeeds finds hooks of the organisation.
func (v *vendor) orgFeeds(ctx context.Context) ([]hookFeed, error) {
	path := "orgs/" + v.org + "/hooks"
	l := listing{ask: v.ask, request: request{
		doing: "listing the organisation's hooks", method: http.MethodGet, path: path, needs: hooksOfOrg,
		query: url.Values{"per_page": {perPage}}, means: notListed,
		hints: map[int]string{
			http.StatusNotFound:  "our token may not see the hooks; a classic one needs the scope admin:org_hook",
			http.StatusForbidden: "our token may not see the hooks; it needs the permission organization_hooks: write",
		},
	}}
	var found []hookFeed
	for page, err := range pages[hookSettings](ctx, l) {
		if err != nil {
			return found, err
		}
		for _, h := range page {
			if v.ours(h.Config) {
				found = append(found, hookFeed{"the organisation's hook", path + "/" + h.id(), v.ask, h})
			}
		}
	}
	return found, nil
}

// appFeed finds the App's own hook. An App without one answers 404.
func (v *vendor) appFeed(ctx context.Context) ([]hookFeed, error) {
	if v.app == nil {
		return nil, nil
	}
	feed := hookFeed{"the App's hook", "app/hook", v.app.ask, hookSettings{Active: true}}
	_, err := v.app.ask(ctx, request{
		doing: "reading the App's hook", method: http.MethodGet, path: "app/hook/config", into: &feed.settings.Config,
	})
	if errors.Is(err, collect.ErrGone) || err == nil && !v.ours(feed.settings.Config) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := request{doing: "reading the App", method: http.MethodGet, path: "app", into: &feed.settings}
	if _, err := v.app.ask(ctx, r); err != nil {
		return nil, err
	}
	return []hookFeed{feed}, nil
}

// examine says whether a hook is set up as we need it.
func (h hookFeed) examine(found *leak.Findings) {
	const check = "hook"
	s := h.settings
	switch {
	case !s.Active:
		found.Broken(check, "%s is turned off: nothing is delivered", h.what)
	case s.Config.Secret.Empty():
		found.Broken(check, "%s has no secret: its deliveries are refused", h.what)
	case !s.hears(AlertEvent):
		found.Broken(check, "%s is not subscribed to %s: no new leak is told", h.what, AlertEvent)
	case !s.hears(LocationEvent):
		found.Doubt(check, "%s is not subscribed to %s: new places of a known leak are not told", h.what, LocationEvent)
	default:
		found.Good(check, "%s is turned on, has a secret and tells of alerts and their places", h.what)
	}
	if insecure := strings.Trim(string(s.Config.InsecureSSL), `"`); insecure != "" && insecure != "0" && insecure != "null" {
		found.Doubt("hook certificates", "%s delivers to whoever answers: its SSL verification is turned off", h.what)
	}
	switch s.Config.ContentType {
	case "json":
		found.Good("hook content type", "%s sends JSON", h.what)
	default:
		found.Good("hook content type", "%s sends forms, which are taken as well", h.what)
	}
}

func (h hookSettings) hears(event string) bool {
	for _, e := range h.Events {
		if e == event || e == "*" {
			return true
		}
	}
	return false
}
