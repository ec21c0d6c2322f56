package dispositions

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"stanch/dispositions/admit"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// settle is the last phase, and the one place that turns an outcome into an entry of the log, a metric and the next look.
func (p *pass) settle(ctx context.Context, out outcome) error {
	switch out.result {
	case nothingLeft:
		return nil
	case back:
		return out.err
	case wiped:
		return p.engine.wipe(ctx, p.work.incident)
	case forgotten:
		return p.forget(ctx)
	case noted:
		return p.record(ctx)
	case stays:
		return p.keep(ctx)
	case isFailed:
		return p.failed(ctx, out.err)
	case undoFailed:
		return p.undoFailed(ctx, out.err)
	case isSettling:
		return p.settling(ctx, out.text)
	case isObeyed:
		return p.obeyed(ctx)
	case isAlive:
		p.incident.Told, p.incident.Severity = true, leak.Critical
		p.works()
		p.step(leak.Alive, out.text)
		return p.record(ctx)
	}
	return p.conclude(ctx, out)
}

// conclude records an outcome that changes the incident's state, and counts it.
func (p *pass) conclude(ctx context.Context, out outcome) error {
	i := &p.incident
	switch out.result {
	case isContained:
		p.died(out.text)
		i.State, i.Severity = leak.Contained, cmp.Or(i.Rated, leak.Warning)
	case isAccepted:
		i.Intended, i.Failure, i.Cause = "", "", ""
		i.Proof = &leak.Proof{Kind: leak.AcceptedOnly, At: time.Now()}
		i.State, i.Severity = leak.Accepted, cmp.Or(i.Rated, leak.Warning)
		p.step(leak.Unproved, out.text)
	case isLeft:
		i.State, i.Intended, i.Failure, i.Cause = leak.Left, "", "", ""
		p.works()
		p.step(leak.Spared, "nothing was done: "+i.Reason)
	case isUndone:
		p.found(p.seen.key)
		i.State, i.Intended, i.Severity, i.Failure, i.Cause = leak.Closed, "", leak.Warning, "", ""
		i.Action, i.Approval, i.Told = leak.Nothing, false, false
		p.works()
		p.step(leak.Undone, out.text)
	case isUnknown:
		i.State, i.Failure, i.Cause = leak.Unknown, "", ""
		i.Action, i.Reason = leak.Nothing, out.text
		p.step(leak.NotKnown, out.text+"; it is looked up again for a day")
	case isDisabled:
		p.died(out.text)
		i.Severity = i.Rated
		p.held("held: to delete the key needs approval", false)
	case isHeld:
		p.held(out.text, out.quiet)
	case isJoined:
		i.State, i.Severity, i.Rule, i.Told = leak.Closed, leak.Info, leak.RuleJoined, true
		i.Failure, i.Cause, i.Intended = "", "", ""
		p.step(leak.Joined, out.text)
	}
	if err := p.write(ctx); err != nil {
		return err
	}
	p.count(out.result)
	if p.isNew() && p.purpose == resume && i.Finished() {
		return errDecideAgain
	}
	return nil
}

// held holds the incident for approval. It is quiet when somebody was told already that others are held.
func (p *pass) held(text string, quiet bool) {
	p.incident.State = leak.Held
	if !p.incident.Key.Disabled {
		p.incident.Severity = leak.Critical
	}
	p.step(leak.HeldBack, text)
	p.steps[len(p.steps)-1].Quiet = quiet
}

// died notes that the key is proved disabled or gone.
func (p *pass) died(text string) {
	now, i := time.Now(), &p.incident
	switch p.seen.standing {
	case gone:
		i.Key.Disabled, i.Key.Gone = false, true
	case unseen:
		i.Key.Disabled, i.Key.Gone = i.Intended == leak.Disable, i.Intended == leak.Delete
	default:
		p.found(p.seen.key)
	}
	i.Intended, i.Failure, i.Cause, i.SettlesAt = "", "", "", time.Time{}
	i.ContainedAt, i.Aftermath = now, nil
	i.TokensLiveUntil = now.Add(p.tokensOutlive())
	p.step(leak.Proved, text)
}

// tokensOutlive is for how long tokens of the key may work after it, as far as is known.
func (p *pass) tokensOutlive() time.Duration {
	if p.issuer.Issuer == nil {
		return p.incident.Abilities.TokensOutlive.Most
	}
	p.incident.Abilities = p.issuer.Issuer.Abilities()
	return p.incident.Abilities.TokensOutlive.Most
}

