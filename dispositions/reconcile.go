package dispositions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/admit"
	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// reconcile takes an incident from what the log says of it to the next thing that the log can say, whoever asks for it: an alert,
// the retry queue, a person, a source that was told, a recheck. One reconcile at a time works on an incident here; when somebody
// else wrote to it meanwhile it starts again.
func (e *Engine) reconcile(ctx context.Context, w work) (err error) {
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

// work is why an incident is reconciled, and with what.
type work struct {
	reason    reason
	incident  leak.Fingerprint
	alert     leak.Alert   // zero: none is at hand
	content   leak.Content // of the alert, opened
	delivered int          // how often the alert was delivered
	lastTry   bool         // a failure is recorded now, and pages
	again     bool         // an announced action was just proved: what the new sighting says is decided now
	order     *Order       // given by a person
	contained time.Time    // the proof that is looked at again
}

// reason is why an incident is reconciled.
type reason int

const (
	sighted    reason = iota // an alert, off the queue
	retried                  // it is unfinished, and due
	expired                  // it is unfinished, and its secret was kept as long as it may be
	givenUp                  // nobody knew the key in all the time that it was looked up
	ordered                  // a person gives an order
	carriedOut               // an order in the log is to be carried out
	reported                 // a source was told what became of its alert
	rechecked                // tokens of the dead key have run out
)

// purpose is what one pass is for. It follows from the reason and from how the incident stands.
type purpose int

const (
	contain purpose = iota // find out whose key it is, decide, act
	resume                 // take up an action that was announced and not proved
	undo                   // enable the key again, as a person ordered
	await                  // it is held: see whether it still must be
	repeat                 // a sighting that a finished incident knows already
	recheck                // look at a dead key again
	obey                   // take a person's order
	note                   // put into the log what a source was told
	forget                 // the secret is not kept any more
	clean                  // it is finished: nothing is left to do but to wipe
	nothing                // nothing is left to do
	undoing                // a new sighting comes while an undo is under way
)

// pass is one reconcile of an incident.
type pass struct {
	engine   *Engine
	settings *inForce // in force when it began
	work     work
	purpose  purpose
	head     ledger.Head   // what the log says
	incident leak.Incident // what it will say
	steps    []leak.Step   // taken, not on disk yet
	known    bool          // the sighting is in the log already
	waiting  bool          // the incident is in the retry queue, as far as the log tells
	sighting <-chan error  // the sighting on its way to disk; nil: it is there, or known
	slot     slot
	span     span.Span

	issuer connection  // that knows the key, once it is located
	seen   observation // what it says of the key, this time
	todo   leak.Action // what is done to the key in this pass; empty: nothing
	acted  error       // what the issuer answered to that; nil: it accepted
	claim  string      // what proves, if it is proved, that the key was dead already
}

// observation is how a key stands, as its issuer says.
type observation struct {
	standing standing
	key      leak.Key
	err      error // why it is not known
}

type standing int

const (
	unseen   standing = iota // nobody asked, or nobody can
	alive                    // it is there, and not disabled
	disabled                 // it is there, and disabled
	gone                     // the issuer has no such key
	unclear                  // the issuer did not say
)

// observe turns the answer of an issuer into an observation.
func observe(key leak.Key, err error) observation {
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return observation{standing: gone, err: err}
	case err != nil:
		return observation{standing: unclear, err: err}
	case key.Disabled:
		return observation{standing: disabled, key: key}
	}
	return observation{standing: alive, key: key}
}

// shows reports whether an action needs not be taken, or has been, because its effect is there.
func (o observation) shows(action leak.Action) bool {
	return o.standing == gone || o.standing == disabled && action == leak.Disable
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
	if w.reason == carriedOut && !head.Finished() {
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
			ID: a.Fingerprint, State: leak.Open, Severity: leak.Warning, Source: a.Source, First: a.ID, ReceivedAt: a.ReceivedAt,
		}
	}
	p.incident.Last = a.ID
	p.incident.SightingCount++
	p.steps = append(p.steps, seenStep(a, c))
	stored := make(chan error, 1)
	p.sighting = stored
	seen := leak.Sighting{Source: a.Source, Type: c.Type, URL: c.URL, Place: c.Place, SeenAt: a.ReceivedAt, Marks: c.Marks}
	go func() { stored <- p.engine.config.Sightings.Add(ctx, a.Fingerprint, a.ID, seen) }()
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

// by is who takes the engine's steps.
const by = "engine"

func (p *pass) step(name leak.StepName, text string) {
	p.steps = append(p.steps, leak.Step{At: time.Now(), Step: name, Text: text, By: by})
}

// isNew reports whether the pass brings a sighting that the log does not know.
func (p *pass) isNew() bool { return !p.known }

// target names the key by what is at hand.
func (p *pass) target() Target { return Target{Key: p.incident.Key, Secret: p.work.content.Secret} }

// slot is the pass's place at one issuer; the zero slot is none.
type slot struct {
	at   string
	free func()
}

// acquire takes a slot at an issuer for the rest of the pass, and gives up one elsewhere.
func (s *slot) acquire(ctx context.Context, issuer connection, delivered int) error {
	if s.at == issuer.Name {
		return nil
	}
	s.release()
	free, err := issuer.limiter.Acquire(ctx, delivered)
	if err == nil {
		s.at, s.free = issuer.Name, free
	}
	return err
}

func (s *slot) release() {
	if s.free != nil {
		s.free()
		s.at, s.free = "", nil
	}
}

// outcome is how a phase ends. The zero outcome goes on with the next phase.
type outcome struct {
	result result
	text   string // one sentence, for the step
	err    error  // what failed
	quiet  bool   // nobody is told
}

// result is what a pass comes to.
type result int

const (
	proceeds    result = iota // with the next phase
	nothingLeft               // nothing is written
	wiped                     // nothing is written, and the secret is not kept any more
	forgotten                 // the secret is not kept any more, and the log says so
	back                      // to the queue, because of err
	noted                     // what the steps say is written, and the incident stays as it is
	stays                     // unfinished, as it was
	isUnknown                 // no issuer knows the key
	isLeft                    // nothing is done, as was decided
	isHeld                    // a person must approve
	isFailed                  // because of err
	isSettling                // proved, and to be proved again when the change holds everywhere
	isContained               // proved dead
	isAccepted                // done, and nobody can prove it
	isDisabled                // proved disabled; to delete it a person must approve
	isUndone                  // works again, because a person said so
	undoFailed                // the undo did not succeed, because of err
	isAlive                   // a closed incident's key works
	isObeyed                  // a person's order is taken
)

func (o outcome) proceeds() bool { return o.result == proceeds }

func fail(err error) outcome { return outcome{result: isFailed, err: err} }

// errDecideAgain makes a new sighting's pass begin again, after the action that it found announced was proved.
var errDecideAgain = errors.New("what the new sighting says is decided now")

// errUndoing puts an alert back that comes while a person's undo is under way: what it says is decided after that.
var errUndoing = errors.New("the key is being enabled again because a person said so")

// errSettling puts an alert back until a change holds everywhere at its issuer.
var errSettling = fmt.Errorf("the change is proved again when it holds everywhere: %w", admit.ErrNotAttempted)

// failure is what of the error of a reconcile makes it one that failed: what comes back when it is time, and what is refused
// to a person, has not.
func failure(err error) error {
	_, later := errors.AsType[*queue.Later](err)
	_, refused := errors.AsType[*leak.Refusal](err)
	if later || refused {
		return nil
	}
	return err
}
