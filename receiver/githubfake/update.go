package githubfake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

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
