package dispositions

import (
	"context"
	"errors"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// reconcile takes an incident from what the log says of it to the next thing that the log can say, whoever asks for it: an alert,
// the retry queue, a person, a source that was told, a recheck. One reconcile at a time works on an incident here; when somebody
// else wrote to it meanwhile it starts again.
func (e *Engine) reconcile(ctx context.Context, w work) error {
	err := e.reconcileOne(ctx, w)
	to, joins := errors.AsType[*joinedTo](err)
	if !joins {
		return err
	}
	half := w.incident
	w.reason, w.incident = sighted, to.incident
	if err := e.reconcileOne(ctx, w); err != nil {
		return err
	}
	return e.reconcileOne(ctx, work{reason: joined, incident: half, other: to.incident})
}

// reconcileOne reconciles one incident. What turns out to belong to another one is a *joinedTo.

func (e *Engine) reconcileOne(ctx context.Context, w work) (err error) {
	ctx, s := span.Continue(ctx, e.config.Tracer, spanNames[w.reason])
	s.Set(span.Incident, string(w.incident))
	defer func() { s.End(failure(err)) }()
	unlock, err := e.busy.lock(ctx, w.incident)
	if err != nil {
		return err
	}
	defer unlock()
	for {
		err = e.pass(ctx, w)
		again := errors.Is(err, ledger.ErrConflict) || errors.Is(err, errDecideAgain)
		if !again || ctx.Err() != nil {
			return err
		}
		w.again = w.again || errors.Is(err, errDecideAgain)
	}
}

// pass is one way through the phases. Each of them says how to go on: the zero outcome is the next phase, any other one settles
// the pass.
func (e *Engine) pass(ctx context.Context, w work) error {
	p, err := e.read(ctx, w)
	if err != nil {
		return err
	}
	defer p.slot.release()
	if err := p.see(ctx); err != nil {
		return err
	}
	out := p.locate(ctx)
	if out.proceeds() {
		out = p.decide(ctx)
	}
	if out.proceeds() {
		out = p.announce(ctx)
	}
	if out.proceeds() {
		out = p.act(ctx)
	}
	if out.proceeds() {
		out = p.prove(ctx)
	}
	return p.settle(ctx, out)
}

// read begins a pass: what the log says, whether it knows the sighting, and what the pass is for.
func (e *Engine) read(ctx context.Context, w work) (*pass, error) {
	head, err := e.config.Ledger.Read(ctx, w.incident)
	if err != nil {
		return nil, err
	}
	p := &pass{engine: e, settings: e.settings.Load(), work: w, head: head, incident: head.Incident, span: span.Of(ctx)}
	p.waiting = head.Exists() && !head.Finished() && head.State != leak.Open
	p.known = true
	if w.reason == sighted || w.reason == retried {
		if p.known, err = e.config.Ledger.Knows(ctx, head, w.alert.ID); err != nil {
			return nil, err
		}
	}
	if (w.reason == carriedOut || w.reason == rechecked) && !head.Finished() {
		if p.work.alert, p.work.content, err = e.recall(ctx, w.incident); err != nil {
			return nil, err
		}
		p.waiting = p.work.alert.ID != "" || head.Intended == leak.Enable // the undone incident may have been held
	}
	p.purpose = p.purposeOf(w)
	p.issuer, _ = p.settings.issuer(head.Issuer)
	return p, nil
}

// purposeOf is what a pass is for.
func (p *pass) purposeOf(w work) purpose {
	switch w.reason {
	case ordered:
		return obey
	case rechecked:
		return recheck
	case reported:
		return note
	case expired, givenUp:
		return forget
	case joined:
		return merge
	case carriedOut:
		return p.purposeOfOrder()
	}
	switch {
	case w.again:
		return contain
	case w.reason == retried && p.head.Finished():
		return clean
	case p.known && p.head.Finished():
		return repeat
	case p.head.Intended == leak.Enable && p.known:
		return nothing
	case p.head.Intended == leak.Enable:
		return undoing
	case p.head.Intended != "":
		return resume
	case p.head.State == leak.Held:
		return await
	}
	return contain
}

// purposeOfOrder is what carrying out an order is for. When somebody has gone on with the incident since, nothing is left to do.
func (p *pass) purposeOfOrder() purpose {
	failedByID := p.head.State == leak.Failed && !p.waiting // nobody else tries it again
	switch {
	case p.head.Finished():
		return clean
	case p.head.Intended == leak.Enable:
		return undo
	case p.head.State != leak.Open && !failedByID:
		return nothing
	case p.head.Intended != "":
		return resume
	}
	return contain
}

// see adds a new sighting, once the issuer that is asked first has a slot for it. The sighting goes to disk while the issuer is
// asked, and is there before the step that names it.
func (p *pass) see(ctx context.Context) error {
	if p.known {
		return nil
	}
	if candidates := p.settings.candidates(p.work.content); len(candidates) > 0 {
		if err := p.slot.acquire(ctx, candidates[0], p.work.delivered); err != nil {
			return err
		}
	}
	a, c := p.work.alert, p.work.content
	if !p.head.Exists() {
		p.incident = leak.Incident{
			ID: p.work.incident, State: leak.Open, Severity: leak.Warning, Source: a.Source, First: a.ID, ReceivedAt: a.ReceivedAt,
		}
	}
	p.incident.Last = a.ID
	p.incident.SightingCount++
	p.steps = append(p.steps, seenStep(a, c))
	stored := make(chan error, 1)
	p.sighting = stored
	seen := leak.Sighting{Source: a.Source, Type: c.Type, URL: c.URL, Place: c.Place, SeenAt: a.ReceivedAt, Marks: c.Marks}
	go func() { stored <- p.engine.config.Sightings.Add(ctx, p.work.incident, a.ID, seen) }()
	return nil
}

func seenStep(a leak.Alert, c leak.Content) leak.Step {
	s := leak.Step{At: a.ReceivedAt, Step: leak.Seen, Text: "reported by source " + a.Source, By: by, Sighting: a.ID}
	if c.Swept {
		s.Text = "found by a sweep of source " + a.Source + ": no delivery had told of it"
	}
	if c.Ref != "" {
		s.Ref, s.Source = c.Ref, a.Source
	}
	return s
}

// failure is what of the error of a reconcile makes it one that failed: what comes back when it is time, and what is refused
// to a person, has not.
func failure(err error) error {
	_, later := errors.AsType[*queue.Later](err)
	_, refused := errors.AsType[*leak.Refusal](err)
	_, joins := errors.AsType[*joinedTo](err)
	if later || refused || joins {
		return nil
	}
	return err
}
