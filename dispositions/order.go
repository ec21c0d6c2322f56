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

	quiet  bool   // nobody is told of it: an order for many incidents is told once
	answer string // what was taken, a sentence
}

// Order takes a person's order: it is on disk when Order returns, and carried out whatever happens to the process. An order
// that was given before is no error, and has no second effect. What it returns is one sentence of what was taken. The
// error is a *leak.Refusal when the incident is not one that the order can be carried out on, and ledger.ErrNoIncident when
// there is none.
func (e *Engine) Order(ctx context.Context, f leak.Fingerprint, o Order) (string, error) {
	err := e.reconcile(ctx, work{reason: ordered, incident: f, order: &o})
	return o.answer, err
}

// obey takes a person's order.
func (p *pass) obey(ctx context.Context) outcome {
	if !p.head.Exists() {
		return outcome{result: back, err: ledger.ErrNoIncident}
	}
	o := p.work.order
	given, err := p.given(ctx, o.Verb)
	if given != "" {
		o.answer = given
		return outcome{result: nothingLeft}
	}
	if err == nil {
		err = p.take(ctx, *o)
	}
	if err != nil {
		return outcome{result: back, err: err}
	}
	return outcome{result: isObeyed}
}

// take says in the log what a person ordered, or why it is not taken.
func (p *pass) take(ctx context.Context, o Order) error {
	switch o.Verb {
	case Approve:
		return p.approve(ctx, o)
	case Reject:
		return p.reject(o)
	case Undo:
		return p.undo(o)
	case Retry:
		return p.tryAgain(ctx, o)
	case Close:
		return p.close(o)
	}
	return leak.Refuse("there is no such action")
}

// taken are the steps that orders make.
var taken = map[Verb]leak.StepName{
	Approve: leak.Approved, Reject: leak.Rejected, Undo: leak.UndoAsked, Retry: leak.Retried, Close: leak.Ended,
}

