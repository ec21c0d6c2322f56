package githubapi

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubclient"
)

// listed is an alert of a list. It has no field for the secret, which we do not ask for.
type listed struct {
	Number     int64     `json:"number"`
	State      string    `json:"state"`
	UpdatedAt  time.Time `json:"updated_at"` // zero: the server does not say
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
}

func (l listed) id() string { return l.Repository.FullName + "/" + strconv.FormatInt(l.Number, 10) }

// ref returns the ref of a listed alert; false: it does not belong to our organisation.
func (v *vendor) ref(l listed) (Ref, bool) {
	owner, repo, _ := strings.Cut(l.Repository.FullName, "/")
	r, err := NewRef(owner, repo, l.Number)
	return r, err == nil && r.In(v.org)
}

// Open implements collect.Vendor. An alert that changes while the list is read may occur twice, or appear among the changes
// of the next time; an alert that does not change occurs once.
func (v *vendor) Open(ctx context.Context, since time.Time) iter.Seq2[collect.Listed, error] {
	since = since.Truncate(time.Second) // GitHub's times have no fractions
	return func(yield func(collect.Listed, error) bool) {
		for page, err := range v.openAlerts().Pages(ctx) {
			if err != nil {
				yield(collect.Listed{}, err)
				return
			}
			for _, l := range page {
				if !l.UpdatedAt.IsZero() && l.UpdatedAt.Before(since) {
					return
				}
				r, ok := v.ref(l)
				if !ok {
					v.log.WarnContext(ctx, "a listed alert is not of the organisation, or has no repository and number")
				} else if l.State != resolved && !yield(collect.Listed{Ref: r.String(), UpdatedAt: l.UpdatedAt}, nil) {
					return
				}
			}
		}
	}
}

// openAlerts is the list of open alerts. With numbered pages, an alert that is closed meanwhile would move one from the next
// page to the page that was read already, where nobody sees it. On such a server the list is of all alerts, and none ever
// leaves it. go-github's options have neither sort, direction nor hide_secret, and send no empty cursor, which is how to
// ask for cursors.
func (v *vendor) openAlerts() githubclient.List[listed] {
	open := v.alertsQuery()
	open.Set("state", "open")
	open.Set("after", "")
	return githubclient.List[listed]{
		Call: githubclient.Call{
			Doing: "listing alerts", Needs: githubclient.ReadAlerts, Means: githubclient.NotGone,
			Hints: map[int]string{
				http.StatusNotFound: "our token may not list the organisation's alerts, or secret scanning is off there",
			},
		},
		Do:       v.client.Do,
		Page:     githubclient.RawPage[listed](v.alertsPath(), open),
		ByNumber: githubclient.RawPage[listed](v.alertsPath(), v.alertsQuery()),
		ID:       listed.id,
	}
}

func (v *vendor) alertsPath() string { return "orgs/" + v.org + "/secret-scanning/alerts" }

func (v *vendor) alertsQuery() url.Values {
	return url.Values{"sort": {"updated"}, "direction": {"desc"}, "hide_secret": {"true"}}
}
