// Package githubhooks looks after the hooks at GitHub that deliver to one source: it finds them, reports on them, and has failed
// deliveries sent again.
package githubhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubclient"
	"stanch/receiver/leak"
)

// The events that a hook must be subscribed to, as GitHub's documentation of webhooks names them.
const (
	AlertEvent    = "secret_scanning_alert"
	LocationEvent = "secret_scanning_alert_location"
)

// Hooks are the hooks that deliver to one source: the organisation's, and that of the App that we are. It is safe for concurrent
// use.
type Hooks struct {
	client *githubclient.Client
	source string // its configured name
	org    string
}

// New returns the hooks of a source, which is for one organisation.
func New(client *githubclient.Client, source, organization string) *Hooks {
	return &Hooks{client, source, organization}
}

// feed is a hook at GitHub that delivers to our source: one of the organisation, or that of the App that we are.
type feed struct {
	name  string // for people
	setup hookSetup
	// do makes the calls: Client.Do or Client.DoAsApp.
	do func(context.Context, githubclient.Call) (*gh.Response, error)
	// list fetches a page of the deliveries, newest first.
	list githubclient.Page[*gh.HookDelivery]
	// resend has a delivery sent again.
	resend func(ctx context.Context, to *gh.Client, id int64) (*gh.Response, error)
}

// hookSetup is how a hook is set up at GitHub.
type hookSetup struct {
	ID     int64      `json:"id"`
	Active bool       `json:"active"`
	Events []string   `json:"events"`
	Config hookConfig `json:"config"`
}

func (s hookSetup) id() string { return strconv.FormatInt(s.ID, 10) }

// hookConfig is where and how a hook delivers. In go-github's struct insecure_ssl is a string; GitHub documents that it may be a
// number, and one hook with a number would make the whole list unreadable.
type hookConfig struct {
	URL         string          `json:"url"`
	ContentType string          `json:"content_type"`
	InsecureSSL json.RawMessage `json:"insecure_ssl"` // "0" or 0: certificates are checked
	Secret      present         `json:"secret"`       // asterisks, if there is one
}

// present is whether a text is there.
type present bool

// UnmarshalJSON keeps nothing of the text.
func (p *present) UnmarshalJSON(data []byte) error {
	var text string
	err := json.Unmarshal(data, &text)
	*p = text != ""
	return err
}

// isOurs reports whether a hook delivers to this source: its URL ends with the source's path.
func (h *Hooks) isOurs(c hookConfig) bool {
	u, err := url.Parse(c.URL)
	return err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/hooks/"+h.source)
}

// feeds finds the hooks that deliver to this source. If we may not see the organisation's hooks, that matters only when
// nothing else delivers.
func (h *Hooks) feeds(ctx context.Context) ([]feed, error) {
	found, err := h.appFeed(ctx)
	if err != nil {
		return nil, err
	}
	more, err := h.orgFeeds(ctx)
	found = append(found, more...)
	if err != nil && (len(found) == 0 || !errors.Is(err, collect.ErrRefused)) {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("looking for the hook: %w: no hook delivers to a URL that ends with /hooks/%s",
			collect.ErrRefused, h.source)
	}
	return found, nil
}

// orgFeeds finds hooks of the organisation.
func (h *Hooks) orgFeeds(ctx context.Context) ([]feed, error) {
	list := githubclient.List[hookSetup]{
		Call: githubclient.Call{
			Doing: "listing the organisation's hooks", Needs: githubclient.OrgHooks, Means: githubclient.NotGone,
			Hints: map[int]string{
				http.StatusNotFound:  "our token may not see the hooks; a classic one needs the scope admin:org_hook",
				http.StatusForbidden: "our token may not see the hooks; it needs the permission organization_hooks: write",
			},
		},
		Do:   h.client.Do,
		Page: githubclient.RawPage[hookSetup]("orgs/"+h.org+"/hooks", url.Values{}), // see hookConfig
		ID:   hookSetup.id,
	}
	var found []feed
	for page, err := range list.Pages(ctx) {
		if err != nil {
			return found, err
		}
		for _, s := range page {
			if h.isOurs(s.Config) {
				found = append(found, h.orgFeed(s))
			}
		}
	}
	return found, nil
}