// given tells of the same order given before, when it still stands; empty: it does not.
func (p *pass) given(ctx context.Context, v Verb) (string, error) {
	i := p.head.Incident
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
	steps, err := p.engine.config.Ledger.Steps(ctx, i.ID)
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
func (p *pass) say(o Order, text string) {
	p.steps = append(p.steps, leak.Step{At: time.Now(), Step: taken[o.Verb], Text: text + ": " + o.Reason, By: o.By, Quiet: o.quiet})
}

func (p *pass) approve(ctx context.Context, o Order) error {
	if p.head.State != leak.Held {
		return leak.Refuse("the incident is %s: nothing waits for approval", p.head.State)
	}
	if err := p.cannotAct(ctx); err != nil {
		return err
	}
	p.incident.State, p.incident.Intended = leak.Open, p.head.Action
	p.say(o, fmt.Sprintf("approved to %s the key", p.head.Action))
	return nil
}

func (p *pass) reject(o Order) error {
	if p.head.State != leak.Held {
		return leak.Refuse("the incident is %s: nothing waits for approval", p.head.State)
	}
	if p.seen.standing == unclear {
		return leak.Refuse("whether the key is still disabled is not known, and nothing was changed: reading the key from %s: %v", p.issuer.Name, p.seen.err)
	}
	p.incident.Rule, p.incident.Approval, p.incident.Severity = leak.RuleReject, false, p.head.Rated
	p.incident.Reason = fmt.Sprintf("%s refused to %s the key: %s", o.By, p.head.Action, o.Reason)
	text := fmt.Sprintf("refused to %s the key, which works", p.head.Action)
	p.incident.State, p.incident.Action = leak.Left, leak.Nothing
	switch {
	case p.seen.standing == alive: // somebody enabled it meanwhile
		p.found(p.seen.key)
		p.works()
		p.incident.Severity = leak.Critical
	case p.head.Key.Disabled:
		text = fmt.Sprintf("refused to %s the key, which stays disabled", p.head.Action)
		p.incident.State, p.incident.Action = leak.Contained, leak.Disable
	}
	p.say(o, text)
	return nil
}

func (p *pass) tryAgain(ctx context.Context, o Order) error {
	if p.head.State == leak.Held {
		return leak.Refuse("the incident is held: approve or reject it")
	}
	kept, err := p.isKept(ctx)
	if err != nil {
		return err
	}
	if !p.head.Located() && !kept {
		return leak.Refuse("its sealed secret is wiped, and no issuer told which key it is: it cannot be looked up again")
	}
	if err := p.cannotAct(ctx); err != nil {
		return err
	}
	p.incident.State, p.incident.Failure = leak.Open, ""
	p.say(o, "to be tried again")
	return nil
}

func (p *pass) close(o Order) error {
	switch p.head.State {
	case leak.Open:
		return leak.Refuse("the incident is being worked on: try again in a moment")
	case leak.Closed:
		return leak.Refuse("the incident is closed already")
	}
	p.incident.State, p.incident.Intended, p.incident.Failure = leak.Closed, "", ""
	p.incident.Severity = leak.Info
	p.say(o, "closed")
	return nil
}

// OrderHeld gives one order for every incident of an account that the fuse holds, of those named. It returns how many it
// was taken for.
func (e *Engine) OrderHeld(ctx context.Context, ids []leak.Fingerprint, issuer, account string, o Order) (int, error) {
	count := 0
	for _, id := range ids {
		head, err := e.config.Ledger.Read(ctx, id)
		if err != nil {
			return count, err
		}
		if head.State != leak.Held || head.Rule != leak.RuleFuse || head.Issuer != issuer || head.Key.Account != account {
			continue
		}
		o.quiet = count > 0
		_, err = e.Order(ctx, id, o)
		var refusal *leak.Refusal
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

// undo takes a person's order to enable a key again. The issuer was asked first: whoever orders it learns at once when it cannot
// be done.
func (p *pass) undo(o Order) error {
	switch {
	case p.head.State == leak.Open:
		return leak.Refuse("the incident is being worked on: try again in a moment")
	case !p.head.Located():
		return leak.Refuse("no issuer told which key it is: there is nothing to undo")
	}
	if err := p.cannotEnable(); err != nil {
		return err
	}
	switch key := p.seen.key; {
	case p.seen.standing == gone:
		return leak.Refuse("the key is deleted, and that cannot be undone: a new one has to be made")
	case p.seen.standing == unclear:
		return leak.Refuse("whether it can be undone is not known, and nothing was changed: reading the key from %s: %v", p.issuer.Name, p.seen.err)
	case p.seen.standing == unseen:
		return leak.Refuse("whether it can be undone is not known, and nothing was changed: %s cannot say how the key stands", p.issuer.Name)
	case p.seen.standing == alive:
		return leak.Refuse("the key is not disabled: there is nothing to undo")
	case key.Locked:
		return leak.Refuse("the key is locked: unlock it at %s first", p.issuer.Name)
	}
	p.found(p.seen.key)
	p.incident.State, p.incident.Intended, p.incident.Failure, p.incident.Cause = leak.Open, leak.Enable, "", ""
	p.incident.Rule, p.incident.Reason = leak.RuleUndo, fmt.Sprintf("%s ordered to enable the key again: %s", o.By, o.Reason)
	p.say(o, "to enable the key again")
	return nil
}

// decideUndo does what an undo announced.
func (p *pass) decideUndo() outcome {
	if err := p.cannotEnable(); err != nil {
		return outcome{result: undoFailed, err: err}
	}
	p.todo = leak.Enable
	return outcome{}
}

// cannotEnable says why a key cannot be enabled; nil: it can.
func (p *pass) cannotEnable() error {
	switch {
	case p.issuer.Issuer == nil:
		return leak.Refuse("issuer %s is not configured any more", p.head.Issuer)
	case !p.issuer.Issuer.Abilities().Enable:
		return leak.Refuse("issuer %s cannot enable a key again", p.issuer.Name)
	case p.issuer.Issuer.Abilities().ByValue && p.work.content.Secret.Empty():
		return errors.New("the issuer names a key by its value only, and that is not kept any more")
	}
	return nil
}

// cannotAct says why nothing can be done to the key any more; nil: something can.
func (p *pass) cannotAct(ctx context.Context) error {
	if p.issuer.Issuer == nil || !p.issuer.Issuer.Abilities().ByValue {
		return nil
	}
	kept, err := p.isKept(ctx)
	if err == nil && !kept {
		err = leak.Refuse("its sealed secret is wiped, and %s names a key by nothing else: revoke it there by hand", p.issuer.Name)
	}
	return err
}
