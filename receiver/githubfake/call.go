package githubfake

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// object is a JSON object; a nil value reads null.
type object = vendorfake.Object

// answer is the answer to a call.
type answer = vendorfake.Answer

// mediaType is what GitHub calls its JSON.
const mediaType = "application/json; charset=utf-8"

// maxBody is how much of a request is read, in bytes.
const maxBody = 1 << 20

// call is one request on its way to an answer.
type call struct {
	fake    *Fake
	request *http.Request
	route   *route
	event   Event // for the journal

	token    *token  // who sent the request
	refused  *answer // the answer to a request without a good token
	org      *account
	repo     *repo
	alert    *alert
	hook     *hook
	delivery *delivery
	body     []byte // of the request
	links    vendorfake.Links
}

// ServeHTTP answers one call of a route.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := rt.fake
	c := &call{fake: f, request: r, route: rt, links: vendorfake.Links{}}
	c.event = Event{
		Op: rt.op, Method: r.Method, Path: r.URL.Path, Target: target(r), Number: number(r), Query: r.URL.RawQuery,
	}
	w.Header().Set("X-GitHub-Request-Id", strings.ToUpper(vendorfake.Random(16)))
	c.identify()
	f.Meet(c.event).Answer(w, r, c.serve, c.record)
}

// record adds a call to the journal, with the status of its answer.
func (c *call) record(status int) {
	c.event.At, c.event.Status = c.fake.options.Now(), status
	c.fake.Record(c.event)
}

// serve answers a call as GitHub does.
func (c *call) serve() answer { return c.decide().Encode(mediaType) }

func (c *call) decide() answer {
	f := c.fake
	c.body, _ = io.ReadAll(io.LimitReader(c.request.Body, maxBody)) // a truncated body is bad input
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.refused != nil {
		return *c.refused
	}
	window := window{f.window(c.token), f.options.RateLimit}
	if window.spent() && !c.route.free {
		return window.mark(f.limited())
	}
	a := c.find().Or(c.permit).Or(func() *answer { return c.route.handle(c) })
	done := c.conditional(*a)
	if done.Status != http.StatusNotModified && !c.route.free {
		window.Used++
	}
	return c.describe(window.mark(done))
}

// conditional turns an answer into 304 when the caller has it already.
func (c *call) conditional(a answer) answer {
	a = a.Encode(mediaType)
	if c.request.Method != http.MethodGet || a.Status != http.StatusOK {
		return a
	}
	sum := sha256.Sum256(append(a.Raw, c.links.Header()...))
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	if c.request.Header.Get("If-None-Match") == tag {
		c.event.Secrets = 0
		return answer{Status: http.StatusNotModified}.With("ETag", tag)
	}
	return a.With("ETag", tag)
}

// describe adds the header fields that go with every answer.
func (c *call) describe(a answer) answer {
	if link := c.links.Header(); link != "" {
		a = a.With("Link", link)
	}
	for name, value := range c.scopeHeaders() {
		a = a.With(name, value)
	}
	if c.fake.options.Enterprise {
		a = a.With("X-GitHub-Enterprise-Version", "3.16.0")
	}
	return a.With("X-GitHub-Media-Type", "github.v3; format=json")
}

func ok(body any) *answer { return &answer{Status: http.StatusOK, Body: body} }

// refuse is an error answer.
func refuse(status int, message string) *answer {
	return &answer{Status: status, Body: object{
		"message": message, "documentation_url": "https://docs.github.example/rest", "status": fmt.Sprint(status),
	}}
}

func notFound() *answer { return refuse(http.StatusNotFound, "Not Found") }

// invalid is the answer to a value that a field cannot have.
func invalid(field string) *answer {
	return &answer{Status: http.StatusUnprocessableEntity, Body: object{
		"message":           "Validation Failed",
		"errors":            []object{{"field": field, "code": "invalid"}},
		"documentation_url": "https://docs.github.example/rest", "status": "422",
	}}
}

