// Package gitlabhooks looks after the hooks at GitLab that deliver to one source: it finds them, reports on them, tests one
// that GitLab has switched off, and has failed deliveries sent again.
package gitlabhooks

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	gl "github.com/xanzy/go-gitlab"

	"stanch/receiver/collect"
	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/leak"
)

// maxProjects is how many projects we search for hooks. Each costs a call at every sweep.
const maxProjects = 500

// Hooks are the hooks that deliver to one source: the group's own, or those of its projects. It is safe for concurrent use.
type Hooks struct {
	client *gitlabclient.Client
	source string // its configured name
	group  string
	log    *slog.Logger
	resent *resent
}

// New returns the hooks of a source, which is for one group.
func New(client *gitlabclient.Client, source, group string, log *slog.Logger) *Hooks {
	return &Hooks{client, source, group, log, newResent()}
}

// feed is one hook that delivers to our source.
type feed struct {
	name  string // for people
	path  string // of the hook in the API
	setup setup
	// test has the hook tested with an event.
	test func(to *gitlabclient.API, event string, options ...gl.RequestOptionFunc) error
}

// setup is how a hook is set up at GitLab, and how it does. go-gitlab's structs have neither vulnerability_events nor
// disabled_until, and cannot tell SSL verification that is off from an answer that does not mention it.
type setup struct {
	ID              int64     `json:"id"`
	URL             string    `json:"url"`
	Status          string    `json:"alert_status"` // empty: the version does not say
	DisabledUntil   time.Time `json:"disabled_until"`
	Vulnerabilities bool      `json:"vulnerability_events"`
	Jobs            bool      `json:"job_events"`
	Verifies        *bool     `json:"enable_ssl_verification"` // nil: it does not say
}

// isOff reports whether GitLab has switched the hook off.
func (s setup) isOff() bool { return s.Status == "disabled" || s.Status == "temporarily_disabled" }

// isOurs reports whether a hook delivers to this source: its URL ends with the source's path.
func (h *Hooks) isOurs(s setup) bool {
	u, err := url.Parse(s.URL)
	return err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/hooks/"+h.source)
}

