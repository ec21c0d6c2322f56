package gitlabfake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

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
			"artifacts_file": object{"filename": nil, "size": nil}, //nolint:misspell // GitLab's word
		}},
	}, "")
}

// withID is a commit with another id: of a job's event, it is the pipeline's.
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
