package githubfake

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
	"unicode/utf8"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// Alert is a secret scanning alert as a test adds it and reads it back.
type Alert struct {
	Repository  string      // owner/name; empty: acme/shop
	Number      int         // 0: the repository's next
	State       string      // open or resolved; empty: open
	Secret      leak.Secret // empty: made up
	SecretType  string      // a built-in pattern's name, or a custom pattern's slug; empty: acme_api_key
	DisplayName string      // of the type; empty: SecretType
	// Generic is set for what matches no provider's pattern: listings leave it out unless they ask for its type.
	Generic        bool
	Validity       string // active, inactive or unknown; empty: unknown
	PubliclyLeaked bool
	MultiRepo      bool
	Base64         bool
	BypassedBy     string // login of who bypassed push protection; empty: nobody
	AssignedTo     string // login; empty: nobody
	Resolution     string // false_positive, wont_fix, revoked, used_in_tests, pattern_edited or pattern_deleted
	Comment        string // on the resolution
	ResolvedBy     string // login
	ResolvedAt     time.Time
	CreatedAt      time.Time // zero: now
	UpdatedAt      time.Time // zero: CreatedAt
	Locations      []Location
}

type alert struct {
	Alert
	repo *repo
	id   int64 // orders alerts of the same second
}

// AddAlert adds an alert, fills in what is empty, and tells nobody; see [Fake.Raise]. It returns the number.
func (f *Fake) AddAlert(a Alert) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.put(a).Number
}

// Raise adds an alert and sends its hooks: created, and one for each location.
func (f *Fake) Raise(a Alert) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	added := f.put(a)
	f.happened(added, "created", f.bot())
	for _, l := range added.Locations {
		f.located(added, l)
	}
	return added.Number
}

func (f *Fake) put(a Alert) *alert {
	r := f.repository(cmp.Or(a.Repository, "acme/shop"))
	r.last = max(r.last+1, a.Number)
	a.Repository, a.Number = r.Name, cmp.Or(a.Number, r.last)
	a.State = cmp.Or(a.State, "open")
	a.SecretType = cmp.Or(a.SecretType, "acme_api_key")
	a.DisplayName = cmp.Or(a.DisplayName, a.SecretType)
	a.Validity = cmp.Or(a.Validity, "unknown")
	if a.Secret.Empty() {
		a.Secret = leak.NewSecret("acme_" + vendorfake.Random(16))
	}
	if a.CreatedAt.IsZero() {
		a.CreatedAt = f.now()
	}
	if a.UpdatedAt.IsZero() {
		a.UpdatedAt = a.CreatedAt
	}
	a.Locations = slices.Clone(a.Locations)
	added := &alert{Alert: a, repo: r, id: f.nextID()}
	r.alerts[a.Number] = added
	f.changed()
	return added
}

// Alert returns an alert as it is; false: there is none.
func (f *Fake) Alert(repository string, number int) (Alert, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.lookup(repository, number)
	if a == nil {
		return Alert{}, false
	}
	return a.copied(), true
}

// Alerts returns every alert, in the order in which they were added.
func (f *Fake) Alerts() []Alert {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []*alert
	for _, r := range f.repos {
		for _, a := range r.alerts {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b *alert) int { return cmp.Compare(a.id, b.id) })
	alerts := make([]Alert, len(found))
	for i, a := range found {
		alerts[i] = a.copied()
	}
	return alerts
}

func (a *alert) copied() Alert {
	copied := a.Alert
	copied.Locations = slices.Clone(a.Locations)
	return copied
}

// lookup returns an alert of a repository; nil: there is none.
func (f *Fake) lookup(repository string, number int) *alert {
	r := f.repos[strings.ToLower(repository)]
	if r == nil {
		return nil
	}
	return r.alerts[number]
}

// Remove makes an alert answer 404, as when its repository is gone.
func (f *Fake) Remove(repository string, number int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.lookup(repository, number); a != nil {
		delete(a.repo.alerts, number)
		f.changed()
	}
}

// bot is the account that GitHub itself acts as.
func (f *Fake) bot() object { return f.account("github", organisation).show() }

// Act is what [Fake.Act] does to an alert, named as the action of the event that it sends.
type Act string

