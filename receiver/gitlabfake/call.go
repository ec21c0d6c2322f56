package gitlabfake

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/gitlabfake/graphqlfake"
	"stanch/receiver/outbound/vendorfake"
)

// object is a JSON object; a nil value reads null.
type object = vendorfake.Object

// answer is the answer to a call.
type answer = vendorfake.Answer

// maxBody is how much of a request is read, in bytes.
const maxBody = 1 << 20

// uuidHeader carries, in both directions, which chain of hooks and calls a request is part of.
const uuidHeader = "X-Gitlab-Event-UUID"

// call is one request on its way to an answer.
type call struct {
	fake    *Fake
	request *http.Request
	route   *route
	event   Event // for the journal
	body    []byte
	asked   *graphqlfake.Document

	token         *token  // who sent the request
	refused       *answer // the answer to a request without a good token
	group         *group
	project       *project
	hook          *hook
	job           *job
	vulnerability *vulnerability
	links         vendorfake.Links
	pages         map[string]string // the X- fields of the answer that say where a page stands
	after         func() answer     // the rest of the call, which runs without the fake's lock
}

// ServeHTTP answers one call of a route.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := rt.fake
	c := &call{fake: f, request: r, route: rt, links: vendorfake.Links{}, pages: map[string]string{}}
	c.body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody)) // a truncated body is bad input
	c.event = Event{
		Op: rt.op, Method: r.Method, Path: r.URL.Path, Target: target(r), Number: number(r), Query: r.URL.RawQuery,
		Cause: r.Header.Get(uuidHeader),
	}
	if rt.op == GraphQL {
		c.readDocument()
	}
	c.identify()
	f.Meet(c.event).Answer(w, r, c.serve, c.record)
}

// record adds a call to the journal, with the status of its answer.
func (c *call) record(status int) {
	c.event.At, c.event.Status = c.fake.options.Now(), status
	c.fake.Record(c.event)
}

// serve answers a call as GitLab does.
func (c *call) serve() answer {
	a := c.decide()
	if c.after != nil {
		a = c.after()
	}
	return c.describe(a).Encode("application/json")
}

// decide carries out a call, as far as that takes no other server.
func (c *call) decide() answer {
	f := c.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.refused != nil {
		return *c.refused
	}
	limit, w := f.options.RateLimit, f.window(c.token)
	if spend(w, limit) {
		return f.mark(limited(), w, limit)
	}
	a := c.permit().Or(c.find).Or(func() *answer { return c.route.handle(c) })
	if f.Switches().QuietLimits {
		limit = 0
	}
	return f.mark(*a, w, limit)
}

// describe adds the header fields that go with every answer.
func (c *call) describe(a answer) answer {
	if link := c.links.Header(); link != "" {
		a = a.With("Link", link)
	}
	for name, value := range c.pages {
		a = a.With(name, value)
	}
	return a.With("X-Request-Id", strings.ToUpper(vendorfake.Random(13))).With("X-Gitlab-Meta", `{"version":"1"}`)
}

func ok(body any) *answer      { return &answer{Status: http.StatusOK, Body: body} }
func created(body any) *answer { return &answer{Status: http.StatusCreated, Body: body} }
func noContent() *answer       { return &answer{Status: http.StatusNoContent} }

// refuse is an error answer of the REST API.
func refuse(status int, message any) *answer {
	return &answer{Status: status, Body: object{"message": message}}
}

// notFound is the answer to what is not there, or is not to be seen; what is such as Project.
func notFound(what string) *answer {
	return refuse(http.StatusNotFound, strings.Join(strings.Fields("404 "+what+" Not Found"), " "))
}

func forbidden() *answer { return refuse(http.StatusForbidden, "403 Forbidden") }

// invalid is the answer to a value that a parameter cannot have.
func invalid(parameter string) *answer {
	return &answer{Status: http.StatusBadRequest, Body: object{"error": parameter + " does not have a valid value"}}
}

// read decodes the body of a request, or says what is wrong with it. No body reads as an empty object.
func (c *call) read(into any) *answer {
	if len(c.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		return refuse(http.StatusBadRequest, "400 Bad request - The request body is not valid JSON")
	}
	return nil
}

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

	GraphQL       Operation = "graphql" // a document that cannot be read
	QueryGroup    Operation = "graphql.group"
	MutateResolve Operation = "graphql.vulnerabilityResolve"
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
	add(project+"/jobs/{job}/artifacts", GetArchive, reading(Reporter), (*call).getArchive)
	add(project+"/jobs/{job}/artifacts/{path...}", GetArtifact, reading(Reporter), (*call).getArtifact)
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

// manyItems is the longest list that GitLab counts: beyond it there is no total and no last page.
const manyItems = 10_000

// positive reads a query parameter that is a number of at least 1.
func positive(query url.Values, name string, otherwise int) int {
	n, err := strconv.Atoi(query.Get(name))
	if err != nil || n < 1 {
		return otherwise
	}
	return n
}

