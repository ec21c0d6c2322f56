package githubapi

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/github/githubclient"
	"stanch/receiver/leak"
)

const (
	// expirySoon is how long before our own token expires somebody should replace it.
	expirySoon = 14 * 24 * time.Hour
	// fewLeft: when less than one in so many requests is left, somebody should look.
	fewLeft = 10
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
		examineRate(&found, last.Header)
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
	examineExpiry(found, response)
	return true
}

func examineExpiry(found *leak.Findings, response *gh.Response) {
	const check = "expiry of our token"
	at := response.TokenExpiration.Time
	switch {
	case at.IsZero():
		found.Good(check, "GitHub names none")
	case time.Until(at) < expirySoon:
		found.Doubt(check, "it expires on %s: put another into its file, which is read again", at.UTC().Format(time.DateOnly))
	default:
		found.Good(check, "it expires on %s", at.UTC().Format(time.DateOnly))
	}
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

// examineRate reports how many requests are left. An Enterprise Server may have no limit.
func examineRate(found *leak.Findings, header http.Header) {
	const check = "rate limit"
	limit, err := strconv.Atoi(header.Get("X-RateLimit-Limit"))
	left, errLeft := strconv.Atoi(header.Get("X-RateLimit-Remaining"))
	switch {
	case err != nil || errLeft != nil:
		found.Good(check, "the server names none")
	case left*fewLeft < limit:
		found.Doubt(check, "%d of %d requests are left in this hour", left, limit)
	default:
		found.Good(check, "%d of %d requests are left in this hour", left, limit)
	}
}
