package githubfake

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// filters are the query parameters of a listing that choose alerts, with their values where they are a closed set.
var filters = map[string][]string{
	"state":              {"open", "resolved"},
	"validity":           nil,
	"resolution":         nil,
	"secret_type":        nil,
	"is_publicly_leaked": {"true", "false"},
	"is_multi_repo":      {"true", "false"},
	"assignee":           nil,
	"sort":               {"created", "updated"},
	"direction":          {"asc", "desc"},
}

// listAlerts lists the alerts of an organisation or a repository, from newest to oldest unless asked otherwise.
func (c *call) listAlerts() *answer {
	query := c.request.URL.Query()
	for name, allowed := range filters {
		if value := query.Get(name); value != "" && allowed != nil && !slices.Contains(allowed, value) {
			return invalid(name)
		}
	}
	if c.repo != nil && c.repo.NoScanning {
		return notFound()
	}
	part, no := c.pageOfAlerts(c.chosen(query), query)
	if no != nil {
		return no
	}
	shown := make([]object, 0, len(part))
	for _, a := range part {
		o := c.reveal(c.fake.show(a), a)
		if c.org != nil {
			o["repository"] = a.repo.show()
		}
		shown = append(shown, o)
	}
	return ok(shown)
}

// chosen returns what a listing is about, in its order. It is kept until something changes, so that paging through a
// hundred thousand alerts does not sort them for every page.
func (c *call) chosen(query url.Values) []*alert {
	choice := url.Values{}
	for name := range filters {
		choice.Set(name, query.Get(name))
	}
	key := fmt.Sprintf("%s\n%p\n%s", c.event.Target, c.token, choice.Encode())
	if kept, ok := c.fake.lists[key]; ok {
		return kept
	}
	var found []*alert
	for _, r := range c.listed() {
		for _, a := range r.alerts {
			if a.matches(query) {
				found = append(found, a)
			}
		}
	}
	slices.SortFunc(found, func(a, b *alert) int { return positionOf(b, query).placed(a, query) })
	c.fake.lists[key] = found
	return found
}

// listed returns the repositories that a listing is about and its caller sees.
func (c *call) listed() []*repo {
	if c.repo != nil {
		return []*repo{c.repo}
	}
	var found []*repo
	for _, r := range c.fake.repos {
		if r.owner == c.org && c.token.sees(r) && !r.NoScanning {
			found = append(found, r)
		}
	}
	return found
}

// matches reports whether an alert has every value that a query asks for.
func (a *alert) matches(query url.Values) bool {
	for name, value := range map[string]string{
		"state": a.State, "validity": a.Validity, "resolution": a.Resolution, "secret_type": a.SecretType,
		"is_publicly_leaked": fmt.Sprint(a.PubliclyLeaked), "is_multi_repo": fmt.Sprint(a.MultiRepo),
		"assignee": a.AssignedTo,
	} {
		if wanted := query.Get(name); wanted != "" && !slices.Contains(strings.Split(wanted, ","), value) {
			return false
		}
	}
	return !a.Generic || query.Get("secret_type") != ""
}
