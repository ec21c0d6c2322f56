package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/seal"
)

// orders is the part of the API that explains and acts: what its engine does, and its collector, as far as the process has
// their roles. Whatever acts needs somebody who answers for it, and a reason.
type orders struct {
	*api
	engine       *dispositions.Engine
	actors       actors
	fingerprints seal.FingerprintKey
	collector    *collect.Collector
	dead         *dispositions.DeadLetters
	audit        *auditor
	reload       func(ctx context.Context) error
}

// orderBody is what a request to act says.
type orderBody struct {
	Reason  string `json:"reason"`
	Issuer  string `json:"issuer,omitempty"`  // for all that is held of an account
	Account string `json:"account,omitempty"` // likewise
}

// orderAnswer is what became of an order.
type orderAnswer struct {
	Text string `json:"text"`
	// Incident is the incident as it stands some seconds later at most; nil for an order for several.
	Incident *view `json:"incident,omitempty"`
	Count    int   `json:"count,omitempty"` // of incidents, in an order for several
}

// maxOrder and maxReason bound what a person may write.
const (
	maxOrder  = 16 << 10 // bytes
	maxReason = 500      // characters
)

// orderTimeout is how long an order waits for a turn that is under way at its incident.
const orderTimeout = 15 * time.Second

// outcomeTimeout is how long an answer waits for the outcome. The order is carried out whether somebody waits or not.
const outcomeTimeout = 10 * time.Second

// register adds it to the API. A page elsewhere cannot make a browser send what acts.
func (o *orders) register(mux *http.ServeMux) {
	guard := http.NewCrossOriginProtection()
	handle := func(pattern string, h func(w http.ResponseWriter, r *http.Request, by string)) {
		mux.Handle(pattern, guard.Handler(o.acting(h)))
	}
	handle("POST /-/reload", o.reloadNow)
	if o.collector != nil {
		handle("POST /api/v1/sources/{name}/sweep", o.sweep)
	}
	if o.engine == nil {
		return
	}
	mux.HandleFunc("GET /api/v1/incidents/{id}/explanation", o.explanation)
	handle("POST /api/v1/incidents/{id}/{verb}", o.one)
	handle("POST /api/v1/held/{verb}", o.held)
	mux.HandleFunc("GET /api/v1/dead", o.listDead)
	mux.HandleFunc("GET /api/v1/dead/{id}", o.showDead)
	handle("POST /api/v1/dead/{id}/replay", o.replayDead)
	handle("POST /api/v1/dead/replay", o.replayAllDead)
	handle("POST /api/v1/audit/verify", o.verify)
}

// acting lets through who is known.
func (o *orders) acting(next func(w http.ResponseWriter, r *http.Request, by string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		by, err := o.actors.of(r)
		if err != nil {
			o.refuse(w, http.StatusUnauthorized, err)
			return
		}
		next(w, r, by)
	})
}

// one takes an order for one incident.
func (o *orders) one(w http.ResponseWriter, r *http.Request, by string) {
	order, _, ok := o.read(w, r, by, dispositions.Verbs)
	if !ok || !o.knowsAll(w, r) {
		return
	}
	id, ok := o.find(w, r)
	if !ok {
		return
	}
	text, err := o.Order(r.Context(), id, order)
	if err != nil {
		o.failOrder(w, err)
		return
	}
	views, err := o.views(r.Context(), id)
	if err != nil {
		o.fail(w, err)
		return
	}
	answer(w, http.StatusOK, orderAnswer{Text: text, Incident: &views[0]})
}

// Order gives an order for one incident, and waits some seconds for its outcome. It returns a sentence of what was taken.
func (o *orders) Order(ctx context.Context, id leak.Fingerprint, order dispositions.Order) (string, error) {
	if err := o.checkReason(order.Reason); err != nil {
		return "", err
	}
	taking, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	text, err := o.engine.Order(taking, id, order)
	if err != nil {
		return "", err
	}
	o.log.Info("order taken", "incident", id, "action", order.Verb, "by", order.By)
	o.settle(ctx, id)
	return text, nil
}

// held takes an order for every incident of an account that the fuse holds.
func (o *orders) held(w http.ResponseWriter, r *http.Request, by string) {
	order, body, ok := o.read(w, r, by, heldVerbs)
	if !ok || !o.knowsAll(w, r) {
		return
	}
	text, count, err := o.orderHeld(r.Context(), ledger.Account{Issuer: body.Issuer, ID: body.Account}, order)
	if err != nil {
		o.failOrder(w, err)
		return
	}
	answer(w, http.StatusOK, orderAnswer{Text: text, Count: count})
}

// heldVerbs are what can be ordered for all that the fuse holds of an account.
var heldVerbs = []dispositions.Verb{dispositions.Approve, dispositions.Reject}

// OrderHeld gives an order for every incident of an account that the fuse holds, and returns a sentence of what was taken.
func (o *orders) OrderHeld(ctx context.Context, account ledger.Account, order dispositions.Order) (string, error) {
	text, _, err := o.orderHeld(ctx, account, order)
	return text, err
}

