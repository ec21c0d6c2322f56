package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/outbound"
)

// The states of a vulnerability, as in REST.
const (
	detected  = "detected"
	confirmed = "confirmed"
	resolved  = "resolved"
	dismissed = "dismissed"
)

// maxComment is how long a comment may be, in characters; GitLab accepts fifty times as many.
const maxComment = 1000

// change is one kind of change to a vulnerability.
type change struct {
	doing    string
	state    string // the state afterwards
	mutation string // of GraphQL
	verb     string // of REST
}

// The two changes that the collector asks for.
var (
	resolving = change{"resolving the vulnerability", resolved, "vulnerabilityResolve", "resolve"}
	reverting = change{"reopening the vulnerability", detected, "vulnerabilityRevertToDetected", "revert"}
)

// Resolve implements collect.Vendor.
func (v *vendor) Resolve(ctx context.Context, text, comment string) error {
	return v.change(ctx, text, comment, resolving)
}

// Reopen implements collect.Vendor. A vulnerability that somebody dismissed stays closed: we made no such claim.
func (v *vendor) Reopen(ctx context.Context, text, comment string) error {
	return v.change(ctx, text, comment, reverting)
}

// change makes a change unless it was made before, by whomever and with whatever comment.
func (v *vendor) change(ctx context.Context, text, comment string, c change) error {
	r, err := v.ownClosable(text)
	if err != nil {
		return err
	}
	is, err := v.vulnerability(ctx, r, c.doing)
	if err != nil || c.isNeedless(is.State) {
		return err
	}
	err = v.mutate(ctx, r, shorten(comment), c)
	if errors.Is(err, gitlabclient.ErrOlder) { // it takes no comment in GraphQL yet
		err = v.post(ctx, r, shorten(comment), c)
	}
	if outbound.Answered(err, http.StatusNotModified) || errors.Is(err, errPayload) { // somebody else may have been first
		if is, again := v.vulnerability(ctx, r, c.doing); again == nil && c.isNeedless(is.State) {
			return nil
		}
	}
	return err
}

// isNeedless reports whether a vulnerability in this state needs no change.
func (c change) isNeedless(state string) bool {
	if c.state == resolved {
		return state == resolved || state == dismissed
	}
	return state != resolved
}

// errPayload means that GitLab refuses a change in the words of its payload, which we drop.
var errPayload = errors.New("GitLab does not accept the change")

// mutate makes a change with a comment. Whether it was made is what the answer says about the vulnerability.
func (v *vendor) mutate(ctx context.Context, r Ref, comment string, c change) error {
	var data map[string]*struct {
		Vulnerability struct{ ID, State string }
		Errors        []string
	}
	err := v.client.Ask(ctx, gitlabclient.Query{
		Doing: c.doing, Into: &data,
		Text: "mutation($id: VulnerabilityID!, $comment: String) { " + c.mutation +
			"(input: {id: $id, comment: $comment}) { vulnerability { id state } errors } }",
		Variables: map[string]any{"id": vulnerabilityGID + strconv.FormatInt(r.number, 10), "comment": comment},
	})
	if err != nil {
		return err
	}
	payload := data[c.mutation]
	switch {
	case payload == nil:
		return fmt.Errorf("%s: %w", c.doing, gitlabclient.ErrUnreadable)
	case len(payload.Errors) > 0:
		return fmt.Errorf("%s: %w", c.doing, errPayload)
	}
	return c.made(r, globalID(payload.Vulnerability.ID, vulnerabilityGID), strings.ToLower(payload.Vulnerability.State))
}

// post makes a change by REST, which go-gitlab has no method for. A version that knows no comment there leaves it out.
func (v *vendor) post(ctx context.Context, r Ref, comment string, c change) error {
	var is found
	var body any
	if comment != "" {
		body = map[string]string{"comment": comment}
	}
	_, err := v.client.Do(ctx, gitlabclient.Call{
		Doing: c.doing, Send: gitlabclient.Raw(http.MethodPost, r.path()+"/"+c.verb, nil, body, &is),
	})
	if err != nil {
		return err
	}
	return c.made(r, is.ID, is.State)
}

// made returns an error unless the answer is about this vulnerability, in the state that we want.
func (c change) made(r Ref, number int64, state string) error {
	switch {
	case number != r.number:
		return fmt.Errorf("%s: %w", c.doing, errOther)
	case state != c.state:
		return fmt.Errorf("%s: %w", c.doing, errUnchanged)
	}
	return nil
}

// confirm confirms a vulnerability that nobody has looked at. Nothing depends on it.
func (v *vendor) confirm(ctx context.Context, r Ref, is found) {
	if is.State != detected {
		return
	}
	err := v.post(ctx, r, "", change{doing: "confirming the vulnerability", state: confirmed, verb: "confirm"})
	if err != nil && !outbound.Answered(err, http.StatusNotModified) {
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