// write records the entry, and keeps or wipes the secret as the incident's state demands.
func (p *pass) write(ctx context.Context) error {
	if !p.incident.Finished() {
		return p.keep(ctx)
	}
	if err := p.record(ctx); err != nil || !p.waiting {
		return err
	}
	return p.engine.wipe(ctx, p.incident.ID)
}

// count counts what the incident came to.
func (p *pass) count(r result) {
	m, i := p.engine.metrics, p.incident
	switch r {
	case isContained:
		m.contained(i, i.Action, p.work.alert)
	case isDisabled:
		m.contained(i, leak.Disable, p.work.alert)
	}
	name := resultNames[r]
	switch {
	case r == isContained && i.Proof.Kind == leak.ReadBackExpired:
		name = resultExpired
	case r == isLeft && i.Rule == leak.RuleByHand:
		name = leak.RuleByHand
	}
	m.ended(i, name)
}

// keep puts the alert of an unfinished incident into the retry queue, secret included and sealed, and then records the entry: when
// the log says that an incident waits, what it waits with is on disk. A kept alert gives way only to one that raised the action:
// the decision is made again on what is kept.
func (p *pass) keep(ctx context.Context) error {
	there, err := p.isKept(ctx)
	if err != nil {
		return err
	}
	if p.work.alert.ID != "" && (!there || p.incident.Action.Stronger(p.head.Action)) {
		data, err := json.Marshal(p.work.alert)
		if err != nil {
			return fmt.Errorf("encoding an alert: %w", err)
		}
		if err := p.engine.config.Store.Append(ctx, queue.Message{Subject: queue.RetrySubject(p.incident.ID), Data: data}); err != nil {
			return fmt.Errorf("keeping a sealed secret: %w", err)
		}
	}
	return p.record(ctx)
}

