package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"stanch/dispositions"
	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
)

// orderBody is what a request to act says.
type orderBody struct {
	Reason  string `json:"reason"`
	Issuer  string `json:"issuer,omitempty"`  // for all that is held of an account
	Account string `json:"account,omitempty"` // likewise
}

// Taken is what became of an order.
type Taken struct {
	Text string `json:"text"`
	// Incident is the incident as it stands some seconds later at most; nil for an order for several.
	Incident *Incident `json:"incident,omitempty"`
	Count    int       `json:"count,omitempty"` // of incidents, in an order for several
}

// maxOrder and maxReason bound what a person may write.
const (
	maxOrder  = 16 << 10 // bytes
	maxReason = 500      // characters
)

// orderTimeout is how long an order waits while its incident is being reconciled.
const orderTimeout = 15 * time.Second

// outcomeTimeout is how long an answer waits for the outcome. The order is carried out even if nobody waits.
const outcomeTimeout = 10 * time.Second

// one answers POST /api/v1/incidents/{id}/{verb}: an order for one incident.
func (a *API) one(w http.ResponseWriter, r *http.Request, by string) {
	order, _, ok := a.read(w, r, by, dispositions.Verbs)
	if !ok || !a.knowsAll(w, r) {
		return
	}
	id, ok := a.find(w, r)
	if !ok {
		return
	}
	text, err := a.Order(r.Context(), id, order)
	if err != nil {
		a.failOrder(w, err)
		return
	}
	views, err := a.views(r.Context(), id)
	if err != nil {
		a.fail(w, err)
		return
	}
	answer(w, http.StatusOK, Taken{Text: text, Incident: &views[0]})
}

// Order gives an order for one incident, and waits some seconds for its outcome. It returns a sentence of what was taken.
func (a *API) Order(ctx context.Context, id leak.Fingerprint, order dispositions.Order) (string, error) {
	if err := a.checkReason(order.Reason); err != nil {
		return "", err
	}
	taking, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	text, err := a.Engine.Order(taking, id, order)
	if err != nil {
		return "", err
	}
	a.Log.Info("order taken", "incident", id, "action", order.Verb, "by", order.By)
	a.settle(ctx, id)
	return text, nil
}

// held answers POST /api/v1/held/{verb}: an order for every incident of an account that the fuse holds.
func (a *API) held(w http.ResponseWriter, r *http.Request, by string) {
	order, body, ok := a.read(w, r, by, heldVerbs)
	if !ok || !a.knowsAll(w, r) {
		return
	}
	text, count, err := a.orderHeld(r.Context(), ledger.Account{Issuer: body.Issuer, ID: body.Account}, order)
	if err != nil {
		a.failOrder(w, err)
		return
	}
	answer(w, http.StatusOK, Taken{Text: text, Count: count})
}

// heldVerbs are what can be ordered for all that the fuse holds of an account.
var heldVerbs = []dispositions.Verb{dispositions.Approve, dispositions.Reject}

// OrderHeld gives an order for every incident of an account that the fuse holds, and returns a sentence of what was taken.
func (a *API) OrderHeld(ctx context.Context, account ledger.Account, order dispositions.Order) (string, error) {
	text, _, err := a.orderHeld(ctx, account, order)
	return text, err
}

func (a *API) orderHeld(ctx context.Context, account ledger.Account, order dispositions.Order) (string, int, error) {
	if err := a.checkReason(order.Reason); err != nil {
		return "", 0, err
	}
	if account.Issuer == "" || account.ID == "" {
		return "", 0, badOrder{errors.New("give the issuer and the account")}
	}
	ids := a.Index.IDs(ledger.Query{State: leak.Held})
	count, err := a.Engine.OrderHeld(ctx, ids, account.Issuer, account.ID, order)
	a.Log.Info("order taken", "issuer", account.Issuer, "account", account.ID, "action", order.Verb, "by", order.By, "count", count)
	if err != nil {
		return "", count, fmt.Errorf("after %d incidents: %w", count, err)
	}
	return fmt.Sprintf("%s: %d incidents of account %s that the fuse held", order.Verb, count, account.ID), count, nil
}

