package dispositions

import (
	"context"
	"errors"
	"fmt"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// intend announces an action. Nothing is done to a key before that is on disk.
func (t *turn) intend(ctx context.Context, issuer Configured, action leak.Action) error {
	announcing, s := t.stage(ctx, turnIntend)
	t.incident.State, t.incident.Intended = leak.Open, action
	t.step(leak.Intended, fmt.Sprintf("about to %s the key", action))
	err := t.record(announcing)
	s.end(err)
	if err != nil {
		return err
	}
	return t.act(ctx, issuer)
}

// resumeAndDecide takes up an action. What a new sighting says is decided after that: it may raise the action.
func (t *turn) resumeAndDecide(ctx context.Context, seen bool) error {
	if err := t.resume(ctx); err != nil || !seen || !t.head.Finished() {
		return err
	}
	return t.begin(ctx)
}

// resume takes up an action that was announced and not proved. It may have been done: the issuer is asked first.
func (t *turn) resume(ctx context.Context) error {
	issuer, ok := t.issuer(t.incident.Issuer)
	if !ok {
		return t.fail(ctx, fmt.Errorf("issuer %s is not configured any more", t.incident.Issuer))
	}
	if err := t.visit(ctx, issuer); err != nil {
		return err
	}
	key, err := issuer.Issuer.Read(ctx, t.incident.Key.ID)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return t.proved(ctx, issuer, leak.Key{})
	case err != nil:
		return t.fail(ctx, fmt.Errorf("reading the key back from %s: %w", issuer.Name, err))
	case inForce(key, t.incident.Intended):
		return t.proved(ctx, issuer, key)
	}
	return t.resumeAlive(ctx, issuer, key)
}

// resumeAlive asks policy again before it takes up an action: the key may have been protected since. Nothing else stops
// what was announced.
func (t *turn) resumeAlive(ctx context.Context, issuer Configured, key leak.Key) error {
	d, _ := t.ask(issuer, t.incident, t.alert.Source, t.content)
	if d.Action == leak.Nothing && policy.Untouchable(d.Rule) {
		t.decided(d)
		return t.leave(ctx)
	}
	t.incident.Key.Locked = key.Locked || t.incident.Key.Locked // we may have unlocked it
	if key.Locked && !t.incident.Unlock {
		return t.fail(ctx, errLocked)
	}
	return t.act(ctx, issuer)
}

// act does to the key what the log announces, and reads it back whatever the answer was: a refusal may have been
// carried out, and an acceptance may not.
func (t *turn) act(ctx context.Context, issuer Configured) error {
	if err := t.visit(ctx, issuer); err != nil {
		return err
	}
	key, action := t.incident.Key, t.incident.Intended
	acting, s := t.stage(ctx, turnAct)
	acted := perform(acting, issuer.Issuer, key, action)
	s.end(acted)

	proving, s := t.stage(ctx, turnProve)
	after, err := issuer.Issuer.Read(proving, key.ID)
	s.end(err)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return t.proved(ctx, issuer, leak.Key{})
	case err != nil:
		return t.fail(ctx, fmt.Errorf("reading the key back from %s: %w", issuer.Name, err))
	case inForce(after, action):
		return t.proved(ctx, issuer, after)
	}
	if locker, ok := issuer.Issuer.(Locker); ok && key.Locked && !after.Locked {
		_ = locker.Lock(ctx, key.ID) // best effort: what is told is that the key is alive
	}
	if acted != nil {
		return t.fail(ctx, fmt.Errorf("asking %s to %s the key: %w", issuer.Name, action, acted))
	}
	return t.fail(ctx, fmt.Errorf("%s accepted to %s the key, but read back it is alive", issuer.Name, action))
}

// perform asks the issuer for an action, and unlocks a locked key first: whoever calls it has asked policy.
func perform(ctx context.Context, issuer Issuer, key leak.Key, action leak.Action) error {
	if !key.Locked {
		return effect(ctx, issuer, key.ID, action)
	}
	locker, ok := issuer.(Locker)
	if !ok {
		return fmt.Errorf("%w, and the issuer cannot unlock it", leak.ErrLocked)
	}
	if err := locker.Unlock(ctx, key.ID); err != nil {
		return fmt.Errorf("unlocking the key: %w", err)
	}
	return effect(ctx, issuer, key.ID, action)
}

func effect(ctx context.Context, issuer Issuer, id string, action leak.Action) error {
	switch action {
	case leak.Disable:
		if disabler, ok := issuer.(Disabler); ok {
			return disabler.Disable(ctx, id)
		}
	case leak.Delete:
		if deleter, ok := issuer.(Deleter); ok {
			return deleter.Delete(ctx, id)
		}
	}
	return fmt.Errorf("the issuer cannot %s a key", action)
}

// inForce reports whether an action needs not be taken because its effect is there. A deleted key is not there to ask.
func inForce(key leak.Key, action leak.Action) bool {
	return action == leak.Disable && key.Disabled
}
