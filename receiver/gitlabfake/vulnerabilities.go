package gitlabfake

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// State is what a vulnerability is in, as REST and hooks write it; GraphQL writes it in capitals.
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

// AddVulnerability adds a vulnerability, with whatever is empty made up, and tells nobody; see [Fake.Detect]. It returns
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
// such a vulnerability, and does not enter the journal.
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
