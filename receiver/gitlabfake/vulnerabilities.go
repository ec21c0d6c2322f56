package gitlabfake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// State is the state of a vulnerability, as REST and hooks write it; GraphQL writes it in capitals.
type State string

// The states.
const (
	Detected  State = "detected"
	Confirmed State = "confirmed"
	Resolved  State = "resolved"
	Dismissed State = "dismissed"
)

// Vulnerability is a vulnerability as a test adds it and reads it back.
type Vulnerability struct {
	ID         int64       // made up, unless it is given
	Project    string      // path; empty: acme/shop
	Title      string      // empty: made from Rule
	State      State       // empty: Detected
	Severity   string      // critical, high ...; empty: critical
	ReportType string      // empty: secret_detection
	Rule       string      // of gitleaks, as the external id of the identifier has it; empty: Acme API key
	Secret     leak.Secret // empty: made up
	// Commit is the SHA where it was found. Empty: a new commit on the default branch, with the secret in File.
	Commit      string
	File        string // empty: config/settings.env
	Line        int    // 0: 7
	Comment     string // on the last change of the state
	Comments    int    // how many changes of the state came with a comment
	By          string // login of who changed the state; empty: nobody
	Gone        bool   // no longer detected on the default branch; its state stays what it is
	CreatedAt   time.Time
	UpdatedAt   time.Time
	ConfirmedAt time.Time
	ResolvedAt  time.Time
	DismissedAt time.Time
}

type vulnerability struct {
	Vulnerability
	project  *project
	uuid     string
	pipeline int64
	issues   []object
}

// AddVulnerability adds a vulnerability, fills in what is empty, and tells nobody; see [Fake.Detect]. It returns
// the id.
func (f *Fake) AddVulnerability(v Vulnerability) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.put(v).ID
}

// Detect adds a vulnerability and sends its hooks.
func (f *Fake) Detect(v Vulnerability) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	added := f.put(v)
	f.happened(added, "")
	return added.ID
}

func (f *Fake) put(v Vulnerability) *vulnerability {
	p := f.addProject(v.Project)
	v.Project, v.ID = p.path, cmp.Or(v.ID, f.nextID())
	v.State, v.Severity = cmp.Or(v.State, Detected), cmp.Or(v.Severity, "critical")
	v.ReportType, v.Rule = cmp.Or(v.ReportType, "secret_detection"), cmp.Or(v.Rule, "Acme API key")
	v.Title = cmp.Or(v.Title, v.Rule)
	v.File, v.Line = cmp.Or(v.File, "config/settings.env"), cmp.Or(v.Line, 7)
	if v.Secret.Empty() {
		v.Secret = leak.NewSecret("acme_" + vendorfake.Random(16))
	}
	if v.CreatedAt.IsZero() {
		v.CreatedAt = f.now()
	}
	if v.UpdatedAt.IsZero() {
		v.UpdatedAt = v.CreatedAt
	}
	if v.Commit == "" {
		v.Commit = p.commit(map[string]string{v.File: v.content()})
	}
	added := &vulnerability{Vulnerability: v, project: p, uuid: vendorfake.UUID(), pipeline: f.nextID()}
	f.vulnerabilities[v.ID] = added
	f.changed()
	return added
}

// content is a file that has the secret in its line.
func (v Vulnerability) content() string {
	var lines []string
	for n := 1; n < v.Line; n++ {
		lines = append(lines, fmt.Sprintf("SETTING_%d=%d", n, n))
	}
	return strings.Join(append(lines, "ACME_KEY="+v.Secret.Reveal(), "DEBUG=false", ""), "\n")
}

// Vulnerability returns a vulnerability as it is; false: there is none.
func (f *Fake) Vulnerability(id int64) (Vulnerability, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.vulnerabilities[id]
	if !ok {
		return Vulnerability{}, false
	}
	return v.Vulnerability, true
}

// Vulnerabilities returns every vulnerability, by id.
func (f *Fake) Vulnerabilities() []Vulnerability {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []Vulnerability
	for _, v := range f.vulnerabilities {
		found = append(found, v.Vulnerability)
	}
	slices.SortFunc(found, func(a, b Vulnerability) int { return cmp.Compare(a.ID, b.ID) })
	return found
}

// Remove makes a vulnerability answer 404.
func (f *Fake) Remove(id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.vulnerabilities, id)
	f.changed()
}

// Change puts a vulnerability in a state as a user does, empty: Admin, and sends the hooks. It reports whether there is
// such a vulnerability, and is not in the journal.
func (f *Fake) Change(id int64, state State, by, comment string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.vulnerabilities[id]
	if ok {
		f.change(v, state, cmp.Or(by, Admin), comment, "")
	}
	return ok
}