func (o *orders) orderHeld(ctx context.Context, account ledger.Account, order dispositions.Order) (string, int, error) {
	if err := o.checkReason(order.Reason); err != nil {
		return "", 0, err
	}
	if account.Issuer == "" || account.ID == "" {
		return "", 0, badOrder{errors.New("give the issuer and the account")}
	}
	ids := o.index.IDs(ledger.Query{State: leak.Held})
	count, err := o.engine.OrderHeld(ctx, ids, account.Issuer, account.ID, order)
	o.log.Info("order taken", "issuer", account.Issuer, "account", account.ID, "action", order.Verb, "by", order.By, "count", count)
	if err != nil {
		return "", count, fmt.Errorf("after %d incidents: %w", count, err)
	}
	return fmt.Sprintf("%s: %d incidents of account %s that the fuse held", order.Verb, count, account.ID), count, nil
}

func (o *orders) reloadNow(w http.ResponseWriter, r *http.Request, by string) {
	o.log.Info("reload ordered", "by", by)
	if err := o.reload(r.Context()); err != nil {
		o.refuse(w, http.StatusConflict, err)
		return
	}
	answer(w, http.StatusOK, orderAnswer{Text: "the configuration is read again and in force"})
}

// read returns the order in a request, or answers what is wrong with it and returns false.
func (o *orders) read(w http.ResponseWriter, r *http.Request, by string, verbs []dispositions.Verb,
) (order dispositions.Order, body orderBody, ok bool) {
	order = dispositions.Order{Verb: dispositions.Verb(r.PathValue("verb")), By: by}
	if !slices.Contains(verbs, order.Verb) {
		o.refuse(w, http.StatusNotFound, fmt.Errorf("there is no such action; there are %v", verbs))
		return order, body, false
	}
	if !o.decode(w, r, maxOrder, &body, `{"reason": "rotated this morning"}`) {
		return order, body, false
	}
	order.Reason = strings.TrimSpace(body.Reason)
	return order, body, true
}

// decode reads the body of a request, or answers what one looks like and returns false.
func (o *orders) decode(w http.ResponseWriter, r *http.Request, most int64, into any, example string) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	decoder.DisallowUnknownFields()
	if decoder.Decode(into) != nil {
		o.refuse(w, http.StatusBadRequest, errors.New("the body must be JSON such as "+example))
		return false
	}
	return true
}

// badOrder is the error of an order that nobody can take, whatever it is for.
type badOrder struct{ error }

// checkReason keeps what a person writes fit for a log that is never forgotten: a person who is woken may paste the key.
func (o *orders) checkReason(reason string) error {
	switch {
	case reason == "":
		return badOrder{errors.New("give a reason")}
	case len([]rune(reason)) > maxReason:
		return badOrder{fmt.Errorf("the reason must be %d characters at most", maxReason)}
	case strings.ContainsFunc(reason, func(c rune) bool { return !unicode.IsPrint(c) }):
		return badOrder{errors.New("the reason must be one line of text")}
	}
	for _, f := range o.fingerprintsIn(reason) {
		if _, err := o.index.Find(string(f)); err == nil {
			return badOrder{errSecretReason}
		}
	}
	return nil
}

var errSecretReason = errors.New("the reason holds a leaked secret: it would be in the log for ever")

// fingerprintsIn are those that the words of a reason would have if they were secrets.
func (o *orders) fingerprintsIn(reason string) (all []leak.Fingerprint) {
	for word := range strings.FieldsFuncSeq(reason, func(c rune) bool { return strings.ContainsRune(" \"'`,;:=()", c) }) {
		all = append(all, o.fingerprints.Fingerprint(leak.NewSecret(word)))
	}
	return all
}

// failOrder answers with an order that was not taken.
func (o *orders) failOrder(w http.ResponseWriter, err error) {
	status, told := o.Answer(err)
	o.refuse(w, status, told)
}

// Answer is how an order that was not taken is answered, with the words for people. What nobody can be blamed for is logged.
func (o *orders) Answer(err error) (status int, told error) {
	_, refused := errors.AsType[*dispositions.Refusal](err)
	_, bad := errors.AsType[badOrder](err)
	switch {
	case bad:
		return http.StatusBadRequest, err
	case refused:
		return http.StatusConflict, err
	case errors.Is(err, ledger.ErrNoIncident):
		return http.StatusNotFound, err
	case errors.Is(err, errNobody):
		return http.StatusUnauthorized, err
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, errBusy
	}
	o.log.Error("answering an operator", "err", err)
	return http.StatusInternalServerError, err
}

// Actor names who sent a request, or says why nobody knows.
func (o *orders) Actor(r *http.Request) (string, error) { return o.actors.of(r) }

// Foresee tells what would follow from an order, and changes nothing.
func (o *orders) Foresee(ctx context.Context, i leak.Incident, seen leak.Sighting, v dispositions.Verb) ([]string, error) {
	return o.engine.Foresee(ctx, i, seen, v)
}

var errBusy = errors.New("the incident is being worked on: try again, an order given twice has one effect")

// settle waits until the incident is not being worked on any more, or for outcomeTimeout.
func (o *orders) settle(ctx context.Context, id leak.Fingerprint) {
	ctx, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	for ctx.Err() == nil {
		head, err := o.ledger.Read(ctx, id)
		if err != nil || head.State != leak.Open {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
