package dispositions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/dispositions/issuertest/sample"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// wantText fails the test unless a step says something.
func (w *world) wantText(id leak.Fingerprint, want string) {
	w.t.Helper()
	steps, err := w.ledger().Steps(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, s := range steps {
		all = append(all, string(s.Step)+": "+s.Text)
	}
	if text := strings.Join(all, "\n"); !strings.Contains(text, want) {
		w.t.Errorf("no step says %q:\n%s", want, text)
	}
}

// TestDeleteOnly: an issuer that can only delete is never announced to disable. What policy would disable waits for a person, and
// the fuse holds a delete instead of lowering it.
func TestDeleteOnly(t *testing.T) {
	inFakeTime(t, func(w *world) {
		issuer := sample.NewDeleteOnly()
		key := issuer.Site.Add(leak.Key{Name: "ci"})
		e, stop := w.start(w.store, issuer)
		defer stop()
		id := w.report(key.Secret, "https://example.com/1")
		time.Sleep(time.Minute)
		w.want(id, leak.Held, leak.Delete, leak.RuleDefault, "seen located decided held")
		if n := issuer.Site.Calls("Delete"); n != 0 {
			w.t.Errorf("deleted %d times before anybody approved", n)
		}
		then, err := e.Explain(w.t.Context(), w.incident(id), leak.Sighting{})
		if text := strings.Join(then.Then, " "); err != nil || strings.Contains(text, "can be undone") || strings.Contains(text, "disabled") {
			w.t.Errorf("explained as %q, %v", text, err)
		}
		order := dispositions.Order{Verb: dispositions.Approve, By: "alice", Reason: "it leaked"}
		if _, err := e.Order(w.t.Context(), id, order); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.want(id, leak.Contained, leak.Delete, leak.RuleDefault, "seen located decided held approved proved looked")
		if i := w.incident(id); i.Proof == nil || i.Proof.Kind != leak.ReadBackGone {
			w.t.Errorf("got proof %+v", i.Proof)
		}
		order.Verb = dispositions.Undo
		if answer, err := e.Order(w.t.Context(), id, order); err == nil || !strings.Contains(err.Error(), "cannot enable") {
			w.t.Errorf("an undo is taken: %q, %v", answer, err)
		}
	})
}

func TestDeleteOnlyFuse(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.policy.Rules = []policy.Rule{{Name: "all", When: "true", Action: leak.Delete}}
		w.fuse = admit.FuseLimit{Max: 1, Per: time.Hour}
		issuer := sample.NewDeleteOnly()
		var ids []leak.Fingerprint
		stop := w.engine(w.store, issuer)
		for range 3 {
			ids = append(ids, w.report(issuer.Site.Add(leak.Key{}).Secret, "https://example.com/1"))
			time.Sleep(time.Second)
		}
		stop()
		w.want(ids[0], leak.Contained, leak.Delete, "all", "seen located decided intended proved looked")
		w.want(ids[1], leak.Held, leak.Delete, leak.RuleFuse, "seen located decided held")
		w.want(ids[2], leak.Held, leak.Delete, leak.RuleFuse, "seen located decided held")
	})
}

// TestByValue: a key that has no id is revoked by its value and proved by use, at the end of the time that changes take.
func TestByValue(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.policy.Default = leak.Delete
		issuer := sample.NewByValue(30*time.Second, 1)
		key := issuer.Site.Add(leak.Key{Name: "ci"})
		e, stop := w.start(w.store, issuer)
		defer stop()
		id := w.report(key.Secret, "https://example.com/1")
		time.Sleep(20 * time.Second)
		w.want(id, leak.Open, leak.Delete, leak.RuleDefault, "seen located decided intended settling")
		time.Sleep(time.Minute)
		w.want(id, leak.Contained, leak.Delete, leak.RuleDefault, "seen located decided intended settling proved")
		i := w.incident(id)
		if i.Proof == nil || i.Proof.Kind != leak.RefusedByUse || i.Key.ID != "" || i.WorkedAt.IsZero() {
			w.t.Errorf("got %+v with proof %+v", i, i.Proof)
		}
		if took := i.ContainedAt.Sub(i.ReceivedAt); took < 30*time.Second {
			w.t.Errorf("said to be contained after %s, before the change holds", took)
		}
		if n := issuer.Site.Calls("Delete"); n != 1 {
			w.t.Errorf("revoked %d times", n)
		}
		for _, verb := range []dispositions.Verb{dispositions.Undo, dispositions.Retry} {
			order := dispositions.Order{Verb: verb, By: "alice", Reason: "to see"}
			if answer, err := e.Order(w.t.Context(), id, order); err == nil {
				w.t.Errorf("%s is taken: %s", verb, answer)
			}
		}
		w.wantClean()
	})
}

