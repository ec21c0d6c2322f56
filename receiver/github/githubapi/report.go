package githubapi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"stanch/receiver/github/githubclient"
	"stanch/receiver/outbound"
)

// maxComment is how long a comment may be, in characters. GitHub documents no limit for secret scanning, but has this one
// for its other alerts.
const maxComment = 280

// The state of a closed alert, and the reason that we give for closing it.
const (
	resolved = "resolved"
	revoked  = "revoked"
)

// change is one kind of change to an alert.
type change struct {
	doing    string
	state    string // the state afterwards
	validity any    // nil: what GitHub finds out by itself
	fields   map[string]any
}

// Resolve implements collect.Vendor.
func (v *vendor) Resolve(ctx context.Context, text, comment string) error {
	fields := map[string]any{"state": resolved, "resolution": revoked}
	if comment = shorten(comment); comment != "" {
		fields["resolution_comment"] = comment
	}
	return v.change(ctx, text, change{"closing the alert", resolved, "inactive", fields})
}

// Reopen implements collect.Vendor. GitHub takes no comment with it, and removes the one that closed the alert. An alert that
// somebody closed for another reason than a revoked key stays closed: we made no such claim. The validity is not set to
// active: that would come back to us as news about the leak, although a person may have enabled the key.
func (v *vendor) Reopen(ctx context.Context, text, _ string) error {
	return v.change(ctx, text, change{"reopening the alert", "open", nil, map[string]any{"state": "open"}})
}

// change makes a change unless it was made before, by whomever and with whatever comment.
func (v *vendor) change(ctx context.Context, text string, c change) error {
	r, err := v.own(text)
	if err != nil {
		return err
	}
	if is, err := v.standing(ctx, r, c.doing); err != nil || c.isNeedless(is) {
		return err
	}
	err = v.update(ctx, r, c, true)
	if outbound.Answered(err, http.StatusUnprocessableEntity) { // the server may not know validity yet
		err = v.update(ctx, r, c, false)
	}
	if outbound.Answered(err, http.StatusBadRequest, http.StatusNotModified) { // somebody else may have been first
		if is, again := v.standing(ctx, r, c.doing); again == nil && c.isNeedless(is) {
			return nil
		}
	}
	return err
}

// standing is the state of an alert.
type standing struct {
	Number     int64  `json:"number"`
	State      string `json:"state"`
	Resolution string `json:"resolution"`
}

// isNeedless reports whether there is nothing to change.
func (c change) isNeedless(is standing) bool {
	return is.State == c.state || is.State == resolved && is.Resolution != revoked
}

// standing asks for the state of an alert, without its secret: go-github's Get cannot leave that out.
func (v *vendor) standing(ctx context.Context, r Ref, doing string) (standing, error) {
	var is standing
	_, err := v.client.Do(ctx, githubclient.Call{
		Doing: doing, Needs: githubclient.WriteAlerts,
		Send: githubclient.Raw(http.MethodGet, r.path(), url.Values{"hide_secret": {"true"}}, nil, &is),
	})
	if err == nil && is.Number != r.number {
		err = fmt.Errorf("%s: %w", doing, errOther)
	}
	return is, err
}

// update sends a change. Whether it was made is what the answer says about the alert, not its status. go-github's options
// have no resolution_comment and no validity.
func (v *vendor) update(ctx context.Context, r Ref, c change, validity bool) error {
	fields := maps.Clone(c.fields)
	if validity {
		fields["validity"] = c.validity
	}
	var is standing
	_, err := v.client.Do(ctx, githubclient.Call{
		Doing: c.doing, Needs: githubclient.WriteAlerts,
		Send: githubclient.Raw(http.MethodPatch, r.path(), nil, fields, &is),
		Hints: map[int]string{http.StatusForbidden: "dismissing alerts may need approval there (delegated alert " +
			"dismissal), or our token may only read; close it by hand"},
	})
	switch {
	case err != nil:
		return err
	case is.Number != r.number:
		return fmt.Errorf("%s: %w", c.doing, errOther)
	case is.State != c.state:
		return fmt.Errorf("%s: %w", c.doing, errUnchanged)
	}
	return nil
}

// shorten cuts a comment to what GitHub accepts, between two characters. Its last word, a link to the incident, stays.
func shorten(comment string) string {
	comment = strings.ToValidUTF8(comment, "\uFFFD")
	text := []rune(comment)
	if len(text) <= maxComment {
		return comment
	}
	var last []rune
	if at := strings.LastIndexByte(comment, ' '); at >= 0 && utf8.RuneCountInString(comment[at:]) <= maxComment/2 {
		last = []rune(comment[at:])
	}
	return string(text[:maxComment-1-len(last)]) + "…" + string(last)
}
