package gitlabapi

import (
	"context"
	"fmt"
	"iter"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/gitlab/gitlabclient"
)

// openQuery lists what is open, latest first: GitLab sorts by when something was detected, and by no later change.
const openQuery = `query($group: ID!, $first: Int, $after: String) { group(fullPath: $group) {
  vulnerabilities(
    reportType: [SECRET_DETECTION], state: [DETECTED, CONFIRMED], sort: detected_desc, first: $first, after: $after
  ) {
    nodes { id detectedAt project { fullPath } }
    pageInfo { endCursor hasNextPage }
  }
} }`

// listed is a vulnerability of a list.
type listed struct {
	ID         string
	DetectedAt time.Time
	Project    struct{ FullPath string }
}

// openPage is a page of the list.
type openPage struct {
	Nodes    []listed
	PageInfo struct {
		EndCursor   string
		HasNextPage bool
	}
}

// Open implements collect.Vendor. A vulnerability counts as changed when it was detected: one that was detected earlier and
// reopened since is found by a list of everything.
func (v *vendor) Open(ctx context.Context, since time.Time) iter.Seq2[collect.Listed, error] {
	since = since.Truncate(time.Second) // GitLab's times have no fractions here
	return func(yield func(collect.Listed, error) bool) {
		for page, err := range v.openPages(ctx) {
			if err != nil {
				yield(collect.Listed{}, err)
				return
			}
			for _, l := range page.Nodes {
				if !l.DetectedAt.IsZero() && l.DetectedAt.Before(since) {
					return
				}
				r, err := VulnerabilityRef(l.Project.FullPath, globalID(l.ID, vulnerabilityGID))
				if err != nil || !r.In(v.group) {
					v.log.WarnContext(ctx, "a listed vulnerability is not of the group, or has no project and number")
				} else if !yield(collect.Listed{Ref: r.String(), UpdatedAt: l.DetectedAt}, nil) {
					return
				}
			}
		}
	}
}

// openPages yields page after page. An error ends it, and so does a cursor that occurred before: a server that repeats itself
// would keep us asking for ever.
func (v *vendor) openPages(ctx context.Context) iter.Seq2[openPage, error] {
	return func(yield func(openPage, error) bool) {
		seen := map[string]bool{}
		for after := ""; ; {
			page, err := v.openPage(ctx, gitlabclient.PerPage, after)
			next := page.PageInfo.EndCursor
			more := err == nil && page.PageInfo.HasNextPage && next != ""
			if more && seen[next] {
				err = fmt.Errorf("%s: %w", listingOpen, gitlabclient.ErrRepeats)
			}
			if !yield(page, err) || err != nil || !more {
				return
			}
			after, seen[next] = next, true
		}
	}
}

// listingOpen says what we are doing, for errors.
const listingOpen = "listing the vulnerabilities of the group"

// openPage fetches a page. A missing list is not an empty one: GitLab answers null to a token that may not see the list.
func (v *vendor) openPage(ctx context.Context, first int, after string) (openPage, error) {
	var data struct {
		Group *struct{ Vulnerabilities *openPage }
	}
	variables := map[string]any{"group": v.group, "first": first}
	if after != "" {
		variables["after"] = after
	}
	err := v.client.Ask(ctx, gitlabclient.Query{Doing: listingOpen, Text: openQuery, Variables: variables, Into: &data})
	switch {
	case err != nil:
		return openPage{}, err
	case data.Group == nil:
		return openPage{}, fmt.Errorf("%s: %w: our token does not see the group", listingOpen, collect.ErrRefused)
	case data.Group.Vulnerabilities == nil:
		return openPage{}, fmt.Errorf("%s: %w: our token needs the role Developer at least, and the group GitLab Ultimate",
			listingOpen, collect.ErrRefused)
	case data.Group.Vulnerabilities.Nodes == nil:
		return openPage{}, fmt.Errorf("%s: %w", listingOpen, gitlabclient.ErrUnreadable)
	}
	return *data.Group.Vulnerabilities, nil
}