// read decodes the body of a request, or says what is wrong with it.
func (c *call) read(into any) *answer {
	if err := json.Unmarshal(c.body, into); err != nil {
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

// Operation names what a call asks for, in the journal and in faults.
type Operation = vendorfake.Operation

// The operations of the API.
const (
	GetUser          Operation = "user.get"
	GetRateLimit     Operation = "rate_limit.get"
	GetOrganisation  Operation = "organisation.get"
	ListOrgAlerts    Operation = "organisation.alerts"
	ListRepoAlerts   Operation = "repository.alerts"
	GetAlert         Operation = "alert.get"
	UpdateAlert      Operation = "alert.update"
	ListLocations    Operation = "alert.locations"
	ListHooks        Operation = "hooks.list"
	GetHook          Operation = "hook.get"
	UpdateHook       Operation = "hook.update"
	PingHook         Operation = "hook.ping"
	ListDeliveries   Operation = "deliveries.list"
	GetDelivery      Operation = "delivery.get"
	Redeliver        Operation = "delivery.redeliver"
	GetApp           Operation = "app.get"
	GetHookConfig    Operation = "app.hook.get"
	UpdateHookConfig Operation = "app.hook.update"
	GetInstallation  Operation = "installation.get"
	CreateToken      Operation = "installation.token"
)

// route is one operation of the API.
type route struct {
	fake   *Fake
	op     Operation
	needs  permission
	free   bool                // whether it is not counted against the rate limit
	handle func(*call) *answer // runs under the fake's lock, and does no I/O
}

func (f *Fake) newRoutes() http.Handler {
	mux := http.NewServeMux()
	add := func(pattern string, op Operation, needs permission, handle func(*call) *answer) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+f.prefix()+path, &route{fake: f, op: op, needs: needs, handle: handle})
	}
	add("GET /user", GetUser, permission{}, (*call).getUser)
	add("GET /orgs/{org}", GetOrganisation, permission{}, (*call).getOrganisation)
	f.alertRoutes(add)
	f.hookRoutes(add)
	f.appRoutes(add)
	limit := &route{fake: f, op: GetRateLimit, handle: (*call).getRateLimit, free: true}
	mux.Handle("GET "+f.prefix()+"/rate_limit", limit)
	mux.Handle("/", &route{fake: f, handle: func(*call) *answer { return notFound() }})
	return mux
}

// adder adds a route to the API.
type adder func(pattern string, op Operation, needs permission, handle func(*call) *answer)

func (f *Fake) alertRoutes(add adder) {
	alerts := "/repos/{owner}/{repo}/secret-scanning/alerts"
	add("GET /orgs/{org}/secret-scanning/alerts", ListOrgAlerts, readAlerts, (*call).listAlerts)
	add("GET "+alerts, ListRepoAlerts, readAlerts, (*call).listAlerts)
	add("GET "+alerts+"/{alert}", GetAlert, readAlerts, (*call).getAlert)
	add("PATCH "+alerts+"/{alert}", UpdateAlert, writeAlerts, (*call).updateAlert)
	add("GET "+alerts+"/{alert}/locations", ListLocations, readAlerts, (*call).listLocations)
}

func (f *Fake) hookRoutes(add adder) {
	for prefix, name := range map[string]string{"/orgs/{org}": "org", "/repos/{owner}/{repo}": "repo"} {
		read, write := hookPermissions(name)
		hooks := prefix + "/hooks"
		add("GET "+hooks, ListHooks, read, (*call).listHooks)
		add("GET "+hooks+"/{hook}", GetHook, read, (*call).getHook)
		add("PATCH "+hooks+"/{hook}", UpdateHook, write, (*call).updateHook)
		add("POST "+hooks+"/{hook}/pings", PingHook, write, (*call).pingHook)
		f.deliveryRoutes(add, hooks+"/{hook}/deliveries", read, write)
	}
	f.deliveryRoutes(add, "/app/hook/deliveries", asApp, asApp)
}

func (f *Fake) deliveryRoutes(add adder, deliveries string, read, write permission) {
	add("GET "+deliveries, ListDeliveries, read, (*call).listDeliveries)
	add("GET "+deliveries+"/{delivery}", GetDelivery, read, (*call).getDelivery)
	add("POST "+deliveries+"/{delivery}/attempts", Redeliver, write, (*call).redeliver)
}