// LinkIssue links an issue to a vulnerability and sends the hooks; false: there is no such vulnerability.
func (f *Fake) LinkIssue(id int64, title string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.vulnerabilities[id]
	if !ok {
		return false
	}
	at := stamp(f.now())
	url := fmt.Sprintf("%s/-/issues/%d", v.project.url(), len(v.issues)+1)
	v.issues = append(v.issues, object{"title": title, "url": url, "created_at": at, "updated_at": at})
	f.happened(v, "")
	return true
}

// change changes the state; chain is the X-Gitlab-Event-UUID of the request that asks for it, empty: none.
func (f *Fake) change(v *vulnerability, state State, by, comment, chain string) {
	v.State, v.By, v.Comment, v.UpdatedAt = state, by, comment, f.now()
	if comment != "" {
		v.Comments++
	}
	v.ConfirmedAt, v.ResolvedAt, v.DismissedAt = time.Time{}, time.Time{}, time.Time{}
	switch state {
	case Confirmed:
		v.ConfirmedAt = v.UpdatedAt
	case Resolved:
		v.ResolvedAt = v.UpdatedAt
	case Dismissed:
		v.DismissedAt = v.UpdatedAt
	}
	f.changed()
	f.happened(v, chain)
}

// listVulnerabilities lists those of a project, the most severe first. There is no filter, whatever the query says.
func (c *call) listVulnerabilities() *answer {
	found := c.fake.chosen(filter{projects: []*project{c.project}, sort: "severity_desc"})
	size := min(positive(c.request.URL.Query(), "per_page", 20), 100)
	shown := []object{}
	for _, v := range byNumber(c, found, size) {
		shown = append(shown, c.show(v))
	}
	return ok(shown)
}

func (c *call) getVulnerability() *answer {
	c.project = c.vulnerability.project
	return ok(c.show(c.vulnerability))
}

// change makes the handler of POST .../confirm, resolve, dismiss and revert, which answers 304 when the state is that.
func change(state State) func(*call) *answer {
	return func(c *call) *answer {
		var said struct{ Comment string }
		if no := c.read(&said); no != nil {
			return no
		}
		v := c.vulnerability
		if v.State == state {
			return &answer{Status: http.StatusNotModified}
		}
		if c.fake.Switches().NoComment {
			said.Comment = ""
		}
		c.project = v.project
		c.enter(v, state, said.Comment)
		return created(c.show(v))
	}
}

// enter changes the state as the caller, and as part of the chain that the request belongs to.
func (c *call) enter(v *vulnerability, state State, comment string) {
	c.event.Changed = true
	c.fake.change(v, state, c.token.Login, comment, c.event.Cause)
}

// filter is what a listing of vulnerabilities is about; nil slices: any.
type filter struct {
	projects   []*project
	reports    []string
	states     []State
	severities []string
	sort       string // severity or detected, with _asc or _desc
	key        string // of what a listing of these finds; empty: it is not kept
}

// severities, the worst first.
var severities = []string{"critical", "high", "unknown", "medium", "low", "info"}

// chosen returns what a filter lets through, in its order. With a key it is kept until something changes, so that paging
// through a hundred thousand vulnerabilities does not sort them for every page.
func (f *Fake) chosen(by filter) []*vulnerability {
	if kept, ok := f.lists[by.key]; ok && by.key != "" {
		return kept
	}
	var found []*vulnerability
	for _, v := range f.vulnerabilities {
		if by.admits(v) {
			found = append(found, v)
		}
	}
	slices.SortFunc(found, by.compare)
	if by.key != "" {
		f.lists[by.key] = found
	}
	return found
}

func (by filter) admits(v *vulnerability) bool {
	return slices.Contains(by.projects, v.project) &&
		(by.reports == nil || slices.Contains(by.reports, v.ReportType)) &&
		(by.states == nil || slices.Contains(by.states, v.State)) &&
		(by.severities == nil || slices.Contains(by.severities, v.Severity))
}

// compare orders vulnerabilities; those that are equal go by id, in the same direction.
func (by filter) compare(a, b *vulnerability) int {
	rising := cmp.Or(cmp.Compare(by.rank(a), by.rank(b)), cmp.Compare(a.ID, b.ID))
	if by.sort == "severity_asc" || by.sort == "detected_asc" {
		return rising
	}
	return -rising
}

// rank is what a listing is sorted by, before the id.
func (by filter) rank(v *vulnerability) int64 {
	if by.sort == "detected_asc" || by.sort == "detected_desc" {
		return v.CreatedAt.UnixMilli()
	}
	return -int64(slices.Index(severities, v.Severity))
}

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

// by is the id of the user who changed the state at a time; null for the zero time.
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
