package githubapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/leak"
)

// sent is one delivery as GitHub lists it. A delivery that is sent again is listed again, with another id and the
// same GUID.
type sent struct {
	ID          int64     `json:"id"`
	GUID        string    `json:"guid"`
	DeliveredAt time.Time `json:"delivered_at"`
	StatusCode  int       `json:"status_code"` // of our answer; whatever it is when nobody answered, it is no success
	Event       string    `json:"event"`
}

func (s sent) id() string { return strconv.FormatInt(s.ID, 10) }

func (s sent) arrived() bool { return s.StatusCode >= 200 && s.StatusCode < 300 }

// Redeliver implements collect.Redeliverer. GitHub lists deliveries for three days, an Enterprise Server for seven.
// What one delivery is refused does not keep the others from being asked for.
func (v *vendor) Redeliver(ctx context.Context, since time.Time) (int, error) {
	feeds, err := v.feeds(ctx)
	if err != nil {
		return 0, err
	}
	asked := 0
	var problem error
	for _, feed := range feeds {
		lost, err := feed.lost(ctx, since)
		if err != nil {
			return asked, err
		}
		for _, id := range lost {
			switch err := feed.again(ctx, id); {
			case err == nil:
				asked++
			case !aboutOne(err):
				return asked, err
			default:
				problem = err
			}
		}
	}
	return asked, problem
}

// aboutOne reports whether an error is about one delivery, and says nothing of the next: GitHub may not have it any
// more.
func aboutOne(err error) bool {
	_, limited := errors.AsType[*leak.Throttled](err)
	return !limited && answered(err, http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity)
}

// lost lists the deliveries that failed since a time and did not succeed later, oldest first, each by its newest
// attempt.
func (h hookFeed) lost(ctx context.Context, since time.Time) ([]int64, error) {
	newest, arrived := map[string]int64{}, map[string]bool{}
	for page, err := range pages[sent](ctx, h.deliveries()) {
		if err != nil {
			return nil, err
		}
		for _, s := range page {
			if !strings.HasPrefix(s.Event, AlertEvent) { // pings, scans ... tell of no alert
				continue
			}
			if s.arrived() {
				arrived[s.GUID] = true
			} else if !s.DeliveredAt.Before(since) {
				newest[s.GUID] = max(newest[s.GUID], s.ID)
			}
		}
		if len(page) > 0 && page[len(page)-1].DeliveredAt.Before(since) {
			break
		}
	}
	maps.DeleteFunc(newest, func(guid string, _ int64) bool { return arrived[guid] })
	return slices.Sorted(maps.Values(newest)), nil
}

// deliveries is the list of what a hook sent, newest first.
func (h hookFeed) deliveries() listing {
	return listing{ask: h.ask, request: request{
		doing: "listing deliveries", method: http.MethodGet, path: h.path + "/deliveries", needs: hooksOfOrg,
		query: url.Values{"per_page": {perPage}}, means: notListed,
	}}
}

// again asks for a delivery to be sent again.
func (h hookFeed) again(ctx context.Context, id int64) error {
	_, err := h.ask(ctx, request{
		doing: "asking for a delivery again", method: http.MethodPost, needs: hooksOfOrg,
		path: fmt.Sprintf("%s/deliveries/%d/attempts", h.path, id),
	})
	return err
}

// examineDeliveries says how many of the newest deliveries failed.
func (h hookFeed) examineDeliveries(ctx context.Context, found *leak.Findings) {
	const check = "deliveries"
	page, _, err := onePage[sent](ctx, h.deliveries())
	if err != nil {
		found.Doubt(check, "%v", err)
		return
	}
	failed := 0
	for _, s := range page {
		if !s.arrived() {
			failed++
		}
	}
	switch {
	case len(page) == 0:
		found.Doubt(check, "%s has delivered nothing in the last days: send a ping", h.what)
	case failed == len(page):
		found.Broken(check, "the last %d of %s all failed", failed, h.what)
	case failed > 0:
		found.Doubt(check, "%d of the last %d of %s failed; the sweep asks for them again", failed, len(page), h.what)
	default:
		found.Good(check, "the last %d of %s all arrived", len(page), h.what)
	}
}
