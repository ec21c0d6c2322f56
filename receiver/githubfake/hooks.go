package githubfake

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// Hook is a webhook of an organisation, a repository or an App, as a test adds it and reads it back.
type Hook struct {
	ID           int64  // made up
	Organisation string // empty: acme, unless there is a Repository
	Repository   string // owner/name; empty: a hook of the organisation
	URL          string // where deliveries are posted
	Secret       leak.Secret
	Form         bool     // application/x-www-form-urlencoded instead of JSON
	Events       []string // * is all; nil: those of secret scanning
	Inactive     bool
}

// secretScanning are the events of secret scanning.
var secretScanning = []string{"secret_scanning_alert", "secret_scanning_alert_location", "secret_scanning_scan"}

type hook struct {
	Hook
	org  *account
	repo *repo // nil: of the organisation
	app  *app  // nil: not an App's
}

// AddHook adds the hook of an organisation or a repository, and returns its id. No ping is sent; see [Fake.Ping].
func (f *Fake) AddHook(h Hook) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addHook(h).ID
}

func (f *Fake) addHook(h Hook) *hook {
	h.ID = f.nextID()
	added := &hook{Hook: h}
	if h.Repository != "" {
		added.repo = f.repository(h.Repository)
		added.org = added.repo.owner
	} else {
		added.org = f.account(cmp.Or(h.Organisation, "acme"), organisation)
	}
	f.hooks[h.ID] = added
	return added
}

// Hook returns a hook as it is; false: there is none.
func (f *Fake) Hook(id int64) (Hook, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ok := f.hooks[id]
	if !ok {
		return Hook{}, false
	}
	return h.Hook, true
}

// ChangeHook changes a hook as its owner does in the settings: the secret, the URL, the events ...
func (f *Fake) ChangeHook(id int64, change func(*Hook)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h, ok := f.hooks[id]; ok {
		change(&h.Hook)
		h.ID = id
	}
}

func (h Hook) events() []string {
	if h.Events == nil {
		return secretScanning
	}
	return h.Events
}

// listens reports whether an event about an organisation, or one of its repositories, goes to a hook.
func (h *hook) listens(event string, org *account, r *repo) bool {
	if h.Inactive || !slices.Contains(h.events(), event) && !slices.Contains(h.events(), "*") {
		return false
	}
	if h.app != nil {
		i := h.app.in(org)
		return i != nil && !i.suspended
	}
	return h.org == org && (h.repo == nil || h.repo == r)
}

// theHook finds the hook that a call names, the App's when it names none, or answers 404.
func (c *call) theHook() *answer {
	if c.route.needs.app {
		c.hook = c.token.app.hook
	} else {
		id, _ := strconv.ParseInt(c.request.PathValue("hook"), 10, 64) // no hook has the id 0
		c.hook = c.fake.hooks[id]
	}
	if c.hook == nil || !c.route.needs.app && !c.owns(c.hook) {
		return notFound()
	}
	return nil
}

// owns reports whether a hook belongs to what the path of a call names.
func (c *call) owns(h *hook) bool {
	if h.app != nil || h.repo != c.repo {
		return false
	}
	return c.repo != nil || h.org == c.org
}

func (c *call) listHooks() *answer {
	var owned []*hook
	for _, h := range c.fake.hooks {
		if c.owns(h) {
			owned = append(owned, h)
		}
	}
	slices.SortFunc(owned, func(a, b *hook) int { return cmp.Compare(a.ID, b.ID) })
	shown := []object{}
	for _, h := range byPage(c, owned) {
		shown = append(shown, h.show())
	}
	return ok(shown)
}

func (c *call) getHook() *answer {
	return c.theHook().Or(func() *answer { return ok(c.hook.show()) })
}

func (c *call) getHookConfig() *answer {
	return c.theHook().Or(func() *answer { return ok(c.hook.config()) })
}

func (h *hook) show() object {
	url := apiURL + "/orgs/" + h.org.login + "/hooks/" + strconv.FormatInt(h.ID, 10)
	if h.repo != nil {
		url = h.repo.apiURL() + "/hooks/" + strconv.FormatInt(h.ID, 10)
	}
	return object{
		"id": h.ID, "name": "web", "type": h.kind(), "active": !h.Inactive, "events": h.events(), "config": h.config(),
		"url": url, "ping_url": url + "/pings", "deliveries_url": url + "/deliveries",
	}
}

func (h *hook) kind() string {
	if h.repo != nil {
		return "Repository"
	}
	return organisation
}

// config never shows the secret, only that there is one.
func (h *hook) config() object {
	config := object{"url": h.URL, "content_type": "json", "insecure_ssl": "0"}
	if h.Form {
		config["content_type"] = "form"
	}
	if !h.Secret.Empty() {
		config["secret"] = "********"
	}
	return config
}

// hookConfig is the part of an update that says where and how to deliver; a field that is absent is not changed.
type hookConfig struct {
	URL         *string `json:"url"`
	ContentType *string `json:"content_type"`
	Secret      *string `json:"secret"`
}