// feeds finds the hooks that deliver to this source. If one of the group does, those of projects report nothing else. If we may
// not see the group's hooks, that matters only when no project has one.
func (h *Hooks) feeds(ctx context.Context) ([]feed, error) {
	found, err := h.groupFeeds(ctx)
	if err != nil && !gitlabclient.IsAbsent(err) || len(found) > 0 {
		return found, err
	}
	more, problem := h.projectFeeds(ctx)
	switch {
	case problem != nil || len(more) > 0:
		return more, problem
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("looking for the hook: %w: none that our token may see delivers to a URL that ends with /hooks/%s",
		collect.ErrRefused, h.source)
}

// groupFeeds finds hooks of the group.
func (h *Hooks) groupFeeds(ctx context.Context) ([]feed, error) {
	return h.feedsOf(ctx, "groups/"+url.PathEscape(h.group), func(s setup) feed {
		return feed{name: "the group's hook", test: func(to *gitlabclient.API, event string, options ...gl.RequestOptionFunc) error {
			_, err := to.Groups.TriggerTestGroupHook(h.group, int(s.ID), gl.GroupHookTrigger(event), options...)
			return err
		}}
	})
}

// projectFeeds finds hooks of the projects of the group and its subgroups.
func (h *Hooks) projectFeeds(ctx context.Context) ([]feed, error) {
	var found []feed
	searched := 0
	for page, err := range h.projects().Pages(ctx, h.client) {
		if err != nil {
			return found, err
		}
		for _, project := range page {
			if searched++; searched > maxProjects {
				h.log.WarnContext(ctx, "the group has more projects than are searched for hooks: give the group a hook", "most", maxProjects)
				return found, nil
			}
			more, err := h.projectFeed(ctx, project)
			if err != nil && !gitlabclient.IsAbsent(err) {
				return found, err
			}
			found = append(found, more...)
		}
	}
	return found, nil
}

func (h *Hooks) projects() gitlabclient.List[*gl.Project] {
	return gitlabclient.List[*gl.Project]{
		Call: gitlabclient.Call{Doing: "listing the projects of the group", Means: gitlabclient.NotGone},
		Page: func(to *gitlabclient.API, number int, options ...gl.RequestOptionFunc) ([]*gl.Project, error) {
			page, _, err := to.Groups.ListGroupProjects(h.group, &gl.ListGroupProjectsOptions{
				ListOptions:      gl.ListOptions{Page: number, PerPage: gitlabclient.PerPage},
				IncludeSubGroups: gl.Ptr(true), Simple: gl.Ptr(true), Archived: gl.Ptr(false),
			}, options...)
			return page, err
		},
	}
}

// projectFeed finds hooks of one project.
func (h *Hooks) projectFeed(ctx context.Context, project *gl.Project) ([]feed, error) {
	if project == nil { // an entry that is null
		return nil, nil
	}
	return h.feedsOf(ctx, "projects/"+strconv.Itoa(project.ID), func(s setup) feed {
		return feed{name: "a project's hook", test: func(to *gitlabclient.API, event string, options ...gl.RequestOptionFunc) error {
			_, err := to.Projects.TriggerTestProjectHook(project.ID, int(s.ID), gl.ProjectHookEvent(event), options...)
			return err
		}}
	})
}

// feedsOf finds the hooks of a group or a project that deliver to this source.
func (h *Hooks) feedsOf(ctx context.Context, owner string, make func(setup) feed) ([]feed, error) {
	list := gitlabclient.List[setup]{
		Call: gitlabclient.Call{
			Doing: "listing hooks", Means: gitlabclient.NotGone,
			Hints: map[int]string{
				http.StatusForbidden: "our token may not see them; those of the group need the role Owner",
				http.StatusNotFound:  "our token may not see them; those of the group need GitLab Premium and the role Owner",
			},
		},
		Page: gitlabclient.RawPage[setup](owner+"/hooks", nil), // see setup
	}
	var found []feed
	for page, err := range list.Pages(ctx, h.client) {
		if err != nil {
			return found, err
		}
		for _, s := range page {
			if h.isOurs(s) {
				f := make(s)
				f.setup, f.path = s, owner+"/hooks/"+strconv.FormatInt(s.ID, 10)
				found = append(found, f)
			}
		}
	}
	return found, nil
}

// Examine reports on the hooks that deliver to this source and on their deliveries. If we may see none, the sweep still finds
// missed leaks. It changes nothing.
func (h *Hooks) Examine(ctx context.Context, found *leak.Findings) {
	feeds, err := h.feeds(ctx)
	if err != nil {
		found.Doubt("hook", "%v; failed deliveries are not asked for again, and leaks are found by the sweep only", err)
		return
	}
	for _, f := range feeds {
		f.examine(found)
		h.examineDeliveries(ctx, f, found)
	}
}

// examine reports whether a hook is set up as we need it, and whether it is on.
func (f feed) examine(found *leak.Findings) {
	const check = "hook"
	s := f.setup
	switch {
	case s.isOff():
		found.Broken(check, "%s", f.silence())
	case s.Vulnerabilities:
		found.Good(check, "%s is on and reports vulnerabilities", f.name)
	case s.Jobs:
		found.Doubt(check, "%s reports jobs only: let it send vulnerability events, which GitLab has since 17.7", f.name)
	default:
		found.Broken(check, "%s sends neither vulnerability events nor job events: new leaks are not reported", f.name)
	}
	if s.Verifies != nil && !*s.Verifies {
		found.Doubt("hook certificates", "%s delivers to whoever answers: its SSL verification is turned off", f.name)
	}
}

// silence says that a hook is off, and what to do.
func (f feed) silence() string {
	until := "until a test of it succeeds"
	if at := f.setup.DisabledUntil; f.setup.Status != "disabled" && !at.IsZero() {
		until = "until " + at.UTC().Format(time.DateTime) + " UTC, or a test of it succeeds"
	}
	return f.name + " is switched off because deliveries failed, " + until + "; look at its events at GitLab"
}

// examineDeliveries reports how many of the latest deliveries failed.
func (h *Hooks) examineDeliveries(ctx context.Context, f feed, found *leak.Findings) {
	const check = "deliveries"
	page, err := f.deliveries("").First(ctx, h.client)
	if err != nil {
		found.Doubt(check, "%v", err)
		return
	}
	failed := 0
	for _, d := range page {
		if !isSuccess(d.Status) {
			failed++
		}
	}
	collect.ExamineDeliveries(found, f.name, failed, len(page), "test it")
}
