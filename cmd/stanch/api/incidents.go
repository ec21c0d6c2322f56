package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
)

// Incident is an incident as the API shows it: with its sightings, as far as they are not forgotten, and all its steps.
type Incident struct {
	leak.Incident
	Sightings []leak.Sighting `json:"sightings"`
	Steps     []leak.Step     `json:"steps"`
}

// DefaultList is how many incidents, or dead letters, a list holds by default.
const DefaultList = 100

func (a *API) list(w http.ResponseWriter, r *http.Request) {
	query, err := listQuery(r.URL.Query())
	if err != nil {
		a.refuse(w, http.StatusBadRequest, err)
		return
	}
	if !a.knowsAll(w, r) {
		return
	}
	views, err := a.views(r.Context(), a.Index.IDs(query)...)
	if err != nil {
		a.fail(w, err)
		return
	}
	answer(w, http.StatusOK, views)
}

// listQuery reads ?state= and ?limit=.
func listQuery(values url.Values) (ledger.Query, error) {
	query := ledger.Query{State: leak.State(values.Get("state")), Limit: DefaultList}
	if query.State != "" && !slices.Contains(leak.States, query.State) {
		return ledger.Query{}, fmt.Errorf("state must be one of %v", leak.States)
	}
	if limit := values.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 0 {
			return ledger.Query{}, errors.New("limit must be a whole number; 0 lists all")
		}
		query.Limit = n
	}
	return query, nil
}

func (a *API) show(w http.ResponseWriter, r *http.Request) {
	if v, ok := a.wanted(w, r); ok {
		answer(w, http.StatusOK, v)
	}
}

// wanted is the incident that a request names. If there is none, or it cannot be read, wanted answers and reports false.
func (a *API) wanted(w http.ResponseWriter, r *http.Request) (Incident, bool) {
	if !a.knowsAll(w, r) {
		return Incident{}, false
	}
	id, ok := a.find(w, r)
	if !ok {
		return Incident{}, false
	}
	views, err := a.views(r.Context(), id)
	if err != nil {
		a.fail(w, err)
		return Incident{}, false
	}
	return views[0], true
}

// find returns the incident that a path names. If there is none, or several, it answers so and returns false.
func (a *API) find(w http.ResponseWriter, r *http.Request) (leak.Fingerprint, bool) {
	id, err := a.Index.Find(r.PathValue("id"))
	switch {
	case errors.Is(err, ledger.ErrNoIncident):
		a.refuse(w, http.StatusNotFound, err)
	case err != nil: // several
		a.refuse(w, http.StatusConflict, err)
	}
	return id, err == nil
}

// indexTimeout is how long a request waits for the index, which is folded anew at every start. A hundred thousand
// incidents take two seconds.
const indexTimeout = 10 * time.Second

var errIndexing = errors.New("stanch has just started and is still reading its log: ask again in a moment")

// knowsAll waits until the index knows every incident, because half a list looks like a whole one. If that takes too long, it
// answers so and returns false.
func (a *API) knowsAll(w http.ResponseWriter, r *http.Request) bool {
	ctx, cancel := context.WithTimeout(r.Context(), indexTimeout)
	defer cancel()
	select {
	case <-a.Index.Ready():
		return true
	case <-ctx.Done():
		w.Header().Set("Retry-After", "5")
		a.refuse(w, http.StatusServiceUnavailable, errIndexing)
		return false
	}
}

// views returns incidents as the API shows them, in the order of the ids.
func (a *API) views(ctx context.Context, ids ...leak.Fingerprint) ([]Incident, error) {
	histories, err := a.Ledger.Histories(ctx, ids...)
	if err != nil {
		return nil, err
	}
	seen, err := a.Sightings.OfAll(ctx, ids...)
	if err != nil {
		return nil, err
	}
	views := make([]Incident, 0, len(ids))
	for _, id := range ids {
		h := histories[id]
		views = append(views, Incident{Incident: h.Incident, Sightings: append([]leak.Sighting{}, seen[id]...), Steps: h.Steps})
	}
	return views, nil
}

// Incidents asks for incidents, newest first: of every state when it is empty, and all when the limit is 0.
func (c *Client) Incidents(ctx context.Context, state leak.State, limit uint) (list []Incident, err error) {
	query := url.Values{"limit": {strconv.FormatUint(uint64(limit), 10)}}
	if state != "" {
		query.Set("state", string(state))
	}
	err = c.get(ctx, "/api/v1/incidents", query, &list)
	return list, err
}

// Incident asks for one incident, by its id or the beginning of it.
func (c *Client) Incident(ctx context.Context, id string) (i Incident, err error) {
	err = c.get(ctx, "/api/v1/incidents/"+url.PathEscape(id), nil, &i)
	return i, err
}
