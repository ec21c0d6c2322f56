package gitlabapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
)

const (
	// expirySoon is how long before our own token expires somebody should see to it.
	expirySoon = 14 * 24 * time.Hour
	// fewLeft is the part of the allowed requests below which somebody should look.
	fewLeft = 10
)

// Examine says how it stands with what the collector asks of GitLab: our token, the group's vulnerabilities, the hooks and
// their deliveries, the rate limit and the clock. It changes nothing.
func (v *vendor) Examine(ctx context.Context) []leak.Finding {
	var found leak.Findings
	if v.examineToken(ctx, &found) {
		v.examineVulnerabilities(ctx, &found)
		v.examineHooks(ctx, &found)
	}
	if last := v.caller.last.Load(); last != nil {
		examineRate(&found, last.header)
		found.Clock(last.header.Get("Date"), last.asked, last.answered)
	}
	return found
}

// examineToken says who we are to GitLab, and reports whether it knows us.
func (v *vendor) examineToken(ctx context.Context, found *leak.Findings) bool {
	const check = "credential"
	_, login, err := v.who(ctx)
	if err != nil {
		found.Broken(check, "%v", err)
		return false
	}
	var token struct {
		Scopes    []string `json:"scopes"`
		ExpiresAt string   `json:"expires_at"`
	}
	_, err = v.ask(ctx, request{
		doing: "asking what our token may", method: http.MethodGet, path: "personal_access_tokens/self", into: &token,
		means: notListed,
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
		examineExpiry(found, token.ExpiresAt)
	}
	return true
}

func examineExpiry(found *leak.Findings, day string) {
	const check = "expiry of our token"
	at, err := time.Parse(time.DateOnly, day)
	switch {
	case err != nil:
		found.Good(check, "GitLab names none")
	case time.Until(at) < expirySoon:
		found.Doubt(check, "it expires on %s: put another into its file, which is read again", at.Format(time.DateOnly))
	default:
		found.Good(check, "it expires on %s", at.Format(time.DateOnly))
	}
}

// examineVulnerabilities says whether vulnerabilities can be listed, and their secrets seen. One secret is asked for, and not
// kept.
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
		found.Doubt(secrets, "the newest vulnerability holds none that can be told apart; such ones become dead letters")
		return
	case err != nil:
		found.Broken(secrets, "%v", err)
		return
	}
	found.Good(secrets, "the secret of the newest vulnerability can be told")
}

// examineHooks says how the hooks stand that deliver to this source. Without one that we may see, the sweep still finds what is
// missed.
func (v *vendor) examineHooks(ctx context.Context, found *leak.Findings) {
	feeds, err := v.feeds(ctx)
	if err != nil {
		found.Doubt("hook", "%v; failed deliveries are not asked for again, and leaks are found by the sweep only", err)
		return
	}
	for _, feed := range feeds {
		feed.examine(found)
		v.examineDeliveries(ctx, feed, found)
	}
}

// examineDeliveries says how many of the newest deliveries failed.
func (v *vendor) examineDeliveries(ctx context.Context, feed hookFeed, found *leak.Findings) {
	const check = "deliveries"
	page, _, err := onePage[sent](ctx, v, feed.events(""), 1)
	if err != nil {
		found.Doubt(check, "%v", err)
		return
	}
	failed := 0
	for _, s := range page {
		if !arrived(s.Status) {
			failed++
		}
	}
	switch {
	case len(page) == 0:
		found.Doubt(check, "%s has delivered nothing in the last days: test it", feed.what)
	case failed == len(page):
		found.Broken(check, "the last %d of %s all failed", failed, feed.what)
	case failed > 0:
		found.Doubt(check, "%d of the last %d of %s failed; the sweep asks for them again", failed, len(page), feed.what)
	default:
		found.Good(check, "the last %d of %s all arrived", len(page), feed.what)
	}
}

// examineRate says how many requests are left. An instance may have no limit, and says nothing of it then.
func examineRate(found *leak.Findings, header http.Header) {
	const check = "rate limit"
	limit, err := strconv.Atoi(strings.TrimSpace(header.Get(rateLimit)))
	left, errLeft := strconv.Atoi(header.Get(rateRemaining))
	switch {
	case err != nil || errLeft != nil:
		found.Good(check, "the server names none")
	case left*fewLeft < limit:
		found.Doubt(check, "%d of %d requests are left in this minute", left, limit)
	default:
		found.Good(check, "%d of %d requests are left in this minute", left, limit)
	}
}