func (f *Fake) appRoutes(add adder) {
	add("GET /app", GetApp, asApp, (*call).getApp)
	add("GET /app/hook/config", GetHookConfig, asApp, (*call).getHookConfig)
	add("PATCH /app/hook/config", UpdateHookConfig, asApp, (*call).updateHookConfig)
	add("GET /orgs/{org}/installation", GetInstallation, asApp, (*call).getInstallation)
	add("POST /app/installations/{installation}/access_tokens", CreateToken, asApp, (*call).createToken)
}

// target is the repository or the organisation that a request names; empty: neither.
func target(r *http.Request) string {
	if owner := r.PathValue("owner"); owner != "" {
		return owner + "/" + r.PathValue("repo")
	}
	return r.PathValue("org")
}

// number is the last number that a request's path names; 0: none.
func number(r *http.Request) int64 {
	for _, name := range []string{"alert", "delivery", "hook", "installation"} {
		if n, err := strconv.ParseInt(r.PathValue(name), 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// find looks up what the path of a request names, or answers 404. What the caller cannot see is not there.
func (c *call) find() *answer {
	f, r := c.fake, c.request
	if name := target(r); strings.Contains(name, "/") {
		c.repo = f.repos[strings.ToLower(name)]
		if c.repo == nil || !c.token.sees(c.repo) {
			return notFound()
		}
	} else if name != "" {
		c.org = f.accounts[strings.ToLower(name)]
		if c.org == nil || !c.token.member(c.org) {
			return notFound()
		}
	}
	return nil
}

// window is the hour in which the requests of a user, an installation or an App are counted, with its limit; 0: none.
type window struct {
	*vendorfake.Window
	limit int
}

// window returns the current hour of a token.
func (f *Fake) window(t *token) *vendorfake.Window {
	key := "user " + t.Login
	if t.app != nil {
		key = "app " + t.app.Slug
	}
	if t.installation != nil {
		key += " " + strconv.FormatInt(t.installation.id, 10)
	}
	return f.windows.At(key, f.now(), time.Hour)
}

// ResetLimits starts a new hour for everybody.
func (f *Fake) ResetLimits() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.windows)
}

// spent reports whether the limit is used up.
func (w window) spent() bool { return w.limit > 0 && w.Used >= w.limit }

// mark adds what is left of the limit to an answer.
func (w window) mark(a answer) answer {
	if w.limit == 0 {
		return a
	}
	a = a.With("X-RateLimit-Limit", strconv.Itoa(w.limit)).With("X-RateLimit-Resource", "core")
	a = a.With("X-RateLimit-Remaining", strconv.Itoa(w.limit-w.Used)).With("X-RateLimit-Used", strconv.Itoa(w.Used))
	return a.With("X-RateLimit-Reset", strconv.FormatInt(w.Reset.Unix(), 10))
}

// limited is the answer to a request for which nothing is left.
func (f *Fake) limited() answer {
	return *refuse(cmp.Or(f.Switches().Limited, http.StatusForbidden), "API rate limit exceeded")
}

// getRateLimit is GET /rate_limit, which is not counted itself.
func (c *call) getRateLimit() *answer {
	limit, w := c.fake.options.RateLimit, c.fake.window(c.token)
	if limit == 0 {
		return refuse(http.StatusNotFound, "Rate limiting is not enabled.")
	}
	core := object{"limit": limit, "used": w.Used, "remaining": limit - w.Used, "reset": w.Reset.Unix()}
	return ok(object{"resources": object{"core": core}, "rate": core})
}

// SecondaryLimit is a fault for a caller who asks too much at a time: status is 403 or 429, retryAfter the seconds that
// it must wait, empty when GitHub does not say.
func SecondaryLimit(status int, retryAfter string) Fault {
	fault := Fault{
		Status: status, ContentType: mediaType, Header: map[string]string{},
		Body: `{"message":"You have exceeded a secondary rate limit.",` +
			`"documentation_url":"https://docs.github.example/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`,
	}
	if retryAfter != "" {
		fault.Header["Retry-After"] = retryAfter
	}
	return fault
}