// read returns the order in a request, or answers what is wrong with it and returns false.
func (a *API) read(w http.ResponseWriter, r *http.Request, by string, verbs []dispositions.Verb,
) (order dispositions.Order, body orderBody, ok bool) {
	order = dispositions.Order{Verb: dispositions.Verb(r.PathValue("verb")), By: by}
	if !slices.Contains(verbs, order.Verb) {
		a.refuse(w, http.StatusNotFound, fmt.Errorf("there is no such action; the actions are %v", verbs))
		return order, body, false
	}
	if !a.decode(w, r, maxOrder, &body, `{"reason": "rotated this morning"}`) {
		return order, body, false
	}
	order.Reason = strings.TrimSpace(body.Reason)
	return order, body, true
}

// badOrder is the error of an order that is malformed.
type badOrder struct{ error }

// checkReason keeps secrets and control characters out of a log that is kept for ever: somebody just woken may paste the key.
func (a *API) checkReason(reason string) error {
	switch {
	case reason == "":
		return badOrder{errors.New("give a reason")}
	case len([]rune(reason)) > maxReason:
		return badOrder{fmt.Errorf("the reason must be %d characters at most", maxReason)}
	case strings.ContainsFunc(reason, func(c rune) bool { return !unicode.IsPrint(c) }):
		return badOrder{errors.New("the reason must be one line of text")}
	}
	for _, f := range a.fingerprintsIn(reason) {
		if _, err := a.Index.Find(string(f)); err == nil {
			return badOrder{errSecretReason}
		}
	}
	return nil
}

var errSecretReason = errors.New("the reason holds a leaked secret: it would be in the log for ever")

// fingerprintsIn returns the fingerprint of each word of a reason, in case it is a secret.
func (a *API) fingerprintsIn(reason string) (all []leak.Fingerprint) {
	for word := range strings.FieldsFuncSeq(reason, func(c rune) bool { return strings.ContainsRune(" \"'`,;:=()", c) }) {
		all = append(all, a.Fingerprints.Fingerprint(leak.NewSecret(word)))
	}
	return all
}

// failOrder answers that an order was not taken, and why.
func (a *API) failOrder(w http.ResponseWriter, err error) {
	status, told := a.Answer(err)
	a.refuse(w, status, told)
}

// Answer returns the status and the message for an order that was not taken. It logs errors that are not the sender's fault.
func (a *API) Answer(err error) (status int, told error) {
	_, refused := errors.AsType[*leak.Refusal](err)
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
	a.Log.Error("answering an operator", "err", err)
	return http.StatusInternalServerError, err
}

// Foresee says what would follow from an order. It changes nothing.
func (a *API) Foresee(ctx context.Context, i leak.Incident, seen leak.Sighting, v dispositions.Verb) ([]string, error) {
	return a.Engine.Foresee(ctx, i, seen, v)
}

var errBusy = errors.New("the incident is being worked on: try again, an order given twice has one effect")

// settle waits until nothing more is done about the incident for now, or for outcomeTimeout.
func (a *API) settle(ctx context.Context, id leak.Fingerprint) {
	ctx, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	for ctx.Err() == nil {
		head, err := a.Ledger.Read(ctx, id)
		if err != nil || head.State != leak.Open {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Order gives an order for one incident, by its id or the beginning of it, and waits some seconds for its outcome.
func (c *Client) Order(ctx context.Context, id string, verb dispositions.Verb, reason string) (t Taken, err error) {
	path := "/api/v1/incidents/" + url.PathEscape(id) + "/" + string(verb)
	err = c.post(ctx, path, orderBody{Reason: reason}, &t)
	return t, err
}

// OrderHeld gives an order for every incident of an account that the fuse holds.
func (c *Client) OrderHeld(ctx context.Context, held ledger.Account, verb dispositions.Verb, reason string) (t Taken, err error) {
	body := orderBody{Reason: reason, Issuer: held.Issuer, Account: held.ID}
	err = c.post(ctx, "/api/v1/held/"+string(verb), body, &t)
	return t, err
}
