package dispositions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// lastStep returns the newest step of an incident.
func (w *world) lastStep(id leak.Fingerprint) leak.Step {
	w.t.Helper()
	steps, err := w.ledger().Steps(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return steps[len(steps)-1]
}

// TestSecondLook is the specification of the look at a dead key when its tokens have run out.
func TestSecondLook(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile func(w *world)
		state     leak.State
		step      leak.StepName
		quiet     bool
		severity  leak.Severity
		text      string
	}{
		"nothing happened": {
			func(*world) {}, leak.Contained, leak.Looked, true, leak.Warning,
			"the key is still dead; it was not signed in with since its lookup; its owner made no key and no identity since",
		},
		"used before it died": {
			func(w *world) { w.cloud.use("ApiKey-1"); w.cloud.use("ApiKey-1") }, leak.Contained, leak.Looked, false, leak.Critical,
			"signed in with 2 times since its lookup",
		},
		"its owner made a key": {
			func(w *world) {
				w.cloud.make(leak.Made{Kind: "API key", ID: "ApiKey-evil", Name: "backup", At: time.Now().Add(time.Second)})
			}, leak.Contained, leak.Looked, false, leak.Critical, `API key ApiKey-evil "backup" at `,
		},
		"deleted meanwhile": {
			func(w *world) { _ = w.cloud.Delete(context.Background(), named("ApiKey-1")) }, leak.Contained, leak.Looked, true, leak.Warning,
			"how it was used before it was deleted is not known",
		},
		"the issuer is down for two hours": {
			func(w *world) {
				w.cloud.spoil(func(string, bool) error { return errors.New("status 503") })
				time.AfterFunc(2*time.Hour, func() { w.cloud.spoil(nil) })
			}, leak.Contained, leak.Looked, true, leak.Warning, "still dead",
		},
		"enabled by somebody": {
			func(w *world) { w.cloud.set("ApiKey-1", func(k *leak.Key) { k.Disabled = false }) }, leak.Held, leak.HeldBack, false,
			leak.Critical, "held: to disable the key again needs approval",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.t = t
				id, _ := w.contained()
				test.meanwhile(w)
				w.work(30 * time.Minute)
				if i := w.incident(id); !i.LookedAt.IsZero() {
					t.Errorf("looked at %v, while tokens may work until %v", i.LookedAt, i.TokensLiveUntil)
				}
				for range 8 {
					w.work(time.Hour) // restarts
				}
				i, step := w.incident(id), w.lastStep(id)
				if i.State != test.state || i.Severity != test.severity || i.LookedAt.IsZero() {
					t.Errorf("got %s, %s, looked at %v; want %s, %s", i.State, i.Severity, i.LookedAt, test.state, test.severity)
				}
				if step.Step != test.step || step.Quiet != test.quiet || !strings.Contains(step.Text, test.text) {
					t.Errorf("got %s (quiet %v) %q; want %s (%v) %q", step.Step, step.Quiet, step.Text, test.step, test.quiet, test.text)
				}
				if n := strings.Count(w.steps(id), "looked"); n != 1 {
					t.Errorf("looked %d times: %s", n, w.steps(id))
				}
				w.wantClean()
			})
		})
	}
}

// TestEnabledBySomebody lets a person decide about a key that somebody enabled at its issuer.
func TestEnabledBySomebody(t *testing.T) {
	for verb, want := range map[dispositions.Verb]struct {
		state leak.State
		key   string
	}{
		dispositions.Approve: {leak.Contained, "disabled"},
		dispositions.Reject:  {leak.Left, "works"},
		dispositions.Close:   {leak.Closed, "works"},
	} {
		t.Run(string(verb), func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.t = t
				id, value := w.contained()
				w.cloud.set("ApiKey-1", func(k *leak.Key) { k.Disabled = false })
				w.work(2 * time.Hour)
				if i := w.incident(id); i.State != leak.Held || i.Rule != "enabled" || !i.ContainedAt.IsZero() {
					t.Fatalf("got %s by %s, contained at %v", i.State, i.Rule, i.ContainedAt)
				}
				w.mustOrder(id, verb)
				w.work(3 * time.Hour)
				if i := w.incident(id); i.State != want.state || w.keyState() != want.key {
					t.Errorf("got %s, the key %s; want %+v; steps %s", i.State, w.keyState(), want, w.steps(id))
				}
				w.report(value, "https://example.com/again") // leaked again after that
				w.work(time.Minute)
				if w.keyState() != "disabled" {
					t.Errorf("a new sighting did not act: the key %s, %s", w.keyState(), w.steps(id))
				}
			})
		})
	}
}

// TestNoSecondLookAfterUndo leaves a key alone that a person enabled.
func TestNoSecondLookAfterUndo(t *testing.T) {
	inFakeTime(t, func(w *world) {
		id, _ := w.contained()
		w.mustOrder(id, dispositions.Undo)
		w.work(24 * time.Hour)
		w.want(id, leak.Closed, leak.Nothing, "undo", "seen located decided intended proved undo undone")
	})
}