// TestByValueNeverProved: a refusal that nobody has documented, of a value that was never seen to work, proves nothing: the action is
// accepted, and that is all that is said.
func TestByValueNeverProved(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.policy.Default = leak.Delete
		issuer := sample.NewByValue(0, 1)
		key := issuer.Site.Add(leak.Key{})
		issuer.Site.Change(key, func(k *leak.Key) {})
		stop := w.engine(w.store, refusing{issuer})
		id := w.report(key.Secret, "https://example.com/1")
		time.Sleep(time.Minute)
		stop()
		w.want(id, leak.Accepted, leak.Delete, leak.RuleDefault, "seen located decided intended accepted")
		if i := w.incident(id); !i.ContainedAt.IsZero() || i.Proof == nil || i.Proof.Kind != leak.AcceptedOnly || w.kept(id) {
			w.t.Errorf("got contained at %v with proof %+v, kept %v", i.ContainedAt, i.Proof, w.kept(id))
		}
	})
}

// refusing is an issuer by value whose trials are all refused without a code.
type refusing struct{ *sample.ByValue }

func (refusing) Try(_ context.Context, _ leak.Secret) (leak.Trial, error) {
	return leak.Trial{Result: leak.Refused}, nil
}

// TestByValueStillWorks: an issuer that accepts and does nothing is found out when the time that changes take is over.
func TestByValueStillWorks(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.policy.Default = leak.Delete
		issuer := sample.NewByValue(30*time.Second, 1)
		issuer.Site.Lie(true)
		key := issuer.Site.Add(leak.Key{})
		stop := w.engine(w.store, issuer)
		defer stop()
		id := w.report(key.Secret, "https://example.com/1")
		time.Sleep(10 * time.Minute)
		if i := w.incident(id); i.State != leak.Failed || i.Cause != leak.CauseAlive {
			w.t.Errorf("got %s because of %s (%s)", i.State, i.Cause, i.Failure)
		}
		issuer.Site.Lie(false)
		time.Sleep(20 * time.Minute)
		if i := w.incident(id); i.State != leak.Contained {
			w.t.Errorf("got %s (%s)", i.State, i.Failure)
		}
	})
}

// TestBatches: what leaks at once goes by a few calls, the first of them at once, and no faster than the issuer allows.
func TestBatches(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.policy.Default, w.fuse = leak.Delete, admit.FuseLimit{Max: 1000, Per: time.Hour}
		issuer := sample.NewByValue(10*time.Second, 100)
		w.others = []dispositions.Configured{{
			Name: "github", Issuer: issuer, TokenTypes: []string{"github_token"}, Rate: admit.Rate{Times: 60, Per: time.Hour},
		}}
		stop := w.engine(w.store, w.cloud)
		defer stop()
		var ids []leak.Fingerprint
		for range 150 {
			ids = append(ids, w.reportType(issuer.Site.Add(leak.Key{}).Secret, "https://example.com/1", "github_token"))
		}
		time.Sleep(time.Second)
		if n := issuer.Site.Calls("Batch"); n != 1 {
			w.t.Errorf("%d calls at once, want the first", n)
		}
		time.Sleep(10 * time.Minute)
		for _, id := range ids {
			if i := w.incident(id); i.State != leak.Contained {
				w.t.Fatalf("got %s (%s)", i.State, i.Failure)
			}
		}
		if n := issuer.Site.Calls("Batch"); n > 6 {
			w.t.Errorf("%d calls for 150 keys", n)
		}
		if n := issuer.Site.Calls("Delete"); n != 0 {
			w.t.Errorf("%d single calls", n)
		}
	})
}

