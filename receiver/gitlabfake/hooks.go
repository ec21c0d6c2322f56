package gitlabfake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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

// Hook is a webhook of a group or a project, as a test adds it and reads it back.
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

// HookStatus says whether GitLab sends to a hook, as alert_status has it.
type HookStatus string

// The statuses of a hook.
const (
	Executable          HookStatus = "executable"
	TemporarilyDisabled HookStatus = "temporarily_disabled"
	Disabled            HookStatus = "disabled" // until a test delivery succeeds
)

// How GitLab switches a hook off: for a minute at the fourth failure in a row, for twice as long at each further one, and
// for good at the fortieth.
const (
	toleratedFailures = 3
	lastFailure       = 40
	firstPause        = time.Minute
	longestPause      = 24 * time.Hour
)

// HookStatus returns the status of a hook now; empty: there is no such hook.
func (f *Fake) HookStatus(id int64) HookStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ok := f.hooks[id]
	if !ok {
		return ""
	}
	return h.status(f.options.Now())
}

func (h *hook) status(now time.Time) HookStatus {
	switch {
	case h.Failures >= lastFailure:
		return Disabled
	case h.Failures > toleratedFailures && !now.After(h.DisabledUntil):
		return TemporarilyDisabled
	}
	return Executable
}

// failed counts a failure, unless the hook is off already; tests reach it even then.
func (h *hook) failed(now time.Time) {
	if h.status(now) != Executable {
		return
	}
	h.Failures++
	if over := h.Failures - toleratedFailures; over > 0 {
		pause := firstPause << min(over-1, 20)
		h.DisabledUntil = now.Add(min(pause, longestPause))
	}
}

// succeeded switches a hook on.
func (h *hook) succeeded() { h.Failures, h.DisabledUntil = 0, time.Time{} }

// headerOf is what X-Gitlab-Event says of a trigger: Vulnerability Hook for vulnerability_hooks.
func headerOf(trigger string) string {
	words := strings.Split(strings.TrimSuffix(trigger, "s"), "_")
	for i, word := range words {
		words[i] = capital(word)
	}
	return strings.Join(words, " ")
}

// eventsField is the field of a hook that says whether it listens for a trigger.
func eventsField(trigger string) string { return strings.TrimSuffix(trigger, "_hooks") + "_events" }

// happened tells the hooks of a vulnerability; chain is the X-Gitlab-Event-UUID of the request that changed it.
func (f *Fake) happened(v *vulnerability, chain string) {
	if f.since(vulnerabilityHooks) {
		f.emit(VulnerabilityHooks, v.project, f.event(v), chain)
	}
}

func (f *Fake) event(v *vulnerability) object {
	return object{"object_kind": "vulnerability", "object_attributes": f.hooked(v)}
}

// Emit sends an event of any trigger to the hooks of a project that listen for it, with a body of the caller's choice: what
// GitLab may send tomorrow.
func (f *Fake) Emit(trigger, project string, body map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.emit(trigger, f.addProject(project), body, "")
}

// emit makes a delivery for each hook that listens: of the project first, then of its groups.
func (f *Fake) emit(trigger string, p *project, body object, chain string) {
	var listening []*hook
	for _, h := range f.hooks {
		if h.listens(trigger, p) {
			listening = append(listening, h)
		}
	}
	slices.SortFunc(listening, func(a, b *hook) int {
		return cmp.Or(-cmp.Compare(len(a.owner()), len(b.owner())), cmp.Compare(a.ID, b.ID))
	})
	// Our own objects, and what a test hands to Emit, are plain values: they marshal.
	payload, _ := json.Marshal(body)
	for _, h := range listening {
		f.deliver(h, Delivery{Trigger: trigger, Project: p.path, EventUUID: chain, Payload: payload})
	}
}

// finished tells the hooks that a job and its pipeline have ended.
func (f *Fake) finished(j *job) {
	commit := object{
		"id": j.sha, "sha": j.sha, "message": "settings", "author_name": "Ann", "author_email": "[REDACTED]",
		"status": j.Status, "duration": 4,
	}
	user := object{"id": f.user(Admin), "name": Admin, "username": Admin, "email": "[REDACTED]"}
	ended := object{
		"object_kind": "build", "ref": j.Ref, "tag": false, "before_sha": strings.Repeat("0", 40), "sha": j.sha,
		"build_id": j.id, "build_name": j.Job, "build_stage": "test", "build_status": j.Status,
		"build_created_at": seconds(j.at), "build_started_at": seconds(j.at), "build_finished_at": seconds(j.at),
		"build_duration": 3.5, "build_queued_duration": 0.5, "build_allow_failure": true,
		"build_failure_reason": "unknown_failure", "pipeline_id": j.pipeline, "runner": nil,
		"project_id": j.project.id, "project_name": j.project.identity()["name_with_namespace"], "user": user,
		"commit": withID(commit, j.pipeline), "repository": j.project.repository(), "environment": nil,
	}
	if f.since(jobProjects) {
		ended["project"] = j.project.hooked()
	}
	f.emit(JobHooks, j.project, ended, "")
	f.emit(PipelineHooks, j.project, object{
		"object_kind": "pipeline", "user": user, "project": j.project.hooked(), "commit": commit,
		"object_attributes": object{
			"id": j.pipeline, "iid": 1, "ref": j.Ref, "tag": false, "sha": j.sha, "status": j.Status, "source": "push",
			"stages": []string{"test"}, "created_at": seconds(j.at), "finished_at": seconds(j.at), "duration": 4,
		},
		"builds": []object{{
			"id": j.id, "stage": "test", "name": j.Job, "status": j.Status, "created_at": seconds(j.at),
			"started_at": seconds(j.at), "finished_at": seconds(j.at), "allow_failure": true,
			"artifacts_file": object{"filename": nil, "size": nil},
		}},
	}, "")
}

// withID is a commit with another id: in a job's event it is the pipeline's.
func withID(commit object, id int64) object {
	other := object{}
	for key, value := range commit {
		other[key] = value
	}
	other["id"] = id
	return other
}

// seconds writes a time as the events of pipelines do.
func seconds(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func (p *project) repository() object {
	return object{
		"name": name(p.path), "url": "git@gitlab.example:" + p.path + ".git", "description": "", "homepage": p.url(),
		"git_http_url": p.url() + ".git", "git_ssh_url": "git@gitlab.example:" + p.path + ".git", "visibility_level": 0,
	}
}

// hooked is a project as the event of a pipeline has it.
func (p *project) hooked() object {
	return object{
		"id": p.id, "name": name(p.path), "web_url": p.url(), "namespace": parent(p.path), "path_with_namespace": p.path,
		"default_branch": branch, "visibility_level": 0, "git_http_url": fmt.Sprintf("%s.git", p.url()),
	}
}