// isKept reports whether the secret of the incident is kept. One that waited may have been given up since.
func (p *pass) isKept(ctx context.Context) (bool, error) {
	if !p.waiting {
		return false, nil
	}
	_, err := p.engine.config.Store.Last(ctx, queue.RetrySubject(p.incident.ID))
	if errors.Is(err, queue.ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}

// failed gives a failure back to the queue while it is young. Then it goes into the log, which pages, and the incident is
// tried again from the retry queue until it succeeds or a person ends it. The same failure is recorded once.
func (p *pass) failed(ctx context.Context, err error) error {
	young := !p.work.lastTry && !errors.Is(err, leak.ErrLocked) && admit.Pause(err) <= admit.Patience
	switch {
	case admit.Postponed(err):
		return err
	case young:
		return admit.Postpone(err)
	case p.head.State == leak.Failed:
		p.keepState()
	case p.head.State == leak.Unknown && p.sighting == nil:
		return err // one more look at a key that nobody knew is not worth a page
	default:
		p.fail(err)
		defer p.count(isFailed)
	}
	if err := p.keep(ctx); err != nil {
		return err
	}
	if p.work.alert.ID == "" {
		return admit.Postpone(err) // nothing is kept to try it again with, so the order that began it comes back
	}
	return nil
}

// fail notes a failure that pages.
func (p *pass) fail(err error) {
	p.incident.State, p.incident.Severity = leak.Failed, leak.Critical
	p.incident.Failure, p.incident.Cause = err.Error(), leak.CauseOf(err)
	if p.incident.Cause == leak.CauseAlive {
		p.incident.Proof = nil
	}
	p.step(leak.Failure, err.Error())
}

// keepState drops what this pass found out about an incident that failed before and failed again: only a new sighting
// is worth an entry.
func (p *pass) keepState() {
	last, count := p.incident.Last, p.incident.SightingCount
	p.incident = p.head.Incident
	p.incident.Last, p.incident.SightingCount = last, count
	if p.sighting == nil {
		p.steps = nil
		return
	}
	p.steps = p.steps[:1]
}

// undoFailed tries again, and pages once when it did not succeed for a while. The order stands until somebody closes the
// incident.
func (p *pass) undoFailed(ctx context.Context, err error) error {
	if p.work.lastTry && p.head.State != leak.Failed && !admit.Postponed(err) {
		p.fail(err)
		if err := p.record(ctx); err != nil {
			return err
		}
		p.count(isFailed)
	}
	return admit.Postpone(err)
}

// settling records a first proof, or an acceptance that cannot be proved yet, and comes back when the change holds everywhere.
func (p *pass) settling(ctx context.Context, text string) error {
	wait := p.issuer.Issuer.Abilities().Settles
	p.incident.SettlesAt = time.Now().Add(wait)
	p.step(leak.Settling, fmt.Sprintf("%s; changes take up to %s there, and it is proved again after that", text, wait))
	if err := p.record(ctx); err != nil {
		return err
	}
	return &queue.Later{Delay: wait, Err: errSettling}
}

// obeyed records a person's order.
func (p *pass) obeyed(ctx context.Context) error {
	order := p.work.order
	order.answer = p.steps[len(p.steps)-1].Text
	if err := p.record(ctx); err != nil {
		return err
	}
	if p.incident.Finished() {
		p.engine.metrics.ended(p.incident, string(taken[order.Verb]))
	}
	return nil
}

// forget wipes the secret of an incident that was unfinished for as long as it may be kept, and says so.
func (p *pass) forget(ctx context.Context) error {
	if p.head.Exists() && !p.head.Finished() {
		text := fmt.Sprintf("the sealed secret is not kept any more, %d days at most: the incident is not tried again",
			queue.MaxRetryAge/(24*time.Hour))
		if p.work.reason == givenUp {
			text = fmt.Sprintf("looked up %d times within %s, and no issuer knows the key: its sealed secret is wiped",
				len(unknownAfter)+1, unknownAfter[len(unknownAfter)-1])
		}
		p.step(leak.Wiped, text)
		if err := p.record(ctx); err != nil {
			return err
		}
	}
	return p.engine.wipe(ctx, p.work.incident)
}

// wipe removes the kept secret of an incident that needs it no more.
func (e *Engine) wipe(ctx context.Context, f leak.Fingerprint) error {
	if err := e.config.Store.Remove(ctx, queue.RetrySubject(f)); err != nil {
		return fmt.Errorf("wiping a kept secret: %w", err)
	}
	return nil
}

// record appends the steps taken so far, as one entry.
func (p *pass) record(ctx context.Context) error {
	if p.sighting != nil {
		if err := <-p.sighting; err != nil {
			return err
		}
		p.sighting = nil
	}
	if len(p.steps) == 0 {
		return nil
	}
	if a, ok := p.issuer.Issuer.(Adviser); ok { // what was said before stays when the issuer is none
		p.incident.Advice = a.Advise(p.incident.Key)
	}
	started := time.Now()
	recording, s := span.Produce(ctx, phaseRecord)
	head, err := p.engine.config.Ledger.Append(recording, p.head, p.incident, p.steps...)
	s.End(err)
	if err != nil {
		return err
	}
	p.engine.metrics.phase(phaseRecord, started)
	p.trace()
	p.log(ctx)
	p.head, p.steps = head, nil
	return nil
}

func (p *pass) log(ctx context.Context) {
	for _, s := range p.steps {
		p.engine.config.Log.InfoContext(ctx, "step", "incident", p.incident.ID, "step", s.Step, "text", s.Text, "by", s.By,
			"state", p.incident.State, "issuer", p.incident.Issuer, "key", p.incident.Key.ID, "action", p.incident.Action)
	}
}

// trace says in the reconcile's span how the incident stands.
func (p *pass) trace() {
	p.span.Set(span.Issuer, p.incident.Issuer)
	p.span.Set(span.Action, string(p.incident.Action))
	p.span.Set(span.State, string(p.incident.State))
}

// recall returns the alert of an unfinished incident that is kept, opened; a zero Alert if none is.
func (e *Engine) recall(ctx context.Context, f leak.Fingerprint) (leak.Alert, leak.Content, error) {
	m, err := e.config.Store.Last(ctx, queue.RetrySubject(f))
	if errors.Is(err, queue.ErrNoMessage) {
		return leak.Alert{}, leak.Content{}, nil
	}
	if err != nil {
		return leak.Alert{}, leak.Content{}, err
	}
	alert, err := leak.Read[leak.Alert](m.Data)
	if err != nil {
		return leak.Alert{}, leak.Content{}, fmt.Errorf("reading a kept secret: %w", err)
	}
	content, err := e.config.Identities.Open(alert)
	return alert, content, err
}