func (h *Hooks) orgFeed(s hookSetup) feed {
	return feed{
		name: "the organisation's hook", setup: s, do: h.client.Do,
		list: func(ctx context.Context, to *gh.Client, from githubclient.Position) ([]*gh.HookDelivery, *gh.Response, error) {
			return to.Organizations.ListHookDeliveries(ctx, h.org, s.ID, from.Options())
		},
		resend: func(ctx context.Context, to *gh.Client, id int64) (*gh.Response, error) {
			_, response, err := to.Organizations.RedeliverHookDelivery(ctx, h.org, s.ID, id)
			return response, err
		},
	}
}

// appFeed finds the App's own hook. An App without one answers 404.
func (h *Hooks) appFeed(ctx context.Context) ([]feed, error) {
	if !h.client.IsApp() {
		return nil, nil
	}
	f := feed{
		name: "the App's hook", setup: hookSetup{Active: true}, do: h.client.DoAsApp,
		list: func(ctx context.Context, to *gh.Client, from githubclient.Position) ([]*gh.HookDelivery, *gh.Response, error) {
			return to.Apps.ListHookDeliveries(ctx, from.Options())
		},
		resend: func(ctx context.Context, to *gh.Client, id int64) (*gh.Response, error) {
			_, response, err := to.Apps.RedeliverHookDelivery(ctx, id)
			return response, err
		},
	}
	_, err := h.client.DoAsApp(ctx, githubclient.Call{
		Doing: "reading the App's hook",
		Send:  githubclient.Raw(http.MethodGet, "app/hook/config", nil, nil, &f.setup.Config), // see hookConfig
	})
	if errors.Is(err, collect.ErrGone) || err == nil && !h.isOurs(f.setup.Config) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	app, _, err := h.client.App(ctx, "reading the App")
	if err != nil {
		return nil, err
	}
	f.setup.Events = app.Events
	return []feed{f}, nil
}

// Examine reports on the hooks that deliver to this source and on their deliveries. If we may see none, the sweep still finds
// missed alerts. It changes nothing.
func (h *Hooks) Examine(ctx context.Context, found *leak.Findings) {
	feeds, err := h.feeds(ctx)
	if err != nil {
		found.Doubt("hook", "%v; failed deliveries are not asked for again, and missed alerts are found by the sweep only", err)
		return
	}
	for _, f := range feeds {
		f.examine(found)
		f.examineDeliveries(ctx, found)
	}
}

// examine reports whether a hook is set up as we need it.
func (f feed) examine(found *leak.Findings) {
	const check = "hook"
	s := f.setup
	switch {
	case !s.Active:
		found.Broken(check, "%s is turned off: nothing is delivered", f.name)
	case !bool(s.Config.Secret):
		found.Broken(check, "%s has no secret: its deliveries are refused", f.name)
	case !s.hears(AlertEvent):
		found.Broken(check, "%s is not subscribed to %s: new leaks are not reported", f.name, AlertEvent)
	case !s.hears(LocationEvent):
		found.Doubt(check, "%s is not subscribed to %s: new places of a known leak are not reported", f.name, LocationEvent)
	default:
		found.Good(check, "%s is turned on, has a secret and reports alerts and their places", f.name)
	}
	if insecure := strings.Trim(string(s.Config.InsecureSSL), `"`); insecure != "" && insecure != "0" && insecure != "null" {
		found.Doubt("hook certificates", "%s delivers to whoever answers: its SSL verification is turned off", f.name)
	}
	switch s.Config.ContentType {
	case "json":
		found.Good("hook content type", "%s sends JSON", f.name)
	default:
		found.Good("hook content type", "%s sends forms, which are accepted as well", f.name)
	}
}

func (s hookSetup) hears(event string) bool {
	return slices.Contains(s.Events, event) || slices.Contains(s.Events, "*")
}
