package githubapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxComment is how long a comment may be, in characters. GitHub documents no limit for secret scanning; its other
// alerts have this one.
const maxComment = 280

// resolved is the state that closes an alert, and revoked the reason that we give.
const (
	resolved = "resolved"
	revoked  = "revoked"
)

// change is one kind of change to an alert.
type change struct {
	doing    string
	state    string // that it leads to
	validity any    // nil: what GitHub finds by itself
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

// Reopen implements collect.Vendor. GitHub takes no comment with it, and takes the one away that closed the alert. An
// alert that somebody closed for another reason than that the key is revoked is not opened: it is no claim of ours.
// The validity is not called active: that would come back to us as news about the leak, and a person may have enabled
// the key.
func (v *vendor) Reopen(ctx context.Context, text, _ string) error {
	return v.change(ctx, text, change{"opening the alert again", "open", nil, map[string]any{"state": "open"}})
}

// change changes an alert that is not as wanted yet. Whoever made it so before, with whatever comment, is left alone.
func (v *vendor) change(ctx context.Context, text string, c change) error {
	r, err := v.own(text)
	if err != nil {
		return err
	}
	if is, err := v.standing(ctx, r, c.doing); err != nil || c.needless(is) {
		return err
	}
	err = v.update(ctx, r, c, true)
	if answered(err, http.StatusUnprocessableEntity) { // a server that does not know validity yet
		err = v.update(ctx, r, c, false)
	}
	if answered(err, http.StatusBadRequest, http.StatusNotModified) { // somebody else may have been first
		if is, again := v.standing(ctx, r, c.doing); again == nil && c.needless(is) {
			return nil
		}
	}
	return err
}

// standing is how an alert stands.
type standing struct {
	Number     int64  `json:"number"`
	State      string `json:"state"`
	Resolution string `json:"resolution"`
}

// needless reports whether there is nothing to change.
func (c change) needless(is standing) bool {
	return is.State == c.state || is.State == resolved && is.Resolution != revoked
}

// standing asks how an alert stands, and not for its secret.
func (v *vendor) standing(ctx context.Context, r Ref, doing string) (standing, error) {
	var is standing
	_, err := v.ask(ctx, request{
		doing: doing, method: http.MethodGet, path: r.path(), query: url.Values{"hide_secret": {"true"}}, into: &is,
		needs: writeAlerts,
	})
	if err == nil && is.Number != r.number {
		err = fmt.Errorf("%s: %w", doing, errOther)
	}
	return is, err
}

// update sends a change. That it was made is what the answer says of the alert, not its status.
func (v *vendor) update(ctx context.Context, r Ref, c change, validity bool) error {
	fields := maps.Clone(c.fields)
	if validity {
		fields["validity"] = c.validity
	}
	var is standing
	_, err := v.ask(ctx, request{
		doing: c.doing, method: http.MethodPatch, path: r.path(), body: fields, into: &is, needs: writeAlerts,
		hints: map[int]string{http.StatusForbidden: "dismissing alerts may need approval there (delegated alert " +
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

// answered reports whether GitHub answered with one of these statuses.
func answered(err error, statuses ...int) bool {
	no, ok := errors.AsType[*refusal](err)
	return ok && slices.Contains(statuses, no.status)
}

// shorten cuts a comment to what GitHub takes, between two characters. Its last word, which is a link to the
// incident, stays.
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
