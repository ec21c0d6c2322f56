package gitlabapi

import (
	"context"
	"errors"
	"slices"
	"time"

	gl "github.com/xanzy/go-gitlab"

	"stanch/receiver/collect"
	"stanch/receiver/gitlab/gitlabclient"
	"stanch/receiver/leak"
)

// Examine implements receiver.Examiner. It reports on what the collector needs of GitLab: our token, the group's
// vulnerabilities, the hooks and their deliveries, the rate limit and the clock. It changes nothing.
func (v *vendor) Examine(ctx context.Context) []leak.Finding {
	var found leak.Findings
	if v.examineToken(ctx, &found) {
		v.examineVulnerabilities(ctx, &found)
		v.hooks.Examine(ctx, &found)
	}
	if last := v.client.Last(); last != nil {
		collect.ExamineRate(&found, last.Header, gitlabclient.RatePrefix, "minute")
		found.Clock(last.Header.Get("Date"), last.Asked, last.Answered)
	}
	return found
}

// examineToken reports who we are to GitLab, and returns whether it knows us.
func (v *vendor) examineToken(ctx context.Context, found *leak.Findings) bool {
	const check = "credential"
	_, login, err := v.client.Who(ctx)
	if err != nil {
		found.Broken(check, "%v", err)
		return false
	}
	var token *gl.PersonalAccessToken
	_, err = v.client.Do(ctx, gitlabclient.Call{
		Doing: "asking what our token may do", Means: gitlabclient.NotGone,
		Send: func(to *gitlabclient.API, options ...gl.RequestOptionFunc) (err error) {
			token, _, err = to.PersonalAccessTokens.GetSinglePersonalAccessToken(options...)
			return err
		},
	})
	switch {
	case err != nil:
		found.Doubt(check, "our token is %s's; %v", login, err)
	case !slices.Contains(token.Scopes, "api"):
		found.Broken(check, "our token is %s's and lacks the scope api: nothing can be confirmed, resolved or sent again", login)
	default:
		found.Good(check, "our token is %s's, with the scope api", login)
	}
	if err == nil {
		var expires time.Time
		if token.ExpiresAt != nil {
			expires = time.Time(*token.ExpiresAt)
		}
		collect.ExamineExpiry(found, "GitLab", expires)
	}
	return true
}

// examineVulnerabilities reports whether vulnerabilities can be listed and their secrets seen. It fetches one secret and does not
// keep it.
func (v *vendor) examineVulnerabilities(ctx context.Context, found *leak.Findings) {
	const listing, secrets = "listing vulnerabilities", "seeing secrets"
	page, err := v.openPage(ctx, 1, "")
	if err != nil {
		found.Broken(listing, "%v", err)
		return
	}
	found.Good(listing, "the vulnerabilities of %s can be listed", v.group)
	if len(page.Nodes) == 0 {
		found.Good(secrets, "not tried: nothing is open")
		return
	}
	l := page.Nodes[0]
	r, err := VulnerabilityRef(l.Project.FullPath, globalID(l.ID, vulnerabilityGID))
	if err != nil || !r.In(v.group) {
		found.Doubt(secrets, "not tried: the newest vulnerability has no project and number of the group")
		return
	}
	is, err := v.vulnerability(ctx, r, "fetching the vulnerability")
	if err == nil {
		_, err = v.leaked(ctx, r, is)
	}
	switch {
	case errors.Is(err, collect.ErrNoSecret):
		found.Doubt(secrets, "the newest vulnerability holds none that can be told from the text around it; such ones become dead letters")
		return
	case err != nil:
		found.Broken(secrets, "%v", err)
		return
	}
	found.Good(secrets, "the secret of the newest vulnerability can be told")
}
