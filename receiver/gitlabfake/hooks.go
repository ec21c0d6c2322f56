package gitlabfake

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"stanch/receiver/leak"
)

// The events that a hook can listen for, named as in the trigger of a delivery.
const (
	VulnerabilityHooks = "vulnerability_hooks"
	JobHooks           = "job_hooks"
	PipelineHooks      = "pipeline_hooks"
	PushHooks          = "push_hooks"
)

// Hook is a webhook as a test adds it and reads it back: of a group, or of a project.
type Hook struct {
	ID           int64       // made up
	Group        string      // path; empty: acme, unless there is a Project
	Project      string      // path; empty: a hook of the group
	URL          string      // where deliveries are posted
	SigningToken leak.Secret // see [NewSigningToken]; empty: deliveries are not signed
	Token        leak.Secret // sent in clear as X-Gitlab-Token; empty: it is not
	Triggers     []string    // nil: VulnerabilityHooks, JobHooks and PipelineHooks
	Name         string

	// Failures is how many deliveries have failed in a row, and DisabledUntil when a hook that is switched off for a time
	// comes back; see [Fake.HookStatus].
	Failures      int
	DisabledUntil time.Time
}

type hook struct {
	Hook
	group   *group
	project *project // nil: of the group
}

// AddHook adds the hook of a group or a project and returns its id.
func (f *Fake) AddHook(h Hook) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	h.ID = f.nextID()
	added := &hook{Hook: h}
	if h.Project != "" {
		added.project = f.addProject(h.Project)
	} else {
		added.group = f.addGroup(cmp.Or(h.Group, "acme"))
	}
	f.hooks[h.ID] = added
	return h.ID
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

// ChangeHook changes a hook as its owner does in the settings: the tokens, the URL, the triggers ...
func (f *Fake) ChangeHook(id int64, change func(*Hook)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h, ok := f.hooks[id]; ok {
		change(&h.Hook)
		h.ID = id
	}
}

func (h Hook) triggers() []string {
	if h.Triggers == nil {
		return []string{VulnerabilityHooks, JobHooks, PipelineHooks}
	}
	return h.Triggers
}

// listens reports whether an event of a project goes to a hook.
func (h *hook) listens(trigger string, p *project) bool {
	return slices.Contains(h.triggers(), trigger) && (h.project == p || h.group != nil && h.group.holds(p.path))
}

// owner is the path of the group or project that a hook belongs to.
func (h *hook) owner() string {
	if h.project != nil {
		return h.project.path
	}
	return h.group.path
}

// theHook finds the hook that a call names, or answers 404.
func (c *call) theHook() *answer {
	id, _ := strconv.ParseInt(c.request.PathValue("hook"), 10, 64) // no hook has the id 0
	c.hook = c.fake.hooks[id]
	if c.hook == nil || !c.owns(c.hook) {
		return notFound("")
	}
	return nil
}

// owns reports whether a hook belongs to what the path of a call names.
func (c *call) owns(h *hook) bool { return h.project == c.project && h.group == c.group }

func (c *call) listHooks() *answer {
	var owned []*hook
	for _, h := range c.fake.hooks {
		if c.owns(h) {
			owned = append(owned, h)
		}
	}
	slices.SortFunc(owned, func(a, b *hook) int { return cmp.Compare(a.ID, b.ID) })
	return listed(c, owned, func(h *hook) int64 { return h.ID }, c.showHook)
}

func (c *call) getHook() *answer {
	return c.theHook().Or(func() *answer { return ok(c.showHook(c.hook)) })
}

// updateHook is PUT of a hook; a field that is absent is not changed. The url is required.
func (c *call) updateHook() *answer {
	var u struct {
		URL          string  `json:"url"`
		Token        *string `json:"token"`
		SigningToken *string `json:"signing_token"`
	}
	if no := c.theHook().Or(func() *answer { return c.read(&u) }); no != nil {
		return no
	}
	if parsed, err := url.Parse(u.URL); err != nil || parsed.Host == "" {
		return refuse(http.StatusUnprocessableEntity, object{"error": "Invalid url given"})
	}
	c.hook.URL = u.URL
	if u.Token != nil {
		c.hook.Token = leak.NewSecret(*u.Token)
	}
	if u.SigningToken != nil {
		c.hook.SigningToken = leak.NewSecret(*u.SigningToken)
	}
	return ok(c.showHook(c.hook))
}

// showHook never shows a token.
func (c *call) showHook(h *hook) object {
	now := c.fake.options.Now()
	shown := object{
		"id": h.ID, "url": h.URL, "name": h.Name, "description": "", "enable_ssl_verification": true,
		"alert_status": h.status(now), "disabled_until": nil, "created_at": "2024-01-02T03:04:05.678Z",
		"url_variables": []object{}, "custom_headers": []object{},
	}
	if h.status(now) == TemporarilyDisabled {
		shown["disabled_until"] = stamp(h.DisabledUntil)
	}
	for _, trigger := range []string{VulnerabilityHooks, JobHooks, PipelineHooks, PushHooks} {
		shown[eventsField(trigger)] = slices.Contains(h.triggers(), trigger)
	}
	if h.project != nil {
		shown["project_id"] = h.project.id
	} else {
		shown["group_id"] = h.group.id
	}
	return shown
}
