package githubfake

import (
	"encoding/json"
	"maps"
	"strings"
	"time"

	"stanch/receiver/outbound/vendorfake"
)

// event is something that hooks are told of.
type event struct {
	name   string
	action string // empty: it has none
	repo   *repo  // nil: none
	sender object
	extra  object // what is special to it
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
// and its secret, unless a switch is against it.
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