// page cuts what a query asks for, by number or, with pagination=keyset, after a cursor. The items must be in the order of
// what id gives, up or down.
func page[T any](c *call, all []T, id func(T) int64) ([]T, *answer) {
	query := c.request.URL.Query()
	size := min(positive(query, "per_page", 20), 100)
	if query.Get("pagination") == "keyset" {
		return afterCursor(c, all, size, id)
	}
	return byNumber(c, all, size), nil
}

func byNumber[T any](c *call, all []T, size int) []T {
	at, last := positive(c.request.URL.Query(), "page", 1), max((len(all)+size-1)/size, 1)
	c.pages["X-Page"], c.pages["X-Per-Page"] = strconv.Itoa(at), strconv.Itoa(size)
	c.pages["X-Next-Page"], c.pages["X-Prev-Page"] = "", ""
	if at > 1 {
		c.pages["X-Prev-Page"] = c.page("prev", min(at-1, last))
	}
	if at < last {
		c.pages["X-Next-Page"] = c.page("next", at+1)
	}
	c.page("first", 1)
	if len(all) <= manyItems {
		c.pages["X-Total"], c.pages["X-Total-Pages"] = strconv.Itoa(len(all)), strconv.Itoa(last)
		c.page("last", last)
	}
	from := min((at-1)*size, len(all))
	return all[from:min(from+size, len(all))]
}

// page adds a link to a page and returns its number.
func (c *call) page(relation string, number int) string {
	text := strconv.Itoa(number)
	c.links.Add(c.request, relation, "page", text)
	return text
}

// afterCursor cuts what stands after a cursor; without one, the first page. Nothing is counted.
func afterCursor[T any](c *call, all []T, size int, id func(T) int64) ([]T, *answer) {
	from := 0
	if text := c.request.URL.Query().Get("cursor"); text != "" {
		data, err := base64.RawURLEncoding.DecodeString(text)
		at, wrong := strconv.ParseInt(string(data), 10, 64)
		if err != nil || wrong != nil {
			return nil, invalid("cursor")
		}
		rising := len(all) < 2 || id(all[0]) < id(all[1])
		from = sort.Search(len(all), func(i int) bool { return rising && id(all[i]) > at || !rising && id(all[i]) < at })
	}
	to := min(from+size, len(all))
	if to < len(all) {
		cursor := strconv.FormatInt(id(all[to-1]), 10)
		c.links.Add(c.request, "next", "cursor", base64.RawURLEncoding.EncodeToString([]byte(cursor)))
	}
	return all[from:to], nil
}

// listed answers the page of a list that a call asks for.
func listed[T any](c *call, all []T, id func(T) int64, show func(T) object) *answer {
	part, no := page(c, all, id)
	if no != nil {
		return no
	}
	shown := make([]object, len(part))
	for i, item := range part {
		shown[i] = show(item)
	}
	return &answer{Status: http.StatusOK, Body: shown}
}

// window returns the minute that a token's requests count in.
func (f *Fake) window(t *token) *vendorfake.Window { return f.minute("requests of " + t.Login) }

// minute returns the current minute of something that is counted.
func (f *Fake) minute(what string) *vendorfake.Window {
	return f.windows.At(what, f.options.Now(), time.Minute)
}

// ResetLimits starts a new minute for everybody, of requests and of resent events.
func (f *Fake) ResetLimits() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.windows)
}

// spend counts one more, and reports whether that is over the limit; 0: there is no limit.
func spend(w *vendorfake.Window, limit int) bool {
	w.Used++
	return limit > 0 && w.Used > limit
}

// mark adds what is left of the limit to an answer, and to a refusal how long to wait.
func (f *Fake) mark(a answer, w *vendorfake.Window, limit int) answer {
	wait := strconv.Itoa(int(w.Reset.Sub(f.options.Now())/time.Second) + 1)
	if a.Status == http.StatusTooManyRequests {
		a = a.With("Retry-After", wait)
	}
	if limit == 0 {
		return a
	}
	a = a.With("RateLimit-Name", "throttle_authenticated_api").With("RateLimit-Limit", strconv.Itoa(limit))
	a = a.With("RateLimit-Observed", strconv.Itoa(w.Used)).With("RateLimit-Remaining", strconv.Itoa(max(limit-w.Used, 0)))
	a = a.With("RateLimit-ResetTime", w.Reset.UTC().Format(http.TimeFormat))
	return a.With("RateLimit-Reset", strconv.FormatInt(w.Reset.Unix(), 10))
}

// limited is the answer to a request over the limit. It is not JSON.
func limited() answer {
	a := answer{Status: http.StatusTooManyRequests, Raw: []byte("Retry later\n")}
	return a.With("Content-Type", "text/plain")
}

// tooOften is the answer to too many calls of an operation that has its own limit.
func tooOften() *answer {
	a := refuse(http.StatusTooManyRequests, object{
		"error": "This endpoint has been requested too many times. Try again later.",
	}).With("Retry-After", "60")
	return &a
}
