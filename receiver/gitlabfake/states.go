package gitlabfake

import (
	"cmp"
	"net/http"
	"slices"
)

// listVulnerabilities lists those of a project, the most severe first. There is no filter, whatever the query says.
func (c *call) listVulnerabilities() *answer {
	found := c.fake.chosen(filter{projects: []*project{c.project}, sort: "severity_desc"})
	size := min(positive(c.request.URL.Query(), "per_page", 20), 100)
	shown := []object{}
	for _, v := range byNumber(c, found, size) {
		shown = append(shown, c.show(v))
	}
	return ok(shown)
}

func (c *call) getVulnerability() *answer {
	c.project = c.vulnerability.project
	return ok(c.show(c.vulnerability))
}

// change makes the handler of POST .../confirm, resolve, dismiss and revert, which answers 304 when the state is that.
func change(state State) func(*call) *answer {
	return func(c *call) *answer {
		var said struct{ Comment string }
		if no := c.read(&said); no != nil {
			return no
		}
		v := c.vulnerability
		if v.State == state {
			return &answer{Status: http.StatusNotModified}
		}
		if c.fake.Switches().NoComment {
			said.Comment = ""
		}
		c.project = v.project
		c.enter(v, state, said.Comment)
		return created(c.show(v))
	}
}

// enter changes the state as the caller, and as part of the chain that the request belongs to.
func (c *call) enter(v *vulnerability, state State, comment string) {
	c.event.Changed = true
	c.fake.change(v, state, c.token.Login, comment, c.event.Cause)
}

// filter is what a listing of vulnerabilities is about; nil slices: any.
type filter struct {
	projects   []*project
	reports    []string
	states     []State
	severities []string
	sort       string // severity or detected, with _asc or _desc
	key        string // of what a listing of these finds; empty: it is not kept
}

// severities, the worst first.
var severities = []string{"critical", "high", "unknown", "medium", "low", "info"}

// chosen returns what a filter lets through, in its order. With a key it is kept until something changes, so that paging
// through a hundred thousand vulnerabilities does not sort them for every page.
func (f *Fake) chosen(by filter) []*vulnerability {
	if kept, ok := f.lists[by.key]; ok && by.key != "" {
		return kept
	}
	var found []*vulnerability
	for _, v := range f.vulnerabilities {
		if by.admits(v) {
			found = append(found, v)
		}
	}
	slices.SortFunc(found, by.compare)
	if by.key != "" {
		f.lists[by.key] = found
	}
	return found
}

func (by filter) admits(v *vulnerability) bool {
	return slices.Contains(by.projects, v.project) &&
		(by.reports == nil || slices.Contains(by.reports, v.ReportType)) &&
		(by.states == nil || slices.Contains(by.states, v.State)) &&
		(by.severities == nil || slices.Contains(by.severities, v.Severity))
}

// compare orders vulnerabilities; those that are equal go by id, in the same direction.
func (by filter) compare(a, b *vulnerability) int {
	rising := cmp.Or(cmp.Compare(by.rank(a), by.rank(b)), cmp.Compare(a.ID, b.ID))
	if by.sort == "severity_asc" || by.sort == "detected_asc" {
		return rising
	}
	return -rising
}

// rank is what a listing is sorted by, before the id.
func (by filter) rank(v *vulnerability) int64 {
	if by.sort == "detected_asc" || by.sort == "detected_desc" {
		return v.CreatedAt.UnixMilli()
	}
	return -int64(slices.Index(severities, v.Severity))
}
