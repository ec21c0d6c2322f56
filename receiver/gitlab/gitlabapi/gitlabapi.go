// Package gitlabapi is GitLab's API as the collector uses it, for the secret detection of one group: it fetches, lists, resolves
// and reopens vulnerabilities. It never asks for anything outside the group, and never at a place that an answer or a
// delivery names.
package gitlabapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/gitlab/gitlabhooks"
)

// Errors that nobody decides on; they are unresolved.
var (
	errOther     = errors.New("the answer is about something else")
	errUnchanged = errors.New("GitLab accepts the change, but the vulnerability is as it was")
)

// vendor implements collect.Vendor, collect.Redeliverer, collect.Selfaware and receiver.Examiner.
type vendor struct {
	group  string
	client *gitlabclient.Client
	hooks  *gitlabhooks.Hooks
	log    *slog.Logger
}

// Open makes the vendor that the collector of a source asks about one group. It is a collect.Redeliverer, a collect.Selfaware
// and a receiver.Examiner as well. It reads the file with our token, and makes no call: GitLab may be down when stanch starts.
func Open(c gitlabclient.Config, source, group string, log *slog.Logger) (collect.Vendor, error) {
	if !gitlabclient.IsPath(group) {
		return nil, fmt.Errorf("opening the API of source %s: its group is not valid", source)
	}
	client, err := gitlabclient.Open(c)
	if err != nil {
		return nil, fmt.Errorf("opening the API of source %s: %w", source, err)
	}
	group, log = strings.ToLower(group), log.With("source", source)
	return &vendor{group, client, gitlabhooks.New(client, source, group, log), log}, nil
}

// Redeliver implements collect.Redeliverer, whatever the time is: GitLab does not say when deliveries were.
func (v *vendor) Redeliver(ctx context.Context, _ time.Time) (int, error) {
	return v.hooks.Redeliver(ctx)
}

// Self implements collect.Selfaware: the number of our token's user.
func (v *vendor) Self(ctx context.Context) (string, error) {
	id, err := v.client.Self(ctx)
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(id, 10), nil
}

// own reads a ref, and refuses one outside our group.
func (v *vendor) own(text string) (Ref, error) {
	r, err := ParseRef(text)
	if err != nil || !r.In(v.group) {
		return Ref{}, fmt.Errorf("%w: it does not belong to the configured group", collect.ErrRefused)
	}
	return r, nil
}

// ownClosable reads the ref of something that can be closed, which a job cannot.
func (v *vendor) ownClosable(text string) (Ref, error) {
	r, err := v.own(text)
	if err == nil && r.subject != vulnerability {
		return Ref{}, fmt.Errorf("%w: a job cannot be closed", collect.ErrRefused)
	}
	return r, err
}

// vulnerabilityGID begins the global id of a vulnerability in GraphQL.
const vulnerabilityGID = "gid://gitlab/Vulnerability/"

// globalID reads the number in a global id; 0: it is malformed.
func globalID(text, prefix string) int64 {
	digits, ok := strings.CutPrefix(text, prefix)
	number, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || number < 1 {
		return 0
	}
	return number
}