// The acts.
const (
	Resolve  Act = "resolved"        // with Change.Resolution, or wont_fix, and Change.Comment
	Reopen   Act = "reopened"        // takes the resolution away
	Validate Act = "validated"       // sets Change.Validity, or active
	Publish  Act = "publicly_leaked" // the secret was seen in a public repository
	Assign   Act = "assigned"        // to Change.Assignee, or Admin
	Unassign Act = "unassigned"      // from whoever it is
	Revoke   Act = "revoked"         // an older event, for a token of GitHub's own that was revoked
	Touch    Act = ""                // nothing but the time of the last change; no event
)

// Change is the detail of an act; what the act does not need is ignored.
type Change struct {
	By         string // login of who did it; empty: Admin
	Resolution string
	Comment    string
	Validity   string
	Assignee   string
}

// Act changes an alert as a user or GitHub itself may, sets its time of change, and sends the hook. It reports whether
// there is such an alert. It is not in the journal.
func (f *Fake) Act(act Act, repository string, number int, change Change) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.lookup(repository, number)
	if a == nil {
		return false
	}
	change = change.withDefaults()
	f.act(a, act, change, f.account(change.By, "User").show())
	return true
}

func (c Change) withDefaults() Change {
	c.By, c.Assignee = cmp.Or(c.By, Admin), cmp.Or(c.Assignee, Admin)
	c.Resolution, c.Validity = cmp.Or(c.Resolution, "wont_fix"), cmp.Or(c.Validity, "active")
	return c
}

// act changes an alert and says who did it.
func (f *Fake) act(a *alert, act Act, change Change, sender object) {
	switch act {
	case Resolve:
		a.resolve(change)
		a.ResolvedAt = f.now()
	case Reopen:
		a.reopen()
	case Validate:
		a.Validity = change.Validity
	case Publish:
		a.PubliclyLeaked = true
	case Assign:
		a.AssignedTo = change.Assignee
	case Unassign:
		a.AssignedTo = ""
	case Revoke:
		a.Validity = "inactive"
	case Touch:
	}
	a.UpdatedAt = f.now()
	f.changed()
	if act != Touch {
		f.happened(a, string(act), sender)
	}
}

func (a *alert) resolve(change Change) {
	a.State, a.Resolution, a.Comment, a.ResolvedBy = "resolved", change.Resolution, change.Comment, change.By
}

func (a *alert) reopen() {
	a.State, a.Resolution, a.Comment, a.ResolvedBy, a.ResolvedAt = "open", "", "", "", time.Time{}
}

// AddLocation adds a place to an alert and sends the hook; false: there is no such alert.
func (f *Fake) AddLocation(repository string, number int, l Location) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.lookup(repository, number)
	if a == nil {
		return false
	}
	a.Locations = append(a.Locations, l)
	a.UpdatedAt = f.now()
	f.changed()
	f.located(a, l)
	return true
}

// resolutions are those that a request may give; GitHub itself has two more.
var resolutions = []string{"false_positive", "wont_fix", "revoked", "used_in_tests"}

// theAlert finds the alert that a call names, or answers 404.
func (c *call) theAlert() *answer {
	number, err := strconv.Atoi(c.request.PathValue("alert"))
	c.alert = c.repo.alerts[number]
	if err != nil || c.alert == nil || c.repo.NoScanning {
		return notFound()
	}
	return nil
}

func (c *call) getAlert() *answer {
	if no := c.theAlert(); no != nil {
		return no
	}
	return ok(c.reveal(c.fake.show(c.alert), c.alert))
}

// update is the body of PATCH; a field that is absent is not changed.
type update struct {
	State      *string         `json:"state"`
	Resolution *string         `json:"resolution"`
	Comment    *string         `json:"resolution_comment"`
	Validity   json.RawMessage `json:"validity"`
	Assignee   *string         `json:"assignee"`
}

// updateAlert is PATCH of an alert.
func (c *call) updateAlert() *answer {
	var u update
	no := c.theAlert().Or(func() *answer { return c.read(&u) })
	no = no.Or(func() *answer { return u.check(c.fake.Switches()) })
	no = no.Or(func() *answer { return c.checkState(u) })
	if no != nil {
		return no
	}
	c.apply(u)
	return ok(c.reveal(c.fake.show(c.alert), c.alert))
}

