package gitlabfake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// vulnerabilityArguments are the arguments of a listing of vulnerabilities.
var vulnerabilityArguments = []string{"reportType", "state", "severity", "sort", "first", "after"}

// allowed are the values of the enums that a listing takes, as far as they are played.
var allowed = map[string][]string{
	"reportType": {
		"secret_detection", "sast", "dast", "dependency_scanning", "container_scanning", "coverage_fuzzing", "api_fuzzing",
		"cluster_image_scanning", "generic",
	},
	"state":    {"detected", "confirmed", "resolved", "dismissed"},
	"severity": severities,
	"sort":     {"severity_desc", "severity_asc", "detected_desc", "detected_asc"},
}

func queryGroup(e *execution, _ any, a inputs) any {
	g := e.call.fake.groups[strings.ToLower(a.text("fullPath"))]
	if g == nil || !e.call.token.member(g) || !e.call.token.may(read) {
		return nil
	}
	return g
}

func queryProject(e *execution, _ any, a inputs) any {
	p := e.call.fake.projects[strings.ToLower(a.text("fullPath"))]
	if p == nil || !e.call.token.sees(p) || !e.call.token.may(read) {
		return nil
	}
	return p
}

func queryVulnerability(e *execution, _ any, a inputs) any {
	v := e.vulnerability(a.text("id"), reading(Developer))
	if v == nil {
		return nil
	}
	return v
}

// vulnerability finds a vulnerability that the caller may see or change; nil: there is none.
func (e *execution) vulnerability(id string, needs permission) *vulnerability {
	number, _ := vulnerabilityID(id) // no vulnerability has the id 0
	v := e.call.fake.vulnerabilities[number]
	if v == nil || !e.call.token.sees(v.project) || !e.call.token.may(needs) {
		return nil
	}
	return v
}

func groupVulnerabilities(e *execution, of any, a inputs) any {
	projects := e.call.fake.projectsOf(of.(*group), true)
	projects = slices.DeleteFunc(projects, func(p *project) bool { return !e.call.token.sees(p) })
	return e.connect(projects, a)
}

func projectVulnerabilities(e *execution, of any, a inputs) any {
	return e.connect([]*project{of.(*project)}, a)
}

// connection is a page of vulnerabilities.
type connection struct {
	by           filter
	page         []*vulnerability
	before, more bool // whether there is something before it and after it
}

// edge is one of a page.
type edge struct {
	by filter
	v  *vulnerability
}

// connect lists vulnerabilities. To whom may not see any, there is no list.
func (e *execution) connect(projects []*project, a inputs) any {
	if !e.call.token.may(reading(Developer)) || !e.known(a) {
		return nil
	}
	by := filter{projects: projects, reports: a.texts("reportType"), severities: a.texts("severity"), sort: "severity_desc"}
	for _, state := range a.texts("state") {
		by.states = append(by.states, State(state))
	}
	if sort := a.texts("sort"); sort != nil {
		by.sort = sort[0]
	}
	by.key = fmt.Sprintf("%p %v %q %q %q %s", e.call.token, projects, by.reports, by.states, by.severities, by.sort)
	all, from := e.call.fake.chosen(by), 0
	if text := a.text("after"); text != "" {
		at, ok := parseCursor(text)
		if !ok {
			e.fault("Invalid cursor")
			return nil
		}
		from, _ = slices.BinarySearchFunc(all, at, func(v *vulnerability, at cursor) int {
			if by.compare(v, at.place()) <= 0 {
				return -1
			}
			return 1
		})
	}
	size := 100
	if n := a.number("first"); n > 0 {
		size = min(n, size)
	}
	to := min(from+size, len(all))
	return &connection{by, all[from:to], from > 0, to < len(all)}
}

// known reports whether the enums of a listing have values that there are, or adds an error.
func (e *execution) known(a inputs) bool {
	for name, values := range allowed {
		for _, value := range a.texts(name) {
			if !slices.Contains(values, value) {
				e.fault("Argument '%s' has an invalid value (%s).", name, strings.ToUpper(value))
				return false
			}
		}
	}
	return true
}

func (c *connection) nodes() []any {
	nodes := make([]any, len(c.page))
	for i, v := range c.page {
		nodes[i] = v
	}
	return nodes
}

func (c *connection) edges() []any {
	edges := make([]any, len(c.page))
	for i, v := range c.page {
		edges[i] = edge{c.by, v}
	}
	return edges
}

func (c *connection) startCursor() any {
	if len(c.page) == 0 {
		return nil
	}
	return edge{c.by, c.page[0]}.cursor()
}

func (c *connection) endCursor() any {
	if len(c.page) == 0 {
		return nil
	}
	return edge{c.by, c.page[len(c.page)-1]}.cursor()
}

// cursor is where a vulnerability stands in a listing: by what it is sorted, and its id. What changes while somebody pages
// moves in the listing, and nothing else does.
type cursor struct {
	Severity string `json:"severity"`
	Detected int64  `json:"detected"`
	ID       int64  `json:"vulnerability_id"`
}

func (e edge) cursor() string {
	data, _ := json.Marshal(cursor{e.v.Severity, e.v.CreatedAt.UnixMilli(), e.v.ID}) // plain values always marshal
	return base64.RawURLEncoding.EncodeToString(data)
}

func parseCursor(text string) (c cursor, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(text)
	return c, err == nil && json.Unmarshal(data, &c) == nil
}

// place is a vulnerability that stands where the cursor does.
func (c cursor) place() *vulnerability {
	return &vulnerability{Vulnerability: Vulnerability{
		ID: c.ID, Severity: c.Severity, CreatedAt: time.UnixMilli(c.Detected),
	}}
}

// payload is what a mutation answers.
type payload struct {
	v      *vulnerability
	errors []string
	client any
}

func (p payload) shown() any {
	if len(p.errors) > 0 {
		return nil
	}
	return p.v
}

// mutation makes the field that puts a vulnerability in a state. What is not there or not allowed is an error beside the
// data; what GitLab refuses otherwise is one in the payload.
func mutation(state State) field {
	return field{
		arguments: []string{"input"}, needs: []string{"input"}, of: "VulnerabilityPayload",
		get: func(e *execution, _ any, a inputs) any { return e.mutate(state, a.object("input")) },
	}
}

func (e *execution) mutate(state State, given inputs) any {
	v := e.vulnerability(given.text("id"), writing(Maintainer))
	if v == nil {
		e.fault(unauthorised)
		return nil
	}
	if v.State == state && e.call.fake.switches.Again == "refused" {
		return payload{v, []string{"Vulnerability is already " + string(state)}, given["clientMutationId"]}
	}
	e.call.enter(v, state, given.text("comment"))
	return payload{v, []string{}, given["clientMutationId"]}
}
