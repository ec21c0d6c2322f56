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
)

// notListed says what 404 means for what belongs to the organisation: there is nothing that could be gone.
var notListed = map[int]error{http.StatusNotFound: collect.ErrRefused}

// listed is an alert of a list. It has no field for the secret, which is not asked for.
type listed struct {
	Number     int64     `json:"number"`
	State      string    `json:"state"`
	UpdatedAt  time.Time `json:"updated_at"` // zero: the server does not say
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
}

func (l listed) id() string { return l.Repository.FullName + "/" + strconv.FormatInt(l.Number, 10) }

// ref returns what the alert is called; false: it is none of our organisation.
func (v *vendor) ref(l listed) (Ref, bool) {
	owner, repo, _ := strings.Cut(l.Repository.FullName, "/")
	r, err := NewRef(owner, repo, l.Number)
	return r, err == nil && r.In(v.org)
}

// Open implements collect.Vendor. An alert that changes while the list is read may be in it twice, or come with the
// changes of the next time; an alert that does not change is in it once.
func (v *vendor) Open(ctx context.Context, since time.Time) iter.Seq2[collect.Listed, error] {
	since = since.Truncate(time.Second) // GitHub's times have no fractions
	return func(yield func(collect.Listed, error) bool) {
		for page, err := range pages[listed](ctx, v.openAlerts()) {
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

// openAlerts is the list of open alerts. On a server that numbers its pages, an alert that is closed meanwhile would
// pull one over from the page to come onto the page that was read, where nobody sees it: there, all alerts are
// listed, of which none ever leaves the list.
func (v *vendor) openAlerts() listing {
	all := url.Values{"sort": {"updated"}, "direction": {"desc"}, "hide_secret": {"true"}, "per_page": {perPage}}
	open := url.Values{"state": {"open"}, "after": {""}} // an empty cursor asks for cursors
	for name, values := range all {
		open[name] = values
	}
	return listing{
		request: request{
			doing: "listing alerts", method: http.MethodGet, path: "orgs/" + v.org + "/secret-scanning/alerts",
			query: open, needs: readAlerts, means: notListed,
			hints: map[int]string{
				http.StatusNotFound: "our token may not list the organisation's alerts, or secret scanning is off there",
			},
		},
		ask: v.ask, byNumber: all,
	}
}
