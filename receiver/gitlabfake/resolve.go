package gitlabfake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/gitlabfake/graphqlfake"
	"stanch/receiver/outbound/vendorfake"
)

type (
	resolver  = graphqlfake.Resolver[*call]
	execution = graphqlfake.Execution[*call]
	inputs    = graphqlfake.Inputs
)

// resolvers are those of every field of the schema, by type.
var resolvers = graphqlfake.Resolvers[*call]{
	"Query": {
		"currentUser":   func(e *execution, _ any, _ inputs) any { return e.Call.token.Login },
		"group":         queryGroup,
		"project":       queryProject,
		"vulnerability": queryVulnerability,
	},
	"Mutation": {
		"vulnerabilityConfirm":          mutation(Confirmed),
		"vulnerabilityResolve":          mutation(Resolved),
		"vulnerabilityDismiss":          mutation(Dismissed),
		"vulnerabilityRevertToDetected": mutation(Detected),
	},
	"CurrentUser": userFields,
	"UserCore":    userFields,
	"Group": {
		"id":              plain(func(g *group) any { return globalID("Group", g.id) }),
		"name":            plain(func(g *group) any { return name(g.path) }),
		"fullPath":        plain(func(g *group) any { return g.path }),
		"webUrl":          plain(func(g *group) any { return htmlURL + "/groups/" + g.path }),
		"vulnerabilities": groupVulnerabilities,
	},
	"Project": {
		"id":              plain(func(p *project) any { return globalID("Project", p.id) }),
		"name":            plain(func(p *project) any { return name(p.path) }),
		"path":            plain(func(p *project) any { return name(p.path) }),
		"fullPath":        plain(func(p *project) any { return p.path }),
		"webUrl":          plain(func(p *project) any { return p.url() }),
		"vulnerabilities": projectVulnerabilities,
	},
	"VulnerabilityConnection": {
		"nodes":    plain(func(c *connection) any { return c.nodes() }),
		"edges":    plain(func(c *connection) any { return c.edges() }),
		"pageInfo": plain(func(c *connection) any { return c }),
	},
	"VulnerabilityEdge": {
		"node":   plain(func(e edge) any { return e.v }),
		"cursor": plain(func(e edge) any { return e.cursor() }),
	},
	"PageInfo": {
		"hasNextPage":     plain(func(c *connection) any { return c.more }),
		"hasPreviousPage": plain(func(c *connection) any { return c.before }),
		"startCursor":     plain((*connection).startCursor),
		"endCursor":       plain((*connection).endCursor),
	},
	"VulnerabilityConfirmPayload":          payloadFields,
	"VulnerabilityResolvePayload":          payloadFields,
	"VulnerabilityDismissPayload":          payloadFields,
	"VulnerabilityRevertToDetectedPayload": payloadFields,
	"Vulnerability": {
		"id":                      plain(func(v *vulnerability) any { return globalID("Vulnerability", v.ID) }),
		"uuid":                    plain(func(v *vulnerability) any { return v.uuid }),
		"title":                   plain(func(v *vulnerability) any { return v.Title }),
		"description":             plain(func(v *vulnerability) any { return v.Title }),
		"state":                   plain(func(v *vulnerability) any { return strings.ToUpper(string(v.State)) }),
		"severity":                plain(func(v *vulnerability) any { return strings.ToUpper(v.Severity) }),
		"reportType":              plain(func(v *vulnerability) any { return strings.ToUpper(v.ReportType) }),
		"resolvedOnDefaultBranch": plain(func(v *vulnerability) any { return v.Gone }),
		"presentOnDefaultBranch":  plain(func(*vulnerability) any { return true }),
		"vulnerabilityPath":       plain(func(v *vulnerability) any { return v.path() }),
		"webUrl":                  plain(func(v *vulnerability) any { return v.url() }),
		"detectedAt":              plain(func(v *vulnerability) any { return instant(v.CreatedAt) }),
		"updatedAt":               plain(func(v *vulnerability) any { return instant(v.UpdatedAt) }),
		"confirmedAt":             plain(func(v *vulnerability) any { return instant(v.ConfirmedAt) }),
		"resolvedAt":              plain(func(v *vulnerability) any { return instant(v.ResolvedAt) }),
		"dismissedAt":             plain(func(v *vulnerability) any { return instant(v.DismissedAt) }),
		"stateComment":            plain(func(v *vulnerability) any { return vendorfake.Null(v.Comment) }),
		"confirmedBy":             plain(func(v *vulnerability) any { return v.who(v.ConfirmedAt) }),
		"resolvedBy":              plain(func(v *vulnerability) any { return v.who(v.ResolvedAt) }),
		"dismissedBy":             plain(func(v *vulnerability) any { return v.who(v.DismissedAt) }),
		"project":                 plain(func(v *vulnerability) any { return v.project }),
		"location":                plain(func(v *vulnerability) any { return v }),
		"scanner":                 plain(func(v *vulnerability) any { return v }),
		"primaryIdentifier":       plain(func(v *vulnerability) any { return v }),
		"identifiers":             plain(func(v *vulnerability) any { return []any{v} }),
		"initialDetectedPipeline": plain(func(v *vulnerability) any { return v }),
		"latestDetectedPipeline":  plain(func(v *vulnerability) any { return v }),
	},
	"VulnerabilityLocationSecretDetection": {
		"file":             plain(func(v *vulnerability) any { return v.File }),
		"startLine":        plain(func(v *vulnerability) any { return strconv.Itoa(v.Line) }),
		"endLine":          plain(func(v *vulnerability) any { return strconv.Itoa(v.Line) }),
		"blobPath":         plain(func(v *vulnerability) any { return v.blobPath() }),
		"vulnerableClass":  plain(func(*vulnerability) any { return nil }),
		"vulnerableMethod": plain(func(*vulnerability) any { return nil }),
	},
	"VulnerabilityScanner": {
		"externalId": plain(func(*vulnerability) any { return "gitleaks" }),
		"name":       plain(func(*vulnerability) any { return "Gitleaks" }),
	},
	"VulnerabilityIdentifier": {
		"externalType": plain(func(v *vulnerability) any { return v.identifier()["external_type"] }),
		"externalId":   plain(func(v *vulnerability) any { return v.identifier()["external_id"] }),
		"name":         plain(func(v *vulnerability) any { return v.identifier()["name"] }),
		"url":          plain(func(*vulnerability) any { return nil }),
	},
	"Pipeline": {
		"id":     plain(func(v *vulnerability) any { return globalID("Ci::Pipeline", v.pipeline) }),
		"sha":    plain(func(v *vulnerability) any { return v.Commit }),
		"commit": plain(func(v *vulnerability) any { return v }),
	},
	"Commit": {
		"sha": plain(func(v *vulnerability) any { return v.Commit }),
	},
}

