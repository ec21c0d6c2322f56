package githubapi

import (
	"context"
	"net/url"
	"regexp"
	"strings"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubclient"
	"stanch/receiver/leak"
)

// Examine implements receiver.Examiner. It reports on what the collector needs of GitHub: our credential, the organisation's
// alerts, the hook and its deliveries, the rate limit and the clock. It changes nothing.
func (v *vendor) Examine(ctx context.Context) []leak.Finding {
	var found leak.Findings
	if v.examineCredential(ctx, &found) {
		v.examineAlerts(ctx, &found)
		v.hooks.Examine(ctx, &found)
	}
	last := v.client.Last()
	if last != nil {
		collect.ExamineRate(&found, last.Header, githubclient.RatePrefix, "hour")
	} else {
		last = v.client.LastAsApp()
	}
	if last != nil {
		found.Clock(last.Header.Get("Date"), last.Asked, last.Answered)
	}
	return found
}

// scopeNames is the form of a list of scopes.
var scopeNames = regexp.MustCompile(`^[a-z_:=,; ]{1,200}$`)

// examineCredential reports who we are to GitHub, and returns whether it knows us.
func (v *vendor) examineCredential(ctx context.Context, found *leak.Findings) bool {
	const check = "credential"
	login, response, err := v.client.Who(ctx)
	if err != nil {
		found.Broken(check, "%v", err)
		return false
	}
	if v.client.IsApp() {
		found.Good(check, "we are the App %s", strings.TrimSuffix(login, "[bot]"))
		return v.examineApp(ctx, found)
	}
	scopes := response.Header.Get("X-OAuth-Scopes")
	switch {
	case scopeNames.MatchString(scopes):
		found.Good(check, "our token is %s's, with the scopes %s", login, scopes)
	default:
		found.Good(check, "our token is %s's, with permissions of its own", login)
	}
	collect.ExamineExpiry(found, "GitHub", response.TokenExpiration.Time)
	return true
}

// examineApp reports whether the App gives us the tokens that we need.
func (v *vendor) examineApp(ctx context.Context, found *leak.Findings) bool {
	if err := v.client.Grants(ctx, githubclient.ReadAlerts); err != nil {
		found.Broken("reading alerts", "%v", err)
		return false
	}
	if err := v.client.Grants(ctx, githubclient.WriteAlerts); err != nil {
		found.Doubt("closing alerts", "%v", err)
	}
	return true
}

// examineAlerts reports whether alerts can be listed and their secrets seen. It fetches one secret and does not keep it.
func (v *vendor) examineAlerts(ctx context.Context, found *leak.Findings) {
	const listing, secrets = "listing alerts", "seeing secrets"
	list := v.openAlerts()
	list.ByNumber = nil
	list.Page = githubclient.RawPage[listed](v.alertsPath(), url.Values{"per_page": {"1"}, "hide_secret": {"true"}}) // see openAlerts
	page, err := list.First(ctx)
	if err != nil {
		found.Broken(listing, "%v", err)
		return
	}
	found.Good(listing, "the alerts of %s can be listed", v.org)
	if len(page) == 0 {
		found.Good(secrets, "not tried: there is no alert yet")
		return
	}
	r, ok := v.ref(page[0])
	if !ok {
		found.Doubt(secrets, "not tried: the newest alert has no repository and number of the organisation")
		return
	}
	if _, err := v.alert(ctx, r); err != nil {
		found.Broken(secrets, "%v", err)
		return
	}
	found.Good(secrets, "an alert is answered with its secret")
}