// check refuses values that no alert can have.
func (u update) check(s Switches) *answer {
	state, resolution := deref(u.State), deref(u.Resolution)
	known := slices.Contains(resolutions, resolution)
	switch {
	case u.State == nil && u.Validity == nil && u.Assignee == nil:
		return invalid("state")
	case u.State != nil && state != "open" && state != "resolved":
		return invalid("state")
	case state == "resolved" && !known, state != "resolved" && (resolution != "" || deref(u.Comment) != ""):
		return invalid("resolution")
	case u.Validity != nil && (s.Validity == "refused" || !u.knownValidity()):
		return invalid("validity")
	case s.CommentLimit > 0 && utf8.RuneCountInString(deref(u.Comment)) > s.CommentLimit:
		return refuse(http.StatusBadRequest, "resolution_comment is too long")
	}
	return nil
}

func (u update) knownValidity() bool {
	return slices.Contains([]string{"null", `"active"`, `"inactive"`}, string(u.Validity))
}

// checkState refuses what the alert's state or the organisation does not allow.
func (c *call) checkState(u update) *answer {
	s := c.fake.Switches()
	if u.State == nil {
		return nil
	}
	if *u.State == "resolved" && s.DelegatedDismissal {
		return refuse(http.StatusForbidden, "Alert dismissal requires approval.")
	}
	if *u.State == c.alert.State && deref(u.Resolution) == c.alert.Resolution && s.Unchanged == http.StatusBadRequest {
		return refuse(http.StatusBadRequest, "Alert is already in that state.")
	}
	return nil
}

