package githubapi

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

func (h hookSetup) id() string { return strconv.FormatInt(h.ID, 10) }

// hookConfig is where and how a hook delivers. In go-github's struct insecure_ssl is a string; GitHub documents that it may be a
// number, and one hook with a number would make the whole list unreadable.
type hookConfig struct {
	URL         string          `json:"url"`
	ContentType string          `json:"content_type"`
	InsecureSSL json.RawMessage `json:"insecure_ssl"` // "0" or 0: certificates are checked
	Secret      secretText      `json:"secret"`       // asterisks, if there is one
}

// isOurs reports whether a hook delivers to this source: its URL ends with the source's path.
func (v *vendor) isOurs(h hookConfig) bool {
	u, err := url.Parse(h.URL)
	return err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/hooks/"+v.source)
}

// feeds finds the hooks that deliver to this source. If we may not see the organisation's hooks, that matters only when
// nothing else delivers.
func (v *vendor) feeds(ctx context.Context) ([]feed, error) {
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
			collect.ErrRefused, v.source)
	}
	return found, nil
}

// orgFeeds finds hooks of the organisation.
func (v *vendor) orgFeeds(ctx context.Context) ([]feed, error) {
	list := githubclient.List[hookSetup]{
		Call: githubclient.Call{
			Doing: "listing the organisation's hooks", Needs: githubclient.OrgHooks, Means: notGone,
			Hints: map[int]string{
				http.StatusNotFound:  "our token may not see the hooks; a classic one needs the scope admin:org_hook",
				http.StatusForbidden: "our token may not see the hooks; it needs the permission organization_hooks: write",
			},
		},
		Do:   v.client.Do,
		Page: githubclient.RawPage[hookSetup]("orgs/"+v.org+"/hooks", url.Values{}), // see hookConfig
		ID:   hookSetup.id,
	}
	var found []feed
	for page, err := range list.Pages(ctx) {
		if err != nil {
			return found, err
		}
		for _, h := range page {
			if v.isOurs(h.Config) {
				found = append(found, v.orgFeed(h))
			}
		}
	}
	return found, nil
}

func (v *vendor) orgFeed(h hookSetup) feed {
	return feed{
		name: "the organisation's hook", setup: h, do: v.client.Do,
		list: func(ctx context.Context, to *gh.Client, from githubclient.Position) ([]*gh.HookDelivery, *gh.Response, error) {
			return to.Organizations.ListHookDeliveries(ctx, v.org, h.ID, from.Options())
		},
		resend: func(ctx context.Context, to *gh.Client, id int64) (*gh.Response, error) {
			_, response, err := to.Organizations.RedeliverHookDelivery(ctx, v.org, h.ID, id)
			return response, err
		},
	}
}

// appFeed finds the App's own hook. An App without one answers 404.
func (v *vendor) appFeed(ctx context.Context) ([]feed, error) {
	if !v.client.IsApp() {
		return nil, nil
	}
	f := feed{
		name: "the App's hook", setup: hookSetup{Active: true}, do: v.client.DoAsApp,
		list: func(ctx context.Context, to *gh.Client, from githubclient.Position) ([]*gh.HookDelivery, *gh.Response, error) {
			return to.Apps.ListHookDeliveries(ctx, from.Options())
		},
		resend: func(ctx context.Context, to *gh.Client, id int64) (*gh.Response, error) {
			_, response, err := to.Apps.RedeliverHookDelivery(ctx, id)
			return response, err
		},
	}
	_, err := v.client.DoAsApp(ctx, githubclient.Call{
		Doing: "reading the App's hook",
		Send:  githubclient.Raw(http.MethodGet, "app/hook/config", nil, nil, &f.setup.Config), // see hookConfig
	})
	if errors.Is(err, collect.ErrGone) || err == nil && !v.isOurs(f.setup.Config) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	app, _, err := v.askApp(ctx, "reading the App")
	if err != nil {
		return nil, err
	}
	f.setup.Events = app.Events
	return []feed{f}, nil
}

// examine reports whether a hook is set up as we need it.
func (f feed) examine(found *leak.Findings) {
	const check = "hook"
	s := f.setup
	switch {
	case !s.Active:
		found.Broken(check, "%s is turned off: nothing is delivered", f.name)
	case s.Config.Secret.Empty():
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

func (h hookSetup) hears(event string) bool {
	return slices.Contains(h.Events, event) || slices.Contains(h.Events, "*")
}
