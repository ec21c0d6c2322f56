package dispositions

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	if err := t.acquire(ctx, issuer); err != nil {
		return err
	}
	key, err := issuer.read(ctx, t.incident.Key.ID)
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
		if lock := t.relock(ctx, issuer, t.incident.Key, key); lock != "" {
			d.Reason += lock
		}
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
	if err := t.acquire(ctx, issuer); err != nil {
		return err
	}
	key, action := t.incident.Key, t.incident.Intended
	acting, s := t.stage(ctx, turnAct)
	acted := issuer.limiter.Do(acting, func() error { return perform(acting, issuer.Issuer, key, action) })
	s.end(acted)

	proving, s := t.stage(ctx, turnProve)
	after, err := issuer.read(proving, key.ID)
	s.end(err)
	switch {
	case errors.Is(err, leak.ErrNotFound):
		return t.proved(ctx, issuer, leak.Key{})
	case err == nil && inForce(after, action):
		return t.proved(ctx, issuer, after)
	}
	lock := t.relock(ctx, issuer, key, after)
	if err != nil {
		return t.fail(ctx, fmt.Errorf("reading the key back from %s: %w%s", issuer.Name, err, lock))
	}
	t.incident.Key.Disabled = after.Disabled
	switch {
	case expired(after) && t.triesValue(issuer) && t.refused(ctx, issuer) == nil:
		return t.ended(ctx, after, "proved: the key has expired, and the leaked value is refused", resultExpired)
	case acted != nil:
		return t.fail(ctx, fmt.Errorf("asking %s to %s the key: %w%s", issuer.Name, action, acted, lock))
	}
	return t.fail(ctx, fmt.Errorf("%s accepted to %s the key, but read back it is alive%s", issuer.Name, action, lock))
}

// relock locks a key again that was unlocked for an action which is not in force, and says what became of the lock; empty: there
// was none to lift. The zero Key is one that could not be read.
func (t *turn) relock(ctx context.Context, issuer Configured, before, after leak.Key) string {
	locker, ok := issuer.Issuer.(Locker)
	if !ok || !before.Locked || after.Locked {
		return ""
	}
	locked := locker.Lock(ctx, before.ID)
	key, err := issuer.read(ctx, before.ID)
	why := "read back it is not locked"
	switch {
	case err == nil && key.Locked:
		return "; it is locked again, as read back"
	case locked != nil:
		why = locked.Error()
	case err != nil:
		why = err.Error()
	}
	return "; it was unlocked, and it could not be locked again: " + why
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

// expired reports whether a key is of no use because its time is over. Somebody may extend it, so an action is taken all the same.
func expired(key leak.Key) bool { return !key.ExpiresAt.IsZero() && time.Now().After(key.ExpiresAt) }

// inForce reports whether an action needs not be taken because its effect is there. A deleted key is not there to ask.
func inForce(key leak.Key, action leak.Action) bool {
	return action == leak.Disable && key.Disabled
}
