package gitlabfake

import (
	"net/http"
	"strconv"
	"strings"

	"stanch/receiver/outbound/vendorfake"
)

// Operation names what a call asks for, in the journal and in faults.
type Operation = vendorfake.Operation

// The operations of the REST API, and those of GraphQL, which go by the first field that a document asks for.
const (
	GetUser              Operation = "user.get"
	GetVersion           Operation = "version.get"
	GetToken             Operation = "token.get"
	RevokeToken          Operation = "token.revoke"
	GetGroup             Operation = "group.get"
	ListProjects         Operation = "group.projects"
	GetProject           Operation = "project.get"
	GetFile              Operation = "file.get"
	GetRawFile           Operation = "file.raw"
	ListJobs             Operation = "jobs.list"
	ListPipelineJobs     Operation = "pipeline.jobs"
	GetJob               Operation = "job.get"
	GetArchive           Operation = "job.artifacts"
	GetArtifact          Operation = "job.artifact"
	ListVulnerabilities  Operation = "vulnerabilities.list"
	GetVulnerability     Operation = "vulnerability.get"
	ConfirmVulnerability Operation = "vulnerability.confirm"
	ResolveVulnerability Operation = "vulnerability.resolve"
	DismissVulnerability Operation = "vulnerability.dismiss"
	RevertVulnerability  Operation = "vulnerability.revert"
	ListHooks            Operation = "hooks.list"
	GetHook              Operation = "hook.get"
	UpdateHook           Operation = "hook.update"
	TestHook             Operation = "hook.test"
	ListEvents           Operation = "events.list"
	ResendEvent          Operation = "event.resend"
	NoOperation          Operation = "" // a request that GitLab has no route for

	GraphQL            Operation = "graphql" // a document that cannot be read
	QueryGroup         Operation = "graphql.group"
	QueryProject       Operation = "graphql.project"
	QueryVulnerability Operation = "graphql.vulnerability"
	MutateConfirm      Operation = "graphql.vulnerabilityConfirm"
	MutateResolve      Operation = "graphql.vulnerabilityResolve"
	MutateDismiss      Operation = "graphql.vulnerabilityDismiss"
	MutateRevert       Operation = "graphql.vulnerabilityRevertToDetected"
)

// route is one operation of an API.
type route struct {
	fake   *Fake
	op     Operation
	needs  permission
	handle func(*call) *answer // runs under the fake's lock, and does no I/O; see call.after
}

// adder adds a route to the REST API.
type adder func(pattern string, op Operation, needs permission, handle func(*call) *answer)

func (f *Fake) newRoutes() http.Handler {
	mux := http.NewServeMux()
	add := func(pattern string, op Operation, needs permission, handle func(*call) *answer) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" /api/v4"+path, &route{fake: f, op: op, needs: needs, handle: handle})
	}
	add("GET /user", GetUser, read, (*call).getUser)
	add("GET /version", GetVersion, read, (*call).getVersion)
	add("GET /personal_access_tokens/self", GetToken, anybody, (*call).getToken)
	add("DELETE /personal_access_tokens/self", RevokeToken, anybody, (*call).revokeToken)
	add("GET /groups/{group}", GetGroup, read, (*call).getGroup)
	add("GET /groups/{group}/projects", ListProjects, read, (*call).listProjects)
	add("GET /projects/{project}", GetProject, read, (*call).getProject)
	f.repositoryRoutes(add)
	f.vulnerabilityRoutes(add)
	f.hookRoutes(add)
	mux.Handle("POST /api/graphql", &route{fake: f, op: GraphQL, handle: (*call).graphQL})
	mux.Handle("/", &route{fake: f, handle: func(*call) *answer { return notFound("") }})
	return mux
}