var userFields = map[string]resolver{
	"id":       func(e *execution, of any, _ inputs) any { return globalID("User", e.Call.fake.user(of.(string))) },
	"username": plain(func(login string) any { return login }),
	"name":     plain(func(login string) any { return login }),
}

var payloadFields = map[string]resolver{
	"vulnerability":    plain(func(p payload) any { return p.shown() }),
	"errors":           plain(func(p payload) any { return p.errors }),
	"clientMutationId": plain(func(p payload) any { return p.client }),
}

// plain makes the resolver of a field that is read off a value.
func plain[T any](get func(T) any) resolver {
	return func(_ *execution, of any, _ inputs) any { return get(of.(T)) }
}

func queryGroup(e *execution, _ any, a inputs) any {
	g := e.Call.fake.groups[strings.ToLower(a.Text("fullPath"))]
	if g == nil || !e.Call.token.member(g) || !e.Call.token.may(read) {
		return nil
	}
	return g
}

func queryProject(e *execution, _ any, a inputs) any {
	p := e.Call.fake.projects[strings.ToLower(a.Text("fullPath"))]
	if p == nil || !e.Call.token.sees(p) || !e.Call.token.may(read) {
		return nil
	}
	return p
}

func queryVulnerability(e *execution, _ any, a inputs) any {
	v := e.Call.visible(a.Text("id"), reading(Developer))
	if v == nil {
		return nil
	}
	return v
}

// visible finds a vulnerability that the caller may see or change; nil: there is none.
func (c *call) visible(id string, needs permission) *vulnerability {
	number, _ := vulnerabilityID(id) // no vulnerability has the id 0
	v := c.fake.vulnerabilities[number]
	if v == nil || !c.token.sees(v.project) || !c.token.may(needs) {
		return nil
	}
	return v
}

func groupVulnerabilities(e *execution, of any, a inputs) any {
	projects := e.Call.fake.projectsOf(of.(*group), true)
	projects = slices.DeleteFunc(projects, func(p *project) bool { return !e.Call.token.sees(p) })
	return connect(e, projects, a)
}

func projectVulnerabilities(e *execution, of any, a inputs) any {
	return connect(e, []*project{of.(*project)}, a)
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

// connect lists vulnerabilities; null for a caller who may not see any.
func connect(e *execution, projects []*project, a inputs) any {
	if !e.Call.token.may(reading(Developer)) {
		return nil
	}
	by := filter{projects: projects, reports: a.Texts("reportType"), severities: a.Texts("severity"), sort: a.Text("sort")}
	for _, state := range a.Texts("state") {
		by.states = append(by.states, State(state))
	}
	by.key = fmt.Sprintf("%p %v %q %q %q %s", e.Call.token, projects, by.reports, by.states, by.severities, by.sort)
	all, from := e.Call.fake.chosen(by), 0
	if text := a.Text("after"); text != "" {
		at, ok := parseCursor(text)
		if !ok {
			e.Fault("Invalid cursor")
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
	if n := a.Number("first"); n > 0 {
		size = min(n, size)
	}
	to := min(from+size, len(all))
	return &connection{by, all[from:to], from > 0, to < len(all)}
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

// cursor is where a vulnerability stands in a listing: by what it is sorted, and its id. Only what
// changes while somebody pages moves in the listing.
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

// payload is the answer to a mutation.
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

// mutation makes the resolver that puts a vulnerability in a state. What is not there or not allowed is an error beside the
// data; what GitLab refuses otherwise is one in the payload.
func mutation(state State) resolver {
	return func(e *execution, _ any, a inputs) any { return mutate(e, state, a.Object("input")) }
}

func mutate(e *execution, state State, given inputs) any {
	v := e.Call.visible(given.Text("id"), writing(Maintainer))
	if v == nil {
		e.Fault(unauthorised)
		return nil
	}
	if v.State == state && e.Call.fake.Switches().Again == "refused" {
		return payload{v, []string{"Vulnerability is already " + string(state)}, given["clientMutationId"]}
	}
	e.Call.enter(v, state, given.Text("comment"))
	return payload{v, []string{}, given["clientMutationId"]}
}

// instant writes a time as GraphQL does, in whole seconds; null for the zero time.
func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// who is the user who changed the state at a time; null for the zero time.
func (v *vulnerability) who(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return v.By
}
