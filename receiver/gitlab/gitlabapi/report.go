package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// The states of a vulnerability, as REST has them.
const (
	detected  = "detected"
	confirmed = "confirmed"
	resolved  = "resolved"
	dismissed = "dismissed"
)

// maxComment is how long a comment may be, in characters; GitLab takes fifty times as many.
const maxComment = 1000

// change is one kind of change to a vulnerability.
type change struct {
	doing    string
	state    string // that it leads to
	mutation string // of GraphQL
	verb     string // of REST
}

// resolving and reverting are the two changes that the collector asks for.
var (
	resolving = change{"resolving the vulnerability", resolved, "vulnerabilityResolve", "resolve"}
	reverting = change{"opening the vulnerability again", detected, "vulnerabilityRevertToDetected", "revert"}
)

// Resolve implements collect.Vendor.
func (v *vendor) Resolve(ctx context.Context, text, comment string) error {
	return v.change(ctx, text, comment, resolving)
}

// Reopen implements collect.Vendor. A vulnerability that somebody dismissed is not opened: that is no claim of ours.
func (v *vendor) Reopen(ctx context.Context, text, comment string) error {
	return v.change(ctx, text, comment, reverting)
}

// change changes a vulnerability that is not as wanted yet. Whoever made it so before, with whatever comment, is left alone.
func (v *vendor) change(ctx context.Context, text, comment string, c change) error {
	r, err := v.ownClosable(text)
	if err != nil {
		return err
	}
	is, err := v.vulnerability(ctx, r, c.doing)
	if err != nil || c.needless(is.State) {
		return err
	}
	err = v.mutate(ctx, r, shorten(comment), c)
	if errors.Is(err, errOlder) { // it takes no comment there yet
		err = v.post(ctx, r, shorten(comment), c)
	}
	if answered(err, http.StatusNotModified) || errors.Is(err, errPayload) { // somebody else may have been first
		if is, again := v.vulnerability(ctx, r, c.doing); again == nil && c.needless(is.State) {
			return nil
		}
	}
	return err
}

// needless reports whether a vulnerability in a state is not to be changed: what is closed stays so, and what is open is open.
func (c change) needless(state string) bool {
	if c.state == resolved {
		return state == resolved || state == dismissed
	}
	return state != resolved
}

// errPayload is that GitLab refuses a change in the words of its payload, which nothing is kept of.
var errPayload = errors.New("GitLab does not take the change")

// mutate makes a change with a comment. That it was made is what the answer says of the vulnerability.
func (v *vendor) mutate(ctx context.Context, r Ref, comment string, c change) error {
	var data map[string]*struct {
		Vulnerability struct{ ID, State string }
		Errors        []string
	}
	err := v.graph(ctx, document{
		doing: c.doing, into: &data,
		text: "mutation($id: VulnerabilityID!, $comment: String) { " + c.mutation +
			"(input: {id: $id, comment: $comment}) { vulnerability { id state } errors } }",
		variables: map[string]any{"id": vulnerabilityGID + strconv.FormatInt(r.number, 10), "comment": comment},
	})
	if err != nil {
		return err
	}
	payload := data[c.mutation]
	switch {
	case payload == nil:
		return fmt.Errorf("%s: %w", c.doing, errUnreadable)
	case len(payload.Errors) > 0:
		return fmt.Errorf("%s: %w", c.doing, errPayload)
	}
	return c.made(r, globalID(payload.Vulnerability.ID, vulnerabilityGID), strings.ToLower(payload.Vulnerability.State))
}

// post makes a change by REST, which leaves a comment out where it does not know one.
func (v *vendor) post(ctx context.Context, r Ref, comment string, c change) error {
	var is found
	send := request{doing: c.doing, method: http.MethodPost, path: r.path() + "/" + c.verb, into: &is}
	if comment != "" {
		send.body = map[string]string{"comment": comment}
	}
	_, err := v.ask(ctx, send)
	if err != nil {
		return err
	}
	return c.made(r, is.ID, is.State)
}

// made is an error unless an answer is about a vulnerability that is as wanted.
func (c change) made(r Ref, number int64, state string) error {
	switch {
	case number != r.number:
		return fmt.Errorf("%s: %w", c.doing, errOther)
	case state != c.state:
		return fmt.Errorf("%s: %w", c.doing, errUnchanged)
	}
	return nil
}

// confirm tells GitLab that a vulnerability is taken for true, if nobody has looked at it. Nothing waits for that.
func (v *vendor) confirm(ctx context.Context, r Ref, is found) {
	if is.State != detected {
		return
	}
	err := v.post(ctx, r, "", change{doing: "confirming the vulnerability", state: confirmed, verb: "confirm"})
	if err != nil && !answered(err, http.StatusNotModified) {
		v.log.WarnContext(ctx, "a vulnerability is not confirmed", "ref", r.String(), "err", err)
	}
}

// shorten cuts a comment between two characters.
func shorten(comment string) string {
	comment = strings.ToValidUTF8(comment, "\uFFFD")
	if text := []rune(comment); len(text) > maxComment {
		return string(text[:maxComment-1]) + "…"
	}
	return comment
}

// Self implements collect.Selfaware: the number of our token's user. It is asked for once.
func (v *vendor) Self(ctx context.Context) (string, error) {
	if id := v.self.Load(); id > 0 {
		return strconv.FormatInt(id, 10), nil
	}
	id, _, err := v.who(ctx)
	if err != nil {
		return "", err
	}
	v.self.Store(id)
	return strconv.FormatInt(id, 10), nil
}

// who asks GitLab who we are. A number that could be nobody's is none: it would be taken for ours.
func (v *vendor) who(ctx context.Context) (id int64, login string, err error) {
	const doing = "asking who we are"
	var user struct {
		ID       int64  `json:"id"`
		Username string `json:"username"`
	}
	_, err = v.ask(ctx, request{doing: doing, method: http.MethodGet, path: "user", into: &user, means: notListed})
	if err == nil && (user.ID < 1 || !isName(user.Username)) {
		err = fmt.Errorf("%s: %w", doing, errUnreadable)
	}
	return user.ID, user.Username, err
}
