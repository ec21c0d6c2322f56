package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// Explanation is what explain tells of one key.
type Explanation struct {
	// Problem says why there is no explanation: no issuer knows the key, or none can tell.
	Problem string `json:"problem,omitempty"`
	*dispositions.Explanation
	// Decided says what was decided when the incident was worked on; empty without an incident.
	Decided string `json:"decided,omitempty"`
}

// explanation answers GET /api/v1/incidents/{id}/explanation.
func (a *API) explanation(w http.ResponseWriter, r *http.Request) {
	if v, ok := a.wanted(w, r); ok {
		answer(w, http.StatusOK, a.explain(r.Context(), v))
	}
}

func (a *API) explain(ctx context.Context, v Incident) Explanation {
	var told Explanation
	for _, step := range v.Steps {
		if step.Step == leak.Decided {
			told.Decided = fmt.Sprintf("%s, at %s", step.Text, step.At.UTC().Format("2006-01-02 15:04:05 UTC"))
		}
	}
	seen := leak.Sighting{Source: v.Source}
	if len(v.Sightings) > 0 {
		seen = v.Sightings[len(v.Sightings)-1]
	}
	e, err := a.Engine.Explain(ctx, v.Incident, seen)
	switch {
	case errors.Is(err, leak.ErrNotFound) && v.Key.ID != "":
		told.Problem = "the key is gone, or its issuer is not configured any more: nothing would be done"
	case errors.Is(err, leak.ErrNotFound):
		told.Problem = "no issuer told which key it is: nothing would be done"
	case err != nil:
		told.Problem = "nobody can tell now: " + err.Error()
	default:
		told.Explanation = &e
	}
	return told
}

// Explanation asks what would be done about an incident now, and why.
func (c *Client) Explanation(ctx context.Context, id string) (e Explanation, err error) {
	err = c.get(ctx, "/api/v1/incidents/"+url.PathEscape(id)+"/explanation", nil, &e)
	return e, err
}
