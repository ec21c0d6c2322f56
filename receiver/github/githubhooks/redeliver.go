package githubhooks

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubclient"
	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// arrived reports whether a delivery was answered with success. Without an answer the status is whatever it is, but no
// success. A delivery that is sent again is listed again, with another id and the same GUID.
func arrived(d *gh.HookDelivery) bool { return d.GetStatusCode() >= 200 && d.GetStatusCode() < 300 }

// Redeliver asks for every delivery since a time that failed and did not succeed later to be sent again, and returns how many
// it asked for. GitHub lists deliveries for three days, an Enterprise Server for seven. A refusal that concerns one delivery
// does not keep the others from being asked for.
func (h *Hooks) Redeliver(ctx context.Context, since time.Time) (int, error) {
	feeds, err := h.feeds(ctx)
	if err != nil {
		return 0, err
	}
	asked := 0
	var problem error
	for _, f := range feeds {
		lost, err := f.lost(ctx, since)
		if err != nil {
			return asked, err
		}
		for _, id := range lost {
			switch err := f.again(ctx, id); {
			case err == nil:
				asked++
			case !isAboutOne(err):
				return asked, err
			default:
				problem = err
			}
		}
	}
	return asked, problem
}

// isAboutOne reports whether an error concerns one delivery and says nothing about the next: GitHub may not have it any
// more.
func isAboutOne(err error) bool {
	_, limited := errors.AsType[*leak.Throttled](err)
	return !limited && outbound.Answered(err, http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity)
}

// lost lists the deliveries that failed since a time and did not succeed later, oldest first, each by its latest attempt.
func (f feed) lost(ctx context.Context, since time.Time) ([]int64, error) {
	latest, succeeded := map[string]int64{}, map[string]bool{}
	for page, err := range f.deliveries().Pages(ctx) {
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			if !strings.HasPrefix(d.GetEvent(), AlertEvent) { // pings, scans ... report no alert
				continue
			}
			if arrived(d) {
				succeeded[d.GetGUID()] = true
			} else if !d.GetDeliveredAt().Before(since) {
				latest[d.GetGUID()] = max(latest[d.GetGUID()], d.GetID())
			}
		}
		if len(page) > 0 && page[len(page)-1].GetDeliveredAt().Before(since) {
			break
		}
	}
	maps.DeleteFunc(latest, func(guid string, _ int64) bool { return succeeded[guid] })
	return slices.Sorted(maps.Values(latest)), nil
}

// deliveries is the list of what a hook sent, newest first.
func (f feed) deliveries() githubclient.List[*gh.HookDelivery] {
	return githubclient.List[*gh.HookDelivery]{
		Call: githubclient.Call{Doing: "listing deliveries", Needs: githubclient.OrgHooks, Means: githubclient.NotGone},
		Do:   f.do,
		Page: f.list,
		ID:   func(d *gh.HookDelivery) string { return strconv.FormatInt(d.GetID(), 10) },
	}
}

// again has a delivery sent again.
func (f feed) again(ctx context.Context, id int64) error {
	_, err := f.do(ctx, githubclient.Call{
		Doing: "asking for a delivery again", Needs: githubclient.OrgHooks,
		Send: func(ctx context.Context, to *gh.Client) (*gh.Response, error) { return f.resend(ctx, to, id) },
	})
	return err
}

// examineDeliveries reports how many of the latest deliveries failed.
func (f feed) examineDeliveries(ctx context.Context, found *leak.Findings) {
	const check = "deliveries"
	page, err := f.deliveries().First(ctx)
	if err != nil {
		found.Doubt(check, "%v", err)
		return
	}
	failed := 0
	for _, d := range page {
		if !arrived(d) {
			failed++
		}
	}
	collect.ExamineDeliveries(found, f.name, failed, len(page), "send a ping")
}
