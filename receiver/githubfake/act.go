package githubfake

import (
	"cmp"
	"time"
)

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

// Act changes an alert as a user or GitHub itself may, moves its time of change, and sends the hook. It reports whether
// there is such an alert, and does not enter the journal.
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
