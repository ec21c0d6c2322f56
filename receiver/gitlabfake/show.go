package gitlabfake

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// show writes a vulnerability as REST answers it. Its finding may hold the secret, in raw_metadata.
func (c *call) show(v *vulnerability) object {
	f := c.fake
	return object{
		"id": v.ID, "title": v.Title, "description": v.Title, "state": v.State, "severity": v.Severity,
		"confidence": "unknown", "report_type": v.ReportType, "project": v.project.identity(),
		"finding": c.finding(v), "resolved_on_default_branch": v.Gone, "project_default_branch": branch,
		"author_id": f.user(Admin), "resolved_by_id": f.by(v, v.ResolvedAt), "dismissed_by_id": f.by(v, v.DismissedAt),
		"confirmed_by_id": f.by(v, v.ConfirmedAt), "created_at": stamp(v.CreatedAt), "updated_at": stamp(v.UpdatedAt),
		"resolved_at": stamp(v.ResolvedAt), "dismissed_at": stamp(v.DismissedAt), "confirmed_at": stamp(v.ConfirmedAt),
		"last_edited_at": nil, "start_date": nil, "updated_by_id": nil, "last_edited_by_id": nil, "due_date": nil,
	}
}

// by is the id of who changed the state at a time; null for the zero time.
func (f *Fake) by(v *vulnerability, at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return f.user(v.By)
}

func (c *call) finding(v *vulnerability) object {
	shown := object{
		"id": v.ID + 1, "vulnerability_id": v.ID, "project_id": v.project.id, "uuid": v.uuid, "name": v.Title,
		"report_type": v.ReportType, "severity": v.Severity, "confidence": "unknown", "metadata_version": "15.2.1",
		"location": v.location(c.fake.Switches()), "raw_metadata": nil,
		"created_at": stamp(v.CreatedAt), "updated_at": stamp(v.UpdatedAt),
	}
	if c.fake.Switches().RawMetadata == "present" {
		raw, _ := json.Marshal(v.report(c.fake.Switches())) // plain values always marshal
		shown["raw_metadata"] = string(raw)
		if c.fake.Switches().Extract != "absent" {
			c.event.Secrets++
		}
	}
	return shown
}

// report writes a vulnerability as the scanner's report has it.
func (v *vulnerability) report(s Switches) object {
	shown := object{
		"id": v.uuid, "category": v.ReportType, "name": v.Title, "severity": capital(v.Severity),
		"description": v.Title + " found; rotate it.", "location": v.location(s),
		"identifiers": []object{{"type": "gitleaks_rule_id", "name": "Gitleaks rule ID " + v.Rule, "value": v.Rule}},
	}
	switch s.Extract {
	case "secret":
		shown["raw_source_code_extract"] = v.Secret.Reveal()
	case "url":
		shown["raw_source_code_extract"] = "https://deploy:" + v.Secret.Reveal() + "@api.acme.example/v1?x=1"
	}
	return shown
}

// capital writes a word with a capital letter.
func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// location is where a secret was seen, in the words of the report.
func (v *vulnerability) location(s Switches) object {
	where := object{"file": v.File, "start_line": v.Line, "end_line": v.Line}
	if !s.NoCommit {
		where["commit"] = object{
			"author": "Ann <ann@acme.example>", "date": stamp(v.CreatedAt), "message": "settings", "sha": v.Commit,
		}
	}
	return where
}

// identifier is what names the rule, with the keys that hooks and REST use.
func (v *vulnerability) identifier() object {
	return object{
		"name": "Gitleaks rule ID " + v.Rule, "external_id": v.Rule, "external_type": "gitleaks_rule_id", "url": nil,
	}
}

// hooked writes a vulnerability as a hook's event has it: without id, project and secret.
func (f *Fake) hooked(v *vulnerability) object {
	shown := object{
		"url": v.url(), "title": v.Title, "state": v.State, "project_id": v.project.id, "location": v.location(f.Switches()),
		"cvss": []object{}, "severity": v.Severity, "severity_overridden": false, "identifiers": []object{v.identifier()},
		"issues": append([]object{}, v.issues...), "report_type": v.ReportType, "confidence": "unknown",
		"confidence_overridden": false, "resolved_on_default_branch": v.Gone, "auto_resolved": false,
		"created_at": stamp(v.CreatedAt), "updated_at": stamp(v.UpdatedAt),
	}
	for state, at := range map[State]time.Time{Confirmed: v.ConfirmedAt, Resolved: v.ResolvedAt, Dismissed: v.DismissedAt} {
		maps.Copy(shown, object{string(state) + "_at": stamp(at), string(state) + "_by_id": f.by(v, at)})
	}
	if f.since(signedHooks) {
		shown["scanner_external_id"] = "gitleaks"
	}
	return shown
}

func (v *vulnerability) path() string {
	return "/" + v.project.path + "/-/security/vulnerabilities/" + strconv.FormatInt(v.ID, 10)
}

func (v *vulnerability) url() string { return htmlURL + v.path() }

func (v *vulnerability) blobPath() string {
	return fmt.Sprintf("/%s/-/blob/%s/%s#L%d", v.project.path, v.Commit, v.File, v.Line)
}
