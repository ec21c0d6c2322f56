package dispositions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
)

// Verb is what a person can order to be done with an incident.
type Verb string

// The verbs.
const (
	Approve Verb = "approve" // do what the incident is held for
	Reject  Verb = "reject"  // do not do what the incident is held for
	Undo    Verb = "undo"    // enable the disabled key again; what is known so far never acts on it again
	Retry   Verb = "retry"   // decide again, as policy says now, and act
	Close   Verb = "close"   // do nothing more; what is known so far never acts on it again
)

// Verbs lists every verb.
var Verbs = []Verb{Approve, Reject, Undo, Retry, Close}

// Order is what a person wants done.
type Order struct {
	Verb   Verb
	By     string // who it is, authenticated
	Reason string // in the person's own words

	quiet bool // nobody is told of it: an order for many incidents is told once
}

// Refusal says why an order was not taken. Nothing was changed.
type Refusal struct{ Text string }

// Error says why.
func (r *Refusal) Error() string { return r.Text }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Order takes a person's order: it is on disk when Order returns, and carried out whatever happens to the process. An order
// that was given before is no error, and has no second effect. What it returns is one sentence of what was taken. The
// error is a *Refusal when the incident is not one that the order can be carried out on, and ledger.ErrNoIncident when
// there is none.
func (e *Engine) Order(ctx context.Context, f leak.Fingerprint, o Order) (string, error) {
	var text string
	err := e.exclusively(ctx, spanOrder, f, func(ctx context.Context) (err error) {
		t, err := e.newTurn(ctx, f, false)
		if err != nil {
			return err
		}
		if !t.head.Exists() {
			return ledger.ErrNoIncident
		}
		text, err = t.order(ctx, o)
		return err
	})
	return text, err
}

func (t *turn) order(ctx context.Context, o Order) (string, error) {
	given, err := t.given(ctx, o.Verb)
	if err != nil || given != "" {
		return given, err
	}
	switch o.Verb {
	case Approve:
		err = t.approve(o)
	case Reject:
		err = t.reject(o)
	case Undo:
		err = t.undo(ctx, o)
	case Retry:
		err = t.tryAgain(ctx, o)
	case Close:
		err = t.closeBy(o)
	default:
		err = refuse("there is no such action")
	}
	if err != nil {
		return "", err
	}
	text := t.steps[len(t.steps)-1].Text
	if err := t.record(ctx); err != nil {
		return "", err
	}
	if t.incident.Finished() {
		t.metrics.ended(t.incident, string(taken[o.Verb]))
	}
	return text, nil
}

// taken are the steps that orders make.
var taken = map[Verb]leak.StepName{
	Approve: leak.Approved, Reject: leak.Rejected, Undo: leak.UndoAsked, Retry: leak.Retried, Close: leak.Ended,
}

// given tells of the same order given before, when it still stands; empty: it does not.
func (t *turn) given(ctx context.Context, v Verb) (string, error) {
	i := t.head.Incident
	stands := map[Verb]bool{
		Approve: i.State != leak.Held,
		Reject:  i.Rule == leak.RuleReject && i.Finished(),
		Undo:    i.Intended == leak.Enable || i.Rule == leak.RuleUndo && i.State == leak.Closed && !i.Key.Disabled,
		Retry:   i.State == leak.Open,
		Close:   i.State == leak.Closed,
	}
	switch {
	case !stands[v]:
		return "", nil
	case v == Retry:
		return "the incident is being worked on already", nil
	}
	steps, err := t.Ledger.Steps(ctx, i.ID)
	if err != nil {
		return "", err
	}
	for _, s := range slices.Backward(steps) {
		if s.Step == taken[v] {
			return fmt.Sprintf("%s did that at %s; the incident is %s", s.By, s.At.UTC().Format(time.DateTime), i.State), nil
		}
		if s.Step == leak.HeldBack || s.Step == leak.Decided {
			return "", nil // an older one was for something else
		}
	}
	return "", nil
}

// say adds the step of an order.
func (t *turn) say(o Order, text string) {
	t.steps = append(t.steps, leak.Step{At: time.Now(), Step: taken[o.Verb], Text: text + ": " + o.Reason, By: o.By, Quiet: o.quiet})
}

func (t *turn) approve(o Order) error {
	if t.head.State != leak.Held {
		return refuse("the incident is %s: nothing waits for approval", t.head.State)
	}
	t.incident.State, t.incident.Intended = leak.Open, t.head.Action
	t.say(o, fmt.Sprintf("approved to %s the key", t.head.Action))
	return nil
}

func (t *turn) reject(o Order) error {
	if t.head.State != leak.Held {
		return refuse("the incident is %s: nothing waits for approval", t.head.State)
	}
	t.incident.Rule, t.incident.Approval, t.incident.Severity = leak.RuleReject, false, t.head.Rated
	t.incident.Reason = fmt.Sprintf("%s refused to %s the key: %s", o.By, t.head.Action, o.Reason)
	text := fmt.Sprintf("refused to %s the key, which works", t.head.Action)
	t.incident.State, t.incident.Action = leak.Left, leak.Nothing
	if t.head.Key.Disabled {
		text = fmt.Sprintf("refused to %s the key, which stays disabled", t.head.Action)
		t.incident.State, t.incident.Action = leak.Contained, leak.Disable
	}
	t.say(o, text)
	return nil
}

func (t *turn) tryAgain(ctx context.Context, o Order) error {
	if t.head.State == leak.Held {
		return refuse("the incident is held: approve or reject it")
	}
	kept, err := t.isKept(ctx)
	if err != nil {
		return err
	}
	if t.head.Key.ID == "" && !kept {
		return refuse("its sealed secret is wiped, and no issuer told which key it is: it cannot be looked up again")
	}
	t.incident.State, t.incident.Failure = leak.Open, ""
	t.say(o, "to be tried again")
	return nil
}

func (t *turn) closeBy(o Order) error {
	switch t.head.State {
	case leak.Open:
		return refuse("the incident is being worked on: try again in a moment")
	case leak.Closed:
		return refuse("the incident is closed already")
	}
	t.incident.State, t.incident.Intended, t.incident.Failure = leak.Closed, "", ""
	t.incident.Severity = leak.Info
	t.say(o, "closed")
	return nil
}

// OrderHeld gives one order for every incident of an account that the fuse holds, of those named. It returns how many it
// was taken for.
func (e *Engine) OrderHeld(ctx context.Context, ids []leak.Fingerprint, issuer, account string, o Order) (int, error) {
	count := 0
	for _, id := range ids {
		head, err := e.Ledger.Read(ctx, id)
		if err != nil {
			return count, err
		}
		if head.State != leak.Held || head.Rule != leak.RuleFuse || head.Issuer != issuer || head.Key.Account != account {
			continue
		}
		o.quiet = count > 0
		_, err = e.Order(ctx, id, o)
		var refusal *Refusal
		if errors.As(err, &refusal) {
			continue // somebody else was quicker
		}
		if err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}
