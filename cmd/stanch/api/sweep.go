package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"stanch/receiver/collect"
)

// sweepBody is what a request to sweep says.
type sweepBody struct {
	Since  time.Time `json:"since,omitzero"`
	DryRun bool      `json:"dry_run,omitempty"`
}

// sweepLine is one line of the answer: how far the sweep has come.
type sweepLine struct {
	collect.Swept
	ending
}

// sweep answers POST /api/v1/sources/{name}/sweep with one JSON object a line while it works. It
// ends when the client hangs up; what it has queued stays queued.
func (a *API) sweep(w http.ResponseWriter, r *http.Request, by string) {
	var body sweepBody
	if !a.decode(w, r, maxOrder, &body, `{"since": "2026-01-02T03:04:05Z", "dry_run": true}`) {
		return
	}
	name := r.PathValue("name")
	if !a.Collector.Has(name) {
		a.refuse(w, http.StatusNotFound, collect.ErrNoSource)
		return
	}
	a.Log.Info("sweep ordered", "source", name, "by", by, "dry_run", body.DryRun)
	tell := newLineWriter(w)
	swept, err := a.Collector.Sweep(r.Context(), name, collect.Sweep{
		Since: body.Since, DryRun: body.DryRun, Progress: func(s collect.Swept) { tell.progress(sweepLine{Swept: s}) },
	})
	tell.last(sweepLine{swept, endedBy(err)})
}

// Sweep orders a sweep of the alerts of a source that changed since a time, or of all open ones if that is zero. A dry run only
// counts. It reports its progress until it is done.
func (c *Client) Sweep(
	ctx context.Context, source string, since time.Time, dryRun bool, progress func(collect.Swept),
) (collect.Swept, error) {
	path, body := "/api/v1/sources/"+url.PathEscape(source)+"/sweep", sweepBody{since, dryRun}
	last, err := follow(ctx, c, path, body, func(line sweepLine) { progress(line.Swept) })
	if err == nil {
		progress(last.Swept)
	}
	return last.Swept, err
}
