package githubfake

import (
	"cmp"
	"slices"
	"strconv"

	"stanch/receiver/leak"
)

// Hook is a webhook as a test adds it and reads it back: of an organisation, of a repository, or an App's.
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

// secretScanning are the events about secrets.
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

// listens reports whether an event about an organisation, and maybe one of its repositories, goes to a hook.
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