// apply changes the alert as its caller, and sends the hooks.
func (c *call) apply(u update) {
	f, sender := c.fake, c.token.sender(c.fake)
	change := Change{
		Resolution: deref(u.Resolution), Comment: deref(u.Comment), Assignee: deref(u.Assignee),
		By: sender["login"].(string), Validity: "unknown",
	}
	c.event.Changed = true
	if u.Validity != nil && f.Switches().Validity == "" {
		if text := strings.Trim(string(u.Validity), `"`); text != "null" {
			change.Validity = text
		}
		f.act(c.alert, Validate, change, sender)
	}
	if u.Assignee != nil {
		f.act(c.alert, map[bool]Act{true: Unassign, false: Assign}[*u.Assignee == ""], change, sender)
	}
	switch deref(u.State) {
	case "resolved":
		f.act(c.alert, Resolve, change, sender)
	case "open":
		f.act(c.alert, Reopen, change, sender)
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// show writes an alert as the REST API answers it, without its secret and its repository.
func (f *Fake) show(a *alert) object {
	shown := f.whole(a)
	maps.Copy(shown, object{
		"state": a.State, "secret_type_display_name": a.DisplayName, "validity": a.Validity,
		"publicly_leaked": a.PubliclyLeaked, "multi_repo": a.MultiRepo, "is_base64_encoded": a.Base64,
		"assigned_to": f.user(a.AssignedTo), "has_more_locations": len(a.Locations) > 1, "first_location_detected": nil,
		"push_protection_bypass_request_reviewer": nil, "push_protection_bypass_request_comment": nil,
	})
	if len(a.Locations) > 0 {
		shown["first_location_detected"] = a.Locations[0].details(a.repo)
	}
	return shown
}

// hooked writes an alert as the secret_scanning_alert event has it: with neither secret nor state.
func (f *Fake) hooked(a *alert) object {
	if f.Switches().Sparse {
		return f.sparse(a)
	}
	return f.whole(a)
}

// sparse is what an older server says of an alert in an event.
func (f *Fake) sparse(a *alert) object {
	return object{
		"number": a.Number, "secret_type": a.SecretType,
		"resolution": vendorfake.Null(a.Resolution), "resolved_by": f.user(a.ResolvedBy), "resolved_at": stamp(a.ResolvedAt),
	}
}

// whole is what events and the REST API both say of an alert.
func (f *Fake) whole(a *alert) object {
	shown := f.sparse(a)
	maps.Copy(shown, object{
		"url": a.apiURL(), "locations_url": a.apiURL() + "/locations",
		"html_url":   htmlURL + "/" + a.repo.Name + "/security/secret-scanning/" + strconv.Itoa(a.Number),
		"created_at": stamp(a.CreatedAt), "updated_at": stamp(a.UpdatedAt), "resolution_comment": vendorfake.Null(a.Comment),
		"push_protection_bypassed":    a.BypassedBy != "",
		"push_protection_bypassed_by": f.user(a.BypassedBy), "push_protection_bypassed_at": a.bypassedAt(),
	})
	return shown
}

// bypassedAt is when push protection was bypassed: when the alert was made.
func (a *alert) bypassedAt() any {
	if a.BypassedBy == "" {
		return stamp(time.Time{})
	}
	return stamp(a.CreatedAt)
}

func (a *alert) apiURL() string {
	return fmt.Sprintf("%s/secret-scanning/alerts/%d", a.repo.apiURL(), a.Number)
}

// reveal adds the secret to what a call is answered, unless it asked not to see it.
func (c *call) reveal(shown object, a *alert) object {
	if c.request.URL.Query().Get("hide_secret") != "true" {
		shown["secret"] = a.Secret.Reveal()
		c.event.Secrets++
	}
	return shown
}

// Location is a place where a secret was seen.
type Location struct {
	Type string // one of LocationTypes; empty: commit
	// URL is what the details name: of the commit or of the issue, comment ...; empty: made up.
	URL string
	// Path and Line are where in a commit or a wiki page; empty: config/settings.env, line 7.
	Path string
	Line int
}

// LocationTypes returns every type of location that GitHub documents.
func LocationTypes() []string {
	return []string{
		"commit", "wiki_commit", "issue_title", "issue_body", "issue_comment", "discussion_title", "discussion_body",
		"discussion_comment", "pull_request_title", "pull_request_body", "pull_request_comment", "pull_request_review",
		"pull_request_review_comment",
	}
}

// places is the path of a made-up URL below the repository's page or its API, by type.
var places = map[string]string{
	"commit":                      "/git/commits/4a5b6c7d8e9f00112233445566778899aabbccdd",
	"wiki_commit":                 "/wiki/_compare/4a5b6c7d8e9f00112233445566778899aabbccdd",
	"issue_title":                 "/issues/12",
	"issue_body":                  "/issues/12",
	"issue_comment":               "/issues/comments/3456",
	"discussion_title":            "/discussions/21",
	"discussion_body":             "/discussions/21#discussion-4567",
	"discussion_comment":          "/discussions/21#discussioncomment-5678",
	"pull_request_title":          "/pulls/34",
	"pull_request_body":           "/pulls/34",
	"pull_request_comment":        "/issues/comments/6789",
	"pull_request_review":         "/pulls/34/reviews/56",
	"pull_request_review_comment": "/pulls/comments/78",
}

// url is what the details name.
func (l Location) url(r *repo) string {
	if l.URL != "" {
		return l.URL
	}
	switch l.Type {
	case "wiki_commit", "discussion_title", "discussion_body", "discussion_comment":
		return htmlURL + "/" + r.Name + places[l.Type]
	}
	return r.apiURL() + places[cmp.Or(l.Type, "commit")]
}

// details writes what a location says beside its type.
func (l Location) details(r *repo) object {
	kind := cmp.Or(l.Type, "commit")
	if kind != "commit" && kind != "wiki_commit" {
		return object{kind + "_url": l.url(r)}
	}
	line := cmp.Or(l.Line, 7)
	details := object{
		"path": cmp.Or(l.Path, "config/settings.env"), "start_line": line, "end_line": line, "start_column": 9,
		"end_column": 41, "blob_sha": "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567",
		"commit_sha": "4a5b6c7d8e9f00112233445566778899aabbccdd", "commit_url": l.url(r),
	}
	if kind == "commit" {
		details["blob_url"] = fmt.Sprintf("%s/git/blobs/%s", r.apiURL(), details["blob_sha"])
	} else {
		details["page_url"] = htmlURL + "/" + r.Name + "/wiki/Home"
	}
	return details
}

func (l Location) show(r *repo) object {
	return object{"type": cmp.Or(l.Type, "commit"), "details": l.details(r)}
}

func (c *call) listLocations() *answer {
	if no := c.theAlert(); no != nil {
		return no
	}
	shown := []object{}
	for _, l := range byPage(c, c.alert.Locations) {
		shown = append(shown, l.show(c.repo))
	}
	return ok(shown)
}
