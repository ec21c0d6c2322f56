package gitlabapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
)

// maxProjects is how many projects are looked at for hooks. Each costs a request at every sweep.
const maxProjects = 500

// hookFeed is a hook at GitLab that delivers to our source: the group's, or that of one of its projects.
type hookFeed struct {
	what     string // for people
	path     string // of the hook in the API
	settings hookSettings
}

// hookSettings is how a hook is set up at GitLab, and how it does.
type hookSettings struct {
	ID              int64     `json:"id"`
	URL             string    `json:"url"`
	Status          string    `json:"alert_status"` // empty: the version does not say
	DisabledUntil   time.Time `json:"disabled_until"`
	Vulnerabilities bool      `json:"vulnerability_events"`
	Jobs            bool      `json:"job_events"`
	Verifies        *bool     `json:"enable_ssl_verification"` // nil: it does not say
}

// off reports whether GitLab has switched the hook off.
func (h hookSettings) off() bool { return h.Status == "disabled" || h.Status == "temporarily_disabled" }

// member is a project of the group.
type member struct {
	ID int64 `json:"id"`
}

// ours reports whether a hook delivers to this source: its URL ends with the source's path.
func (v *vendor) ours(h hookSettings) bool {
	u, err := url.Parse(h.URL)
	return err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/hooks/"+v.name)
}

// feeds finds the hooks that deliver to this source. Where one of the group does, those of projects tell of nothing else. That
// the group's hooks may not be seen matters only when no project has one.
func (v *vendor) feeds(ctx context.Context) ([]hookFeed, error) {
	found, err := v.hooksOf(ctx, "groups/"+url.PathEscape(v.group), "the group's hook")
	if unlessAbsent(err) != nil || len(found) > 0 {
		return found, err
	}
	more, problem := v.projectFeeds(ctx)
	switch {
	case problem != nil || len(more) > 0:
		return more, problem
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("looking for the hook: %w: none that our token may see delivers to a URL that ends with /hooks/%s",
		collect.ErrRefused, v.name)
}

// projectFeeds finds hooks of the projects of the group and its subgroups.
func (v *vendor) projectFeeds(ctx context.Context) ([]hookFeed, error) {
	var found []hookFeed
	looked := 0
	for page, err := range pages[member](ctx, v, request{
		doing: "listing the projects of the group", method: http.MethodGet, means: notListed,
		path:  "groups/" + url.PathEscape(v.group) + "/projects",
		query: url.Values{"include_subgroups": {"true"}, "simple": {"true"}, "archived": {"false"}, "per_page": {perPage}},
	}) {
		if err != nil {
			return found, err
		}
		for _, m := range page {
			if looked++; looked > maxProjects {
				v.log.WarnContext(ctx, "the group has more projects than are looked at for hooks: let the group have a hook", "most", maxProjects)
				return found, nil
			}
			more, err := v.hooksOf(ctx, "projects/"+strconv.FormatInt(m.ID, 10), "a project's hook")
			if unlessAbsent(err) != nil {
				return found, err
			}
			found = append(found, more...)
		}
	}
	return found, nil
}

// hooksOf finds the hooks of a group or a project that deliver to this source.
func (v *vendor) hooksOf(ctx context.Context, owner, what string) ([]hookFeed, error) {
	var found []hookFeed
	for page, err := range pages[hookSettings](ctx, v, request{
		doing: "listing hooks", method: http.MethodGet, path: owner + "/hooks", means: notListed,
		query: url.Values{"per_page": {perPage}},
		hints: map[int]string{
			http.StatusForbidden: "our token may not see them; those of the group need the role Owner",
			http.StatusNotFound:  "our token may not see them; those of the group need GitLab Premium and the role Owner",
		},
	}) {
		if err != nil {
			return found, err
		}
		for _, h := range page {
			if v.ours(h) {
				found = append(found, hookFeed{what, owner + "/hooks/" + strconv.FormatInt(h.ID, 10), h})
			}
		}
	}
	return found, nil
}

// examine says whether a hook is set up as we need it, and whether it is on.
func (h hookFeed) examine(found *leak.Findings) {
	const check = "hook"
	s := h.settings
	switch {
	case s.off():
		found.Broken(check, "%s", h.silence())
	case s.Vulnerabilities:
		found.Good(check, "%s is on and tells of vulnerabilities", h.what)
	case s.Jobs:
		found.Doubt(check, "%s tells of jobs only: let it send vulnerability events, which GitLab has since 17.7", h.what)
	default:
		found.Broken(check, "%s sends neither vulnerability events nor job events: no new leak is told", h.what)
	}
	if s.Verifies != nil && !*s.Verifies {
		found.Doubt("hook certificates", "%s delivers to whoever answers: its SSL verification is turned off", h.what)
	}
}

// silence says that a hook is off, and what to do.
func (h hookFeed) silence() string {
	until := "until a test of it succeeds"
	if at := h.settings.DisabledUntil; h.settings.Status != "disabled" && !at.IsZero() {
		until = "until " + at.UTC().Format(time.DateTime) + " UTC, or a test of it succeeds"
	}
	return h.what + " is switched off because deliveries failed, " + until + "; look at its events at GitLab"
}