// updateHook is PATCH of a hook.
func (c *call) updateHook() *answer {
	var u struct {
		Config hookConfig `json:"config"`
		Events []string   `json:"events"`
		Active *bool      `json:"active"`
	}
	no := c.theHook().Or(func() *answer { return c.read(&u) })
	no = no.Or(func() *answer { return c.hook.configure(u.Config) })
	if no != nil {
		return no
	}
	if u.Events != nil {
		c.hook.Events = u.Events
	}
	if u.Active != nil {
		c.hook.Inactive = !*u.Active
	}
	return ok(c.hook.show())
}

// updateHookConfig is PATCH of an App's hook.
func (c *call) updateHookConfig() *answer {
	var u hookConfig
	no := c.theHook().Or(func() *answer { return c.read(&u) })
	no = no.Or(func() *answer { return c.hook.configure(u) })
	return no.Or(func() *answer { return ok(c.hook.config()) })
}

func (h *hook) configure(u hookConfig) *answer {
	if kind := deref(u.ContentType); kind != "" && kind != "json" && kind != "form" {
		return invalid("content_type")
	}
	if u.URL != nil {
		if parsed, err := url.Parse(*u.URL); err != nil || parsed.Host == "" {
			return invalid("url")
		}
		h.URL = *u.URL
	}
	if u.ContentType != nil {
		h.Form = *u.ContentType == "form"
	}
	if u.Secret != nil {
		h.Secret = leak.NewSecret(*u.Secret)
	}
	return nil
}

// pingHook is POST .../pings.
func (c *call) pingHook() *answer {
	no := c.theHook()
	if no != nil {
		return no
	}
	c.fake.ping(c.hook, c.token.sender(c.fake))
	return &answer{Status: http.StatusNoContent}
}

// event is something that hooks are told of.
type event struct {
	name   string
	action string // empty: it has none
	repo   *repo  // nil: none
	sender object
	extra  object // its own fields
}

// happened tells the hooks what was done to an alert.
func (f *Fake) happened(a *alert, action string, sender object) {
	shown := f.hooked(a)
	if action == string(Assign) || action == string(Unassign) {
		shown["assigned_to"] = f.user(a.AssignedTo)
	}
	f.emit(event{
		name: "secret_scanning_alert", action: action, repo: a.repo, sender: sender, extra: object{"alert": shown},
	})
}

// located tells the hooks that a secret was seen in a place. As in GitHub's published example, the alert has its state
// and its secret, unless a switch says otherwise.
func (f *Fake) located(a *alert, l Location) {
	shown := f.whole(a)
	maps.Copy(shown, object{"state": a.State, "publicly_leaked": a.PubliclyLeaked, "multi_repo": a.MultiRepo})
	if !f.Switches().NoLocationSecret {
		shown["secret"] = a.Secret.Reveal()
	}
	f.emit(event{
		name: "secret_scanning_alert_location", action: "created", repo: a.repo, sender: f.bot(),
		extra: object{"alert": shown, "location": l.show(a.repo)},
	})
}

// Scan sends the hook that a scan of a repository has ended.
func (f *Fake) Scan(repository string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended := f.now()
	f.emit(event{
		name: "secret_scanning_scan", action: "completed", repo: f.repository(repository), sender: f.bot(),
		extra: object{
			"type": "backfill", "source": "git", "secret_types": []string{"acme_api_key"},
			"started_at": stamp(ended.Add(-time.Minute)), "completed_at": stamp(ended),
			"custom_pattern_name": nil, "custom_pattern_scope": nil,
		},
	})
}

// Ping sends a ping to a hook.
func (f *Fake) Ping(id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h, ok := f.hooks[id]; ok {
		f.ping(h, f.account(Admin, "User").show())
	}
}

func (f *Fake) ping(h *hook, sender object) {
	e := event{name: "ping", repo: h.repo, sender: sender, extra: object{
		"zen": "Keep it logically awesome.", "hook_id": h.ID, "hook": h.show(),
	}}
	f.deliver(h, e, vendorfake.UUID())
}

// Emit sends an event of any name to the hooks that listen for it, for a repository, with fields of the caller's choice
// beside the usual ones: what GitHub may send tomorrow.
func (f *Fake) Emit(name, action, repository string, fields map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.emit(event{name: name, action: action, repo: f.repository(repository), sender: f.bot(), extra: fields})
}

// emit makes a delivery for each hook that listens. They share the GUID, which names the event.
func (f *Fake) emit(e event) {
	guid := vendorfake.UUID()
	for _, h := range f.hooks {
		if h.listens(e.name, e.repo.owner, e.repo) {
			f.deliver(h, e, guid)
		}
	}
}

// payload writes an event for a hook.
func (e event) payload(h *hook) []byte {
	owner := h.org
	if e.repo != nil {
		owner = e.repo.owner
	}
	body := object{"sender": e.sender, strings.ToLower(organisation): owner.showOrganisation()}
	if e.action != "" {
		body["action"] = e.action
	}
	if e.repo != nil {
		body["repository"] = e.repo.show()
	}
	if i := e.installation(h); i != nil {
		body["installation"] = object{"id": i.id, "node_id": nodeID("Installation", i.id)}
	}
	maps.Copy(body, e.extra)
	// Our own objects, and what a test hands to Emit, are plain values: they marshal.
	data, _ := json.Marshal(body)
	return data
}

// installation is the one through which an App's hook gets an event; nil: it is no App's.
func (e event) installation(h *hook) *installation {
	if h.app == nil || e.repo == nil {
		return nil
	}
	return h.app.in(e.repo.owner)
}
