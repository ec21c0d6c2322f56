package githubfake

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strconv"
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

// perPage is how many things a page has: 30 unless asked otherwise, 100 at most.
func perPage(query url.Values) int {
	n, err := strconv.Atoi(query.Get("per_page"))
	if err != nil || n < 1 {
		return 30
	}
	return min(n, 100)
}

// pageOfAlerts cuts the page that a query asks for, by cursor where it may.
func (c *call) pageOfAlerts(all []*alert, query url.Values) ([]*alert, *answer) {
	asked := query.Has("after") || query.Has("before")
	if mode := c.fake.Switches().Cursors; mode != "never" && (asked || mode == "always" && !query.Has("page")) {
		return c.byCursor(all, query)
	}
	return byPage(c, all), nil
}

// byPage cuts a page by its number.
func byPage[T any](c *call, all []T) []T {
	query := c.request.URL.Query()
	size := perPage(query)
	page, _ := strconv.Atoi(query.Get("page")) // anything that is not a number is the first page
	page, last := max(page, 1), max((len(all)+size-1)/size, 1)
	if page > 1 {
		c.links.Add(c.request, "first", "page", "1")
		c.links.Add(c.request, "prev", "page", strconv.Itoa(min(page-1, last)))
	}
	if page < last {
		c.links.Add(c.request, "next", "page", strconv.Itoa(page+1))
		c.links.Add(c.request, "last", "page", strconv.Itoa(last))
	}
	from := min((page-1)*size, len(all))
	return all[from:min(from+size, len(all))]
}

// byCursor cuts what stands after or before a cursor; an empty one asks for the first page.
func (c *call) byCursor(all []*alert, query url.Values) ([]*alert, *answer) {
	size := perPage(query)
	var from int
	if text := query.Get("after"); text != "" {
		p, ok := parsePosition(text)
		if !ok {
			return nil, invalid("after")
		}
		from = sort.Search(len(all), func(i int) bool { return p.placed(all[i], query) > 0 })
	}
	to := min(from+size, len(all))
	if text := query.Get("before"); text != "" {
		p, ok := parsePosition(text)
		if !ok {
			return nil, invalid("before")
		}
		to = sort.Search(len(all), func(i int) bool { return p.placed(all[i], query) >= 0 })
		from = max(to-size, 0)
	}
	if from > 0 && from < to {
		c.links.Add(c.request, "prev", "before", positionOf(all[from], query).String())
	}
	if to < len(all) && from < to {
		c.links.Add(c.request, "next", "after", positionOf(all[to-1], query).String())
	}
	return all[from:to], nil
}

// position is where an alert stands in a listing: what it is sorted by, in whole seconds, and its id. A cursor is a
// position, so that only what changes while somebody pages moves in the listing.
type position struct {
	Second int64 `json:"s"`
	ID     int64 `json:"i"`
}

// positionOf returns where an alert stands, as a query sorts.
func positionOf(a *alert, query url.Values) position {
	if query.Get("sort") == "updated" {
		return position{a.UpdatedAt.Unix(), a.id}
	}
	return position{a.CreatedAt.Unix(), a.id}
}

// placed is below 0 when an alert comes before the position in the order of a query, above 0 when after it.
func (p position) placed(a *alert, query url.Values) int {
	q := positionOf(a, query)
	ascending := cmp.Or(cmp.Compare(q.Second, p.Second), cmp.Compare(q.ID, p.ID))
	if query.Get("direction") == "asc" {
		return ascending
	}
	return -ascending
}

// String is the position as a cursor.
func (p position) String() string {
	data, _ := json.Marshal(p) // two numbers always marshal
	return base64.RawURLEncoding.EncodeToString(data)
}

// parsePosition reads a cursor.
func parsePosition(text string) (p position, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(data, &p) != nil {
		return position{}, false
	}
	return p, true
}