// TestSettling: where changes take time to hold everywhere, a key is called contained after the second proof, and both are told. One
// that somebody enables in between is disabled again.
func TestSettling(t *testing.T) {
	for name, meddle := range map[string]func(*sample.Full, dispositions.Target){
		"undisturbed": func(*sample.Full, dispositions.Target) {},
		"enabled again": func(f *sample.Full, key dispositions.Target) {
			f.Site.Change(key, func(k *leak.Key) { k.Disabled = false })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				issuer := eager{sample.NewFull(0), time.Minute}
				key := issuer.Site.Add(leak.Key{Setting: leak.Disable})
				stop := w.engine(w.store, issuer)
				defer stop()
				id := w.report(key.Secret, "https://example.com/1")
				time.Sleep(30 * time.Second)
				w.want(id, leak.Open, leak.Disable, leak.RuleKey, "seen located decided intended settling")
				meddle(issuer.Full, key)
				time.Sleep(10 * time.Minute)
				i := w.incident(id)
				if i.State != leak.Contained || !issuer.Site.Standing(key).Disabled {
					w.t.Errorf("got %s, disabled %v", i.State, issuer.Site.Standing(key).Disabled)
				}
				if i.Proof == nil || i.Proof.SettledAt.Sub(i.Proof.At) < time.Minute {
					w.t.Errorf("got proof %+v, want two, a minute apart", i.Proof)
				}
				w.wantText(id, "proved: read back from the issuer, the key is disabled")
				w.wantText(id, "so it was at once, and so it is after the 1m0s that changes take there")
			})
		})
	}
}

// eager is a far side that shows a change at once, and says that it may take longer elsewhere.
type eager struct {
	*sample.Full
	settles time.Duration
}

func (e eager) Abilities() leak.Abilities {
	able := e.Full.Abilities()
	able.Settles = e.settles
	return able
}

// TestSlowChange: a change that shows only at the end of the time that changes take is no failure before that.
func TestSlowChange(t *testing.T) {
	inFakeTime(t, func(w *world) {
		issuer := sample.NewFull(7 * time.Minute)
		key := issuer.Site.Add(leak.Key{Setting: leak.Disable})
		stop := w.engine(w.store, issuer)
		defer stop()
		id := w.report(key.Secret, "https://example.com/1")
		time.Sleep(6 * time.Minute)
		w.want(id, leak.Open, leak.Disable, leak.RuleKey, "seen located decided intended settling")
		time.Sleep(10 * time.Minute)
		w.want(id, leak.Contained, leak.Disable, leak.RuleKey, "seen located decided intended settling proved")
		if i := w.incident(id); i.Proof == nil || i.Proof.SettledAt.IsZero() {
			w.t.Errorf("got proof %+v", i.Proof)
		}
	})
}

// TestControlLater: a value that nobody could try before the act proves by a refusal all the same, when it was seen to work after it.
func TestControlLater(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.policy.Default = leak.Delete
		issuer := sample.NewByValue(30*time.Second, 1)
		key := issuer.Site.Add(leak.Key{})
		tries := 0
		issuer.Site.Spoil(func(_ context.Context, op string, after bool) error {
			if op == "Try" && !after {
				if tries++; tries == 1 {
					return errors.New("no answer")
				}
			}
			return nil
		})
		stop := w.engine(w.store, issuer)
		defer stop()
		id := w.report(key.Secret, "https://example.com/1")
		time.Sleep(5 * time.Minute)
		w.want(id, leak.Contained, leak.Delete, leak.RuleDefault, "seen located decided intended settling proved")
	})
}

// TestLockedForGood: where a lock cannot be lifted, nothing is announced that needs that.
func TestLockedForGood(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.policy.Unlock = true
		w.cloud.able.Lock = false
		stop := w.engine(w.store, w.cloud)
		defer stop()
		id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable, Locked: true}), "https://example.com/1")
		time.Sleep(time.Minute)
		w.want(id, leak.Failed, leak.Disable, leak.RuleKey, "seen located decided failed")
		if i := w.incident(id); i.Cause != leak.CauseLocked || w.cloud.touched() != 0 {
			w.t.Errorf("got cause %s, %d changes", i.Cause, w.cloud.touched())
		}
	})
}
