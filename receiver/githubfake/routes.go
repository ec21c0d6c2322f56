package githubfake

import (
	"net/http"
	"strconv"
	"strings"

	"stanch/receiver/outbound/vendorfake"
)

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
	NoOperation      Operation = "" // a request that GitHub has no route for
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
