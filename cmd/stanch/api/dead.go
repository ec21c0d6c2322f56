package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"stanch/dispositions/deadletter"
	"stanch/receiver/leak"
)

// DeadLetter is one dead letter as the API shows it.
type DeadLetter struct {
	deadletter.Dead
	// Obstacle is what keeps it from being put back now; empty: it can be.
	Obstacle string `json:"obstacle,omitempty"`
}

// replayBody is what a request to put dead letters back says.
type replayBody struct {
	Reason string `json:"reason"`
	Source string `json:"source,omitempty"` // of all: only those of this source
}

// replayLine is one line of the answer to a request to put many back.
type replayLine struct {
	deadletter.Replayed
	ending
}

// listDead answers GET /api/v1/dead with the dead letters, newest first; ?source= and ?limit= as for incidents.
func (a *API) listDead(w http.ResponseWriter, r *http.Request) {
	limit, err := limitIn(r.URL.Query())
	if err != nil {
		a.refuse(w, http.StatusBadRequest, err)
		return
	}
	list, err := a.Dead.List(r.Context(), r.URL.Query().Get("source"), limit)
	if err != nil {
		a.fail(w, err)
		return
	}
	answer(w, http.StatusOK, list)
}

// limitIn reads ?limit=.
func limitIn(values url.Values) (int, error) {
	limit := values.Get("limit")
	if limit == "" {
		return DefaultList, nil
	}
	n, err := strconv.Atoi(limit)
	if err != nil || n < 0 {
		return 0, errors.New("limit must be a whole number; 0 lists all")
	}
	return n, nil
}

// showDead answers GET /api/v1/dead/{id}.
func (a *API) showDead(w http.ResponseWriter, r *http.Request) {
	id, ok := a.deadID(w, r)
	if !ok {
		return
	}
	dead, obstacle, err := a.Dead.Show(r.Context(), id)
	if err != nil {
		a.failDead(w, err)
		return
	}
	v := DeadLetter{Dead: dead}
	if obstacle != nil {
		v.Obstacle = obstacle.Text
	}
	answer(w, http.StatusOK, v)
}

// deadID reads the id in a path, or answers that it is none.
func (a *API) deadID(w http.ResponseWriter, r *http.Request) (uint64, bool) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		a.refuse(w, http.StatusBadRequest, ErrDeadID)
	}
	return id, err == nil
}

// ErrDeadID means that the given id cannot be that of a dead letter.
var ErrDeadID = errors.New("ID must be a number, as 'stanch dead list' prints it")

func (a *API) failDead(w http.ResponseWriter, err error) {
	_, refused := errors.AsType[*leak.Refusal](err)
	switch {
	case refused:
		a.refuse(w, http.StatusConflict, err)
	case errors.Is(err, deadletter.ErrNone):
		a.refuse(w, http.StatusNotFound, err)
	default:
		a.fail(w, err)
	}
}

// replayDead answers POST /api/v1/dead/{id}/replay: it puts one dead letter back.
func (a *API) replayDead(w http.ResponseWriter, r *http.Request, by string) {
	id, ok := a.deadID(w, r)
	if !ok {
		return
	}
	body, ok := a.replayBody(w, r)
	if !ok {
		return
	}
	dead, err := a.Dead.Replay(r.Context(), id)
	if err != nil {
		a.failDead(w, err)
		return
	}
	a.logReplayed(dead, by, body.Reason)
	answer(w, http.StatusOK, DeadLetter{Dead: dead})
}

// replayAllDead answers POST /api/v1/dead/replay with one JSON object a line while it puts back what can be.
func (a *API) replayAllDead(w http.ResponseWriter, r *http.Request, by string) {
	body, ok := a.replayBody(w, r)
	if !ok {
		return
	}
	tell := newLineWriter(w)
	done, err := a.Dead.ReplayAll(r.Context(), body.Source, func(d deadletter.Dead, so deadletter.Replayed) {
		a.logReplayed(d, by, body.Reason)
		tell.progress(replayLine{Replayed: so})
	})
	tell.last(replayLine{done, endedBy(err)})
}

// logReplayed logs who put a dead letter back, and why.
func (a *API) logReplayed(d deadletter.Dead, by, reason string) {
	a.Log.Info("dead letter replayed", "id", d.ID, "source", d.Source, "what", d.What, "by", by, "reason", reason)
}

// replayBody reads an order to put dead letters back, or answers what is wrong with it.
func (a *API) replayBody(w http.ResponseWriter, r *http.Request) (body replayBody, ok bool) {
	if !a.decode(w, r, maxOrder, &body, `{"reason": "the key file is restored"}`) || !a.knowsAll(w, r) {
		return body, false
	}
	body.Reason = strings.TrimSpace(body.Reason)
	err := a.checkReason(body.Reason)
	if err == nil {
		err = a.checkDeadReason(r.Context(), body.Reason)
	}
	if err != nil {
		a.refuse(w, http.StatusBadRequest, err)
	}
	return body, err == nil
}

// checkDeadReason refuses a reason that holds the secret of a dead letter, which no incident knows.
func (a *API) checkDeadReason(ctx context.Context, reason string) error {
	words := a.fingerprintsIn(reason)
	list, err := a.Dead.List(ctx, "", 0)
	if err != nil {
		return fmt.Errorf("checking the reason: %w", err)
	}
	if slices.ContainsFunc(list, func(d deadletter.Dead) bool { return slices.Contains(words, d.Fingerprint) }) {
		return errSecretReason
	}
	return nil
}

// DeadLetters asks for dead letters, newest first: of every source when it is empty, and all when the limit is 0.
func (c *Client) DeadLetters(ctx context.Context, source string, limit uint) (list []deadletter.Dead, err error) {
	query := url.Values{"limit": {strconv.FormatUint(uint64(limit), 10)}, "source": {source}}
	err = c.get(ctx, "/api/v1/dead", query, &list)
	return list, err
}

// DeadLetter asks for one dead letter.
func (c *Client) DeadLetter(ctx context.Context, id string) (d DeadLetter, err error) {
	err = c.get(ctx, "/api/v1/dead/"+url.PathEscape(id), nil, &d)
	return d, err
}

// Replay puts one dead letter back.
func (c *Client) Replay(ctx context.Context, id, reason string) (d DeadLetter, err error) {
	err = c.post(ctx, "/api/v1/dead/"+url.PathEscape(id)+"/replay", replayBody{Reason: reason}, &d)
	return d, err
}

// ReplayAll puts back every dead letter that can be, of one source or of all when source is empty. It calls progress with how many
// it has put back so far.
func (c *Client) ReplayAll(ctx context.Context, source, reason string, progress func(done int)) (deadletter.Replayed, error) {
	body := replayBody{Reason: reason, Source: source}
	last, err := follow(ctx, c, "/api/v1/dead/replay", body, func(line replayLine) { progress(line.Replayed.Replayed) })
	return last.Replayed, err
}