func (f *Fake) repositoryRoutes(add adder) {
	project := "GET /projects/{project}"
	add(project+"/repository/files/{path}", GetFile, readFile, (*call).getFile)
	add(project+"/repository/files/{path}/raw", GetRawFile, readFile, (*call).getRawFile)
	add(project+"/jobs", ListJobs, reading(Reporter), (*call).listJobs)
	add(project+"/pipelines/{pipeline}/jobs", ListPipelineJobs, reading(Reporter), (*call).listJobs)
	add(project+"/jobs/{job}", GetJob, reading(Reporter), (*call).getJob)
	add(project+"/jobs/{job}/artifacts", GetArchive, reading(Reporter), (*call).getArchive)             //nolint:misspell // GitLab's word
	add(project+"/jobs/{job}/artifacts/{path...}", GetArtifact, reading(Reporter), (*call).getArtifact) //nolint:misspell // GitLab's word
}

func (f *Fake) vulnerabilityRoutes(add adder) {
	add("GET /projects/{project}/vulnerabilities", ListVulnerabilities, reading(Developer), (*call).listVulnerabilities)
	one := "/vulnerabilities/{vulnerability}"
	add("GET "+one, GetVulnerability, reading(Developer), (*call).getVulnerability)
	add("POST "+one+"/confirm", ConfirmVulnerability, writing(Maintainer), change(Confirmed))
	add("POST "+one+"/resolve", ResolveVulnerability, writing(Maintainer), change(Resolved))
	add("POST "+one+"/dismiss", DismissVulnerability, writing(Maintainer), change(Dismissed))
	add("POST "+one+"/revert", RevertVulnerability, writing(Maintainer), change(Detected))
}

func (f *Fake) hookRoutes(add adder) {
	for prefix, role := range map[string]Role{"/groups/{group}": Owner, "/projects/{project}": Maintainer} {
		hooks := prefix + "/hooks"
		one := hooks + "/{hook}"
		add("GET "+hooks, ListHooks, reading(role), (*call).listHooks)
		add("GET "+one, GetHook, reading(role), (*call).getHook)
		add("PUT "+one, UpdateHook, writing(role), (*call).updateHook)
		add("POST "+one+"/test/{trigger}", TestHook, writing(role), (*call).testHook)
		if f.since(hookEvents) {
			add("GET "+one+"/events", ListEvents, reading(role), (*call).listEvents)
		}
		if f.since(hookResend) {
			add("POST "+one+"/events/{event}/resend", ResendEvent, writing(role), (*call).resendEvent)
		}
	}
}

// target is the project or group that a request names; empty: neither.
func target(r *http.Request) string { return r.PathValue("project") + r.PathValue("group") }

// number is the last number that a request's path names; 0: none.
func number(r *http.Request) int64 {
	for _, name := range []string{"vulnerability", "event", "hook", "job", "pipeline"} {
		if n, err := strconv.ParseInt(r.PathValue(name), 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// find looks up what the path of a request names, or answers 404. What the caller cannot see is not there; what it sees and
// has no role for is forbidden.
func (c *call) find() *answer {
	if text := c.request.PathValue("project"); text != "" {
		c.project = c.fake.projectBy(text)
		if c.project == nil || !c.token.sees(c.project) {
			return notFound("Project")
		}
	}
	if text := c.request.PathValue("group"); text != "" {
		c.group = c.fake.groupBy(text)
		if c.group == nil || !c.token.member(c.group) {
			return notFound("Group")
		}
	}
	if text := c.request.PathValue("vulnerability"); text != "" {
		id, _ := strconv.ParseInt(text, 10, 64) // no vulnerability has the id 0
		c.vulnerability = c.fake.vulnerabilities[id]
		if c.vulnerability == nil || !c.token.sees(c.vulnerability.project) {
			return notFound("")
		}
	}
	if c.token.Role < c.route.needs.role {
		return forbidden()
	}
	return nil
}

// projectBy finds a project by its id or path; nil: there is none.
func (f *Fake) projectBy(text string) *project {
	if p, ok := f.projects[strings.ToLower(text)]; ok {
		return p
	}
	for _, p := range f.projects {
		if strconv.FormatInt(p.id, 10) == text {
			return p
		}
	}
	return nil
}

// groupBy finds a group by its id or path; nil: there is none.
func (f *Fake) groupBy(text string) *group {
	if g, ok := f.groups[strings.ToLower(text)]; ok {
		return g
	}
	for _, g := range f.groups {
		if strconv.FormatInt(g.id, 10) == text {
			return g
		}
	}
	return nil
}
