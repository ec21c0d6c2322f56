package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"stanch/dispositions"
)

// deadView is one dead letter as the API shows it.
type deadView struct {
	dispositions.Dead
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
	dispositions.Replayed
	ending
}

// listDead answers GET /api/v1/dead with the dead letters, newest first; ?source= and ?limit= as for incidents.
func (o *orders) listDead(w http.ResponseWriter, r *http.Request) {
	limit, err := limitIn(r.URL.Query())
	if err != nil {
		o.refuse(w, http.StatusBadRequest, err)
		return
	}
	list, err := o.dead.List(r.Context(), r.URL.Query().Get("source"), limit)
	if err != nil {
		o.fail(w, err)
		return
	}
	answer(w, http.StatusOK, list)
}

// limitIn reads ?limit=.
func limitIn(values url.Values) (int, error) {
	limit := values.Get("limit")
	if limit == "" {
		return defaultList, nil
	}
	n, err := strconv.Atoi(limit)
	if err != nil || n < 0 {
		return 0, errors.New("limit must be a whole number; 0 lists all")
	}
	return n, nil
}

// showDead answers GET /api/v1/dead/{id}.
func (o *orders) showDead(w http.ResponseWriter, r *http.Request) {
	id, ok := o.deadID(w, r)
	if !ok {
		return
	}
	dead, obstacle, err := o.dead.Show(r.Context(), id)
	if err != nil {
		o.failDead(w, err)
		return
	}
	v := deadView{Dead: dead}
	if obstacle != nil {
		v.Obstacle = obstacle.Text
	}
	answer(w, http.StatusOK, v)
}

// deadID reads the id in a path, or answers that it is none.
func (o *orders) deadID(w http.ResponseWriter, r *http.Request) (uint64, bool) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		o.refuse(w, http.StatusBadRequest, errDeadID)
	}
	return id, err == nil
}

var errDeadID = errors.New("ID must be a number, as 'stanch dead list' prints it")

func (o *orders) failDead(w http.ResponseWriter, err error) {
	_, refused := errors.AsType[*dispositions.Refusal](err)
	switch {
	case refused:
		o.refuse(w, http.StatusConflict, err)
	case errors.Is(err, dispositions.ErrNoDeadLetter):
		o.refuse(w, http.StatusNotFound, err)
	default:
		o.fail(w, err)
	}
}

// replayDead answers POST /api/v1/dead/{id}/replay: it puts one dead letter back.
func (o *orders) replayDead(w http.ResponseWriter, r *http.Request, by string) {
	id, ok := o.deadID(w, r)
	if !ok {
		return
	}
	body, ok := o.replayBody(w, r)
	if !ok {
		return
	}
	dead, err := o.dead.Replay(r.Context(), id)
	if err != nil {
		o.failDead(w, err)
		return
	}
	o.tellReplayed(dead, by, body.Reason)
	answer(w, http.StatusOK, deadView{Dead: dead})
}

// replayAllDead answers POST /api/v1/dead/replay with one JSON object a line while it puts back what can be.
func (o *orders) replayAllDead(w http.ResponseWriter, r *http.Request, by string) {
	body, ok := o.replayBody(w, r)
	if !ok {
		return
	}
	tell := newTeller(w)
	done, err := o.dead.ReplayAll(r.Context(), body.Source, func(d dispositions.Dead, so dispositions.Replayed) {
		o.tellReplayed(d, by, body.Reason)
		tell.progress(replayLine{Replayed: so})
	})
	tell.last(replayLine{done, endedBy(err)})
}

// tellReplayed records who put a dead letter back, and why.
func (o *orders) tellReplayed(d dispositions.Dead, by, reason string) {
	o.log.Info("dead letter replayed", "id", d.ID, "source", d.Source, "what", d.What, "by", by, "reason", reason)
}

// replayBody reads an order to put dead letters back, or answers what is wrong with it.
func (o *orders) replayBody(w http.ResponseWriter, r *http.Request) (body replayBody, ok bool) {
	if !o.decode(w, r, maxOrder, &body, `{"reason": "the key file is restored"}`) || !o.knowsAll(w, r) {
		return body, false
	}
	body.Reason = strings.TrimSpace(body.Reason)
	err := o.checkReason(body.Reason)
	if err == nil {
		err = o.checkDeadReason(r.Context(), body.Reason)
	}
	if err != nil {
		o.refuse(w, http.StatusBadRequest, err)
	}
	return body, err == nil
}

// checkDeadReason refuses a reason that holds the secret of a dead letter, which no incident knows.
func (o *orders) checkDeadReason(ctx context.Context, reason string) error {
	words := o.fingerprintsIn(reason)
	list, err := o.dead.List(ctx, "", 0)
	if err != nil {
		return fmt.Errorf("checking the reason: %w", err)
	}
	if slices.ContainsFunc(list, func(d dispositions.Dead) bool { return slices.Contains(words, d.Fingerprint) }) {
		return errSecretReason
	}
	return nil
}
