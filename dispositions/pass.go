package dispositions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/admit"
	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue/span"
)

// work is why an incident is reconciled, and with what.
type work struct {
	reason    reason
	incident  leak.Fingerprint
	alert     leak.Alert       // zero: none is at hand
	content   leak.Content     // of the alert, opened
	delivered int              // how often the alert was delivered
	lastTry   bool             // a failure is recorded now, and pages
	again     bool             // an announced action was just proved: what the new sighting says is decided now
	order     *Order           // given by a person
	contained time.Time        // the proof that is looked at again
	other     leak.Fingerprint // the incident that this one has joined
}

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

// phase is one part of a reconcile that metrics and traces tell apart.
type phase struct {
	metrics *metrics
	name    string
	began   time.Time
	span    span.Span
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
	joined                   // its sighting went to the incident of the other half of its credential
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
	merge                  // it has joined another incident: end it
	clean                  // it is finished: nothing is left to do but to wipe
	nothing                // nothing is left to do
	undoing                // a new sighting comes while an undo is under way
)

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

func (p *pass) step(name leak.StepName, text string) {
	p.steps = append(p.steps, leak.Step{At: time.Now(), Step: name, Text: text, By: by})
}

// by is who takes the engine's steps.
const by = "engine"

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

// found takes over what the issuer says of the key now. When it was last used is asked once only, when it is located.
func (p *pass) found(key leak.Key) {
	key.LastUsedAt = later(key.LastUsedAt, p.incident.Key.LastUsedAt)
	key.OwnerName = cmp.Or(key.OwnerName, p.incident.Key.OwnerName)
	if !key.Used.Known {
		key.Used = p.incident.Key.Used
	}
	p.incident.Key = key
}

// works notes that the key is not dead, or not any more.
func (p *pass) works() {
	p.incident.ContainedAt, p.incident.TokensLiveUntil = time.Time{}, time.Time{}
	p.incident.Proof = nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// The phases that phase_duration_seconds and traces tell apart. Recording is a part of announcing and of settling.
const (
	phaseLocate   = "locate"
	phaseAnnounce = "announce"
	phaseAct      = "act"
	phaseProve    = "prove"
	phaseRecord   = "record"
)

// What traces call a reconcile, by its reason.
var spanNames = map[reason]string{
	sighted: "reconcile", retried: "retry", expired: "expire", givenUp: "give up", ordered: "order", carriedOut: "carry out",
	reported: "reported", rechecked: "recheck", joined: "join",
}

const spanDecide = "decide"

func (m *metrics) phase(name string, begin time.Time) {
	m.phases.WithLabelValues(name).Observe(time.Since(begin).Seconds())
}

// phase begins a part of the pass. What it asks for is asked with the context that it returns.
func (p *pass) phase(ctx context.Context, name string) (context.Context, phase) {
	ctx, s := span.Start(ctx, name)
	return ctx, phase{p.engine.metrics, name, time.Now(), s}
}

// end ends the part. That there is no such key is an answer.
func (s phase) end(err error) {
	s.metrics.phase(s.name, s.began)
	if errors.Is(err, leak.ErrNotFound) {
		err = nil
	}
	s.span.End(err)
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
	isJoined                  // it is the other half of a credential that has an incident already
)

func (o outcome) proceeds() bool { return o.result == proceeds }

func fail(err error) outcome { return outcome{result: isFailed, err: err} }

// errDecideAgain makes a new sighting's pass begin again, after the action that it found announced was proved.
var errDecideAgain = errors.New("what the new sighting says is decided now")

// errUndoing puts an alert back that comes while a person's undo is under way: what it says is decided after that.
var errUndoing = errors.New("the key is being enabled again because a person said so")

// errSettling puts an alert back until a change holds everywhere at its issuer.
var errSettling = fmt.Errorf("the change is proved again when it holds everywhere: %w", admit.ErrNotAttempted)

// look asks the incident's issuer how the key stands, where it can tell.
func (p *pass) look(ctx context.Context) observation {
	if p.issuer.Issuer == nil || !p.issuer.reads(p.target()) {
		return observation{}
	}
	return observe(p.issuer.read(ctx, p.target()))
}

// reach takes a slot at the incident's issuer.
func (p *pass) reach(ctx context.Context) outcome {
	if p.issuer.Issuer == nil {
		return fail(fmt.Errorf("issuer %s is not configured any more", p.incident.Issuer))
	}
	if err := p.slot.acquire(ctx, p.issuer, p.work.delivered); err != nil {
		return outcome{result: back, err: err}
	}
	return outcome{}
}

// decided notes a decision.
func (p *pass) decided(d leak.Decision) {
	p.incident.Action, p.incident.Rule, p.incident.Reason = d.Action, d.Rule, d.Reason
	p.incident.Severity, p.incident.Rated, p.incident.Failure, p.incident.Cause = d.Severity, d.Severity, "", ""
	p.incident.Approval, p.incident.Unlock, p.incident.Told = d.Approval, d.Unlock, false
	if p.issuer.Issuer != nil {
		p.incident.Abilities = p.issuer.Issuer.Abilities()
	}
	p.step(leak.Decided, fmt.Sprintf("%s: %s", described(d), d.Reason))
}

func described(d leak.Decision) string {
	if d.Approval {
		return string(d.Action) + " after approval"
	}
	return string(d.Action)
}

func withCode(code string) string {
	if code == "" {
		return ""
	}
	return " with " + code
}
