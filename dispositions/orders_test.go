package dispositions_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/dispositions/ledger"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue/soak"
)

// order gives an order to a running engine, and lets it be carried out.
func (w *world) order(id leak.Fingerprint, verb dispositions.Verb) (string, error) {
	w.t.Helper()
	e, stop := w.start(w.store, w.cloud)
	defer stop()
	text, err := e.Order(context.Background(), id, dispositions.Order{Verb: verb, By: "alice", Reason: "because"})
	time.Sleep(time.Minute)
	return text, err
}

func (w *world) mustOrder(id leak.Fingerprint, verb dispositions.Verb) {
	w.t.Helper()
	if text, err := w.order(id, verb); err != nil {
		w.t.Fatalf("%s: %s, %v", verb, text, err)
	}
}

// contained makes an incident of a key that is disabled.
func (w *world) contained() (id leak.Fingerprint, value leak.Secret) {
	w.t.Helper()
	value = w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable})
	id = w.report(value, "https://example.com/1")
	w.work(time.Second)
	w.want(id, leak.Contained, leak.Disable, "key", "seen located decided intended proved")
	return id, value
}

func (w *world) wantKey(there, disabled bool) {
	w.t.Helper()
	if k, ok := w.cloud.get("ApiKey-1"); ok != there || k.Disabled != disabled {
		w.t.Errorf("the key: there %v, disabled %v; want %v, %v", ok, k.Disabled, there, disabled)
	}
}

// TestUndoStandsAgainstReplays replays known sightings after an undo: nothing is done, and one step pages. A new sighting
// acts.
func TestUndoStandsAgainstReplays(t *testing.T) {
	inFakeTime(t, func(w *world) {
		id, value := w.contained()
		w.mustOrder(id, dispositions.Undo)
		const undone = "seen located decided intended proved undo undone"
		w.want(id, leak.Closed, leak.Nothing, "undo", undone)
		w.wantKey(true, false)
		i := w.incident(id)
		if !i.ContainedAt.IsZero() || i.Intended != "" || !strings.Contains(i.Reason, "alice") || !strings.Contains(i.Reason, "because") {
			w.t.Errorf("got %+v", i)
		}
		for range 10 {
			for range 10 {
				w.report(value, "https://example.com/1")
			}
			w.work(time.Hour)
		}
		w.want(id, leak.Closed, leak.Nothing, "undo", undone+" alive")
		if n := w.cloud.count("disable", "ApiKey-1"); n != 1 {
			w.t.Errorf("disabled %d times, want once", n)
		}
		if i := w.incident(id); i.Severity != leak.Critical || i.SightingCount != 1 {
			w.t.Errorf("got severity %s, %d sightings", i.Severity, i.SightingCount)
		}

		w.report(value, "https://example.com/elsewhere")
		w.work(time.Second)
		w.want(id, leak.Contained, leak.Disable, "key", undone+" alive seen decided intended proved")
		w.wantKey(true, true)

		w.mustOrder(id, dispositions.Undo) // and again: the page comes once an undo
		w.report(value, "https://example.com/elsewhere")
		w.work(time.Second)
		w.want(id, leak.Closed, leak.Nothing, "undo",
			undone+" alive seen decided intended proved undo undone alive")
	})
}

// TestCloseStandsAgainstReplays closes an incident whose key works.
func TestCloseStandsAgainstReplays(t *testing.T) {
	inFakeTime(t, func(w *world) {
		value := w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable, Locked: true})
		id := w.report(value, "https://example.com/1")
		w.work(time.Second)
		w.mustOrder(id, dispositions.Close)
		if w.kept(id) {
			w.t.Error("the secret of a closed incident is still kept")
		}
		w.cloud.set("ApiKey-1", func(k *leak.Key) { k.Locked = false })
		for range 100 {
			w.report(value, "https://example.com/1")
		}
		w.work(24 * time.Hour)
		w.want(id, leak.Closed, leak.Disable, "key", "seen located decided failed closed alive")
		w.wantKey(true, false)
		w.report(value, "https://example.com/elsewhere")
		w.work(time.Second)
		w.wantKey(true, true)
	})
}

// TestOrders is the specification of orders: what each does in each state, the first time and the second.
func TestOrders(t *testing.T) {
	ask := policy.Config{Rules: []policy.Rule{{Name: "ask", When: "true", Action: leak.Delete, Approval: true}}}
	askDisable := policy.Config{Rules: []policy.Rule{{Name: "ask", When: "true", Action: leak.Disable, Approval: true}}}
	type state = func(w *world) leak.Fingerprint
	key := func(k leak.Key, p policy.Config) state {
		return func(w *world) leak.Fingerprint {
			w.policy, k.ID = p, "ApiKey-1"
			id := w.report(w.cloud.add(k), "https://example.com/1")
			w.work(time.Second)
			return id
		}
	}
	states := map[string]state{
		"disabled": key(leak.Key{Setting: leak.Disable}, policy.Config{}),
		"deleted":  key(leak.Key{Setting: leak.Delete}, policy.Config{}),
		"left":     key(leak.Key{Setting: leak.Nothing}, policy.Config{}),
		"failed":   key(leak.Key{Setting: leak.Disable, Locked: true}, policy.Config{}),
		"unknown": func(w *world) leak.Fingerprint {
			id := w.report(leak.NewSecret("planted-stranger"), "https://example.com/1")
			w.work(time.Second)
			return id
		},
		"closed": func(w *world) leak.Fingerprint {
			id := key(leak.Key{Setting: leak.Nothing}, policy.Config{})(w)
			w.mustOrder(id, dispositions.Close)
			return id
		},
		"held delete":  key(leak.Key{}, ask),
		"held disable": key(leak.Key{}, askDisable),
	}
	for _, test := range []struct {
		state  string
		verb   dispositions.Verb
		answer string // begins it; a refusal in brackets
		end    leak.State
		key    string // how the key ends
		again  string // the answer to the same order
	}{
		{"disabled", "approve", "(the incident is contained: nothing waits", leak.Contained, "disabled", "(the incident is contained"},
		{"disabled", "reject", "(the incident is contained: nothing waits", leak.Contained, "disabled", "(the incident is contained"},
		{"disabled", "undo", "to enable the key again: because", leak.Closed, "works", "alice did that at"},
		{"disabled", "retry", "to be tried again: because", leak.Contained, "disabled", "to be tried again"},
		{"disabled", "close", "closed: because", leak.Closed, "disabled", "alice did that at"},

		{"deleted", "undo", "(the key is deleted, and that cannot be undone", leak.Contained, "gone", "(the key is deleted"},
		{"deleted", "retry", "to be tried again: because", leak.Contained, "gone", "to be tried again"},
		{"deleted", "close", "closed: because", leak.Closed, "gone", "alice did that at"},

		{"left", "approve", "(the incident is left: nothing waits", leak.Left, "works", "(the incident is left"},
		{"left", "undo", "(the key is not disabled: there is nothing to undo", leak.Left, "works", "(the key is not disabled"},
		{"left", "retry", "to be tried again: because", leak.Left, "works", "to be tried again"},
		{"left", "close", "closed: because", leak.Closed, "works", "alice did that at"},

		{"failed", "approve", "(the incident is failed: nothing waits", leak.Failed, "works", "(the incident is failed"},
		{"failed", "undo", "(the key is not disabled: there is nothing to undo", leak.Failed, "works", "(the key is not disabled"},
		{"failed", "retry", "to be tried again: because", leak.Failed, "works", "to be tried again"},
		{"failed", "close", "closed: because", leak.Closed, "works", "alice did that at"},

		{"unknown", "approve", "(the incident is unknown: nothing waits", leak.Unknown, "gone", "(the incident is unknown"},
		{"unknown", "undo", "(no issuer told which key it is", leak.Unknown, "gone", "(no issuer told"},
		{"unknown", "retry", "to be tried again: because", leak.Unknown, "gone", "to be tried again"},
		{"unknown", "close", "closed: because", leak.Closed, "gone", "alice did that at"},

		{"closed", "approve", "(the incident is closed: nothing waits", leak.Closed, "works", "(the incident is closed"},
		{"closed", "reject", "(the incident is closed: nothing waits", leak.Closed, "works", "(the incident is closed"},
		{"closed", "undo", "(the key is not disabled: there is nothing to undo", leak.Closed, "works", "(the key is not disabled"},
		{"closed", "retry", "to be tried again: because", leak.Left, "works", "to be tried again"},
		{"closed", "close", "alice did that at", leak.Closed, "works", "alice did that at"},

		{"held delete", "approve", "approved to delete the key: because", leak.Contained, "gone", "alice did that at"},
		{"held delete", "reject", "refused to delete the key, which stays disabled: because", leak.Contained, "disabled", "alice did that at"},
		{"held delete", "undo", "to enable the key again: because", leak.Closed, "works", "alice did that at"},
		{"held delete", "retry", "(the incident is held: approve or reject it", leak.Held, "disabled", "(the incident is held"},
		{"held delete", "close", "closed: because", leak.Closed, "disabled", "alice did that at"},

		{"held disable", "approve", "approved to disable the key: because", leak.Contained, "disabled", "alice did that at"},
		{"held disable", "reject", "refused to disable the key, which works: because", leak.Left, "works", "alice did that at"},
		{"held disable", "undo", "(the key is not disabled: there is nothing to undo", leak.Held, "works", "(the key is not disabled"},
		{"held disable", "close", "closed: because", leak.Closed, "works", "alice did that at"},
	} {
		t.Run(test.state+"/"+string(test.verb), func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.t = t
				id := states[test.state](w)
				before := w.steps(id)
				w.wantAnswer(id, test.verb, test.answer)
				i := w.incident(id)
				if i.State != test.end || i.Intended != "" {
					t.Errorf("got %s, intended %q; want %s; steps %s", i.State, i.Intended, test.end, w.steps(id))
				}
				if got := w.keyState(); got != test.key {
					t.Errorf("the key %s, want %s", got, test.key)
				}
				if strings.HasPrefix(test.answer, "(") && w.steps(id) != before {
					t.Errorf("a refused order added steps: %s", w.steps(id))
				}
				if unfinished := !i.Finished(); w.kept(id) != unfinished {
					t.Errorf("the sealed secret is kept: %v, want %v", w.kept(id), unfinished)
				}
				w.wantAnswer(id, test.verb, test.again)
				if got := w.keyState(); got != test.key {
					t.Errorf("after the same order again the key %s, want %s", got, test.key)
				}
				w.work(time.Duration(soak.Size(1, 7)) * 24 * time.Hour)
				if got := w.keyState(); got != test.key {
					t.Errorf("days later the key %s, want %s", got, test.key)
				}
				w.wantClean()
			})
		})
	}
}

func (w *world) wantAnswer(id leak.Fingerprint, verb dispositions.Verb, want string) {
	w.t.Helper()
	got, err := w.order(id, verb)
	if refusal, ok := errors.AsType[*leak.Refusal](err); ok {
		got, err = "("+refusal.Error(), nil
	}
	if err != nil || !strings.HasPrefix(got, want) {
		w.t.Errorf("%s: got %q, %v; want %q", verb, got, err, want)
	}
}

func (w *world) keyState() string {
	k, there := w.cloud.get("ApiKey-1")
	switch {
	case !there:
		return "gone"
	case k.Disabled:
		return "disabled"
	}
	return "works"
}

func TestOrderForNobody(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, err := w.order("00", dispositions.Close)
		if !errors.Is(err, ledger.ErrNoIncident) {
			w.t.Errorf("got %v", err)
		}
	})
}

// TestApproval shows what happens before and after an approval.
func TestApproval(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.policy.Rules = []policy.Rule{{Name: "ask", When: "true", Action: leak.Delete, Approval: true, Severity: leak.Info}}
		value := w.cloud.add(leak.Key{ID: "ApiKey-1"})
		id := w.report(value, "https://example.com/1")
		w.work(time.Second)
		w.want(id, leak.Held, leak.Delete, "ask", "seen located decided intended proved held")
		w.wantKey(true, true)
		if i := w.incident(id); i.ContainedAt.IsZero() || i.Severity != leak.Info || !i.Approval {
			w.t.Errorf("got %+v", i)
		}
		w.report(value, "https://example.com/2")
		w.work(time.Hour)
		w.want(id, leak.Held, leak.Delete, "ask", "seen located decided intended proved held seen looked")
		w.cloud.spoil(func(op string, _ bool) error {
			if op == "delete" {
				return errors.New("status 503")
			}
			return nil
		})
		w.mustOrder(id, dispositions.Approve)
		if i := w.incident(id); i.State != leak.Failed || i.Intended != leak.Delete {
			w.t.Errorf("approved while the issuer is down: got %s, intended %q", i.State, i.Intended)
		}
		w.cloud.spoil(nil)
		w.work(10 * time.Minute)
		w.want(id, leak.Contained, leak.Delete, "ask", "seen located decided intended proved held seen looked approved failed proved")
		w.wantKey(false, false)
	})
}

// TestUndoThatFails keeps trying until the issuer lets it, and does not forget it over a restart.
func TestUndoThatFails(t *testing.T) {
	inFakeTime(t, func(w *world) {
		id, value := w.contained()
		w.cloud.spoil(func(op string, _ bool) error {
			if op == "enable" {
				return errors.New("status 503")
			}
			return nil
		})
		w.mustOrder(id, dispositions.Undo)
		if i := w.incident(id); i.State != leak.Failed || i.Intended != leak.Enable || !strings.Contains(i.Failure, "status 503") {
			w.t.Errorf("got %s, intended %q, %s", i.State, i.Intended, i.Failure)
		}
		w.report(value, "https://example.com/1") // a known one meanwhile
		w.report(value, "https://example.com/2") // and a new one: it is decided after the undo
		w.work(time.Hour)
		w.wantKey(true, true)
		w.cloud.spoil(nil)
		w.work(time.Hour)
		w.want(id, leak.Contained, leak.Disable, "key",
			"seen located decided intended proved undo failed undone seen decided intended proved")
		w.wantKey(true, true)
	})
}

// TestOrdersSurviveACrash stops the process at every write and every call of an order that is carried out.
func TestOrdersSurviveACrash(t *testing.T) {
	for _, verb := range []dispositions.Verb{dispositions.Approve, dispositions.Undo, dispositions.Retry, dispositions.Reject} {
		for point := int64(1); point <= 6; point++ {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/%v", verb, point, after), func(t *testing.T) {
					inFakeTime(t, func(w *world) {
						w.t = t
						w.crashOrder(verb, point, after)
					})
				})
			}
		}
	}
}

func (w *world) crashOrder(verb dispositions.Verb, point int64, after bool) {
	w.t.Helper()
	w.policy.Rules = []policy.Rule{{Name: "ask", When: "true", Action: leak.Delete, Approval: true}}
	id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Locked: verb == dispositions.Retry}), "https://example.com/1")
	w.work(time.Second)
	w.cloud.set("ApiKey-1", func(k *leak.Key) { k.Locked = false })
	c := crashAfter(point, after)
	e, stop := w.start(crashingStore{w.store, c}, crashingCloud{w.cloud, c})
	_, err := e.Order(context.Background(), id, dispositions.Order{Verb: verb, By: "alice", Reason: "because"})
	time.Sleep(500 * time.Millisecond)
	stop()
	if err != nil { // the person was not told that it is done, and orders it again
		_, err := w.order(id, verb)
		_, refused := errors.AsType[*leak.Refusal](err)
		if err != nil && (!refused || verb != dispositions.Retry) { // a retry that was carried out may leave nothing to retry
			w.t.Errorf("ordered again: %v", err)
		}
	}
	w.work(time.Hour)
	type end struct {
		state leak.State
		key   string
	}
	want := map[dispositions.Verb]end{
		dispositions.Approve: {leak.Contained, "gone"},
		dispositions.Undo:    {leak.Closed, "works"},
		dispositions.Retry:   {leak.Held, "disabled"},
		dispositions.Reject:  {leak.Contained, "disabled"},
	}[verb]
	if i := w.incident(id); i.State != want.state || w.keyState() != want.key {
		w.t.Errorf("got %s, the key %s; want %+v; steps %s", i.State, w.keyState(), want, w.steps(id))
	}
	for _, op := range []string{"enable", "delete", "disable"} {
		if n := w.cloud.count(op, "ApiKey-1"); n > 2 {
			w.t.Errorf("%s was called %d times", op, n)
		}
	}
	for _, step := range []string{"undone", "approved", "rejected"} {
		if n := strings.Count(w.steps(id), step); n > 1 {
			w.t.Errorf("%d times %s in %s", n, step, w.steps(id))
		}
	}
}

// TestTwoPeople lets two people, at two engines, order opposite things at once: one of them wins, and the other is told.
func TestTwoPeople(t *testing.T) {
	for round := range 50 {
		inFakeTime(t, func(w *world) {
			w.policy.Rules = []policy.Rule{{Name: "ask", When: "true", Action: leak.Delete, Approval: true}}
			id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1"}), "https://example.com/1")
			w.work(time.Second)
			verbs := []dispositions.Verb{dispositions.Approve, dispositions.Reject, dispositions.Approve, dispositions.Close}
			results := make([]error, len(verbs))
			var group sync.WaitGroup
			var engines []*dispositions.Engine
			for range 2 {
				e, stop := w.start(w.store, w.cloud)
				defer stop()
				engines = append(engines, e)
			}
			for n, verb := range verbs {
				group.Go(func() {
					who := fmt.Sprintf("person-%d", n)
					_, results[n] = engines[n%2].Order(context.Background(), id, dispositions.Order{Verb: verb, By: who, Reason: "because"})
				})
			}
			group.Wait()
			time.Sleep(time.Hour)
			w.wantOneWinner(round, id, results)
		})
	}
}

// wantOneWinner checks that of orders to approve, reject, approve and close one was taken, besides a close after another.
func (w *world) wantOneWinner(round int, id leak.Fingerprint, results []error) {
	w.t.Helper()
	steps := strings.Fields(w.steps(id))
	count := func(name string) int {
		return len(slices.DeleteFunc(slices.Clone(steps), func(s string) bool { return s != name }))
	}
	if n := count("approved") + count("rejected"); n > 1 || n+count("closed") == 0 {
		w.t.Errorf("round %d: got %v", round, steps)
	}
	want := "disabled"
	if count("approved") == 1 {
		want = "gone"
	}
	if w.keyState() != want || w.cloud.count("delete", "ApiKey-1") > 2 {
		w.t.Errorf("round %d: the key %s, deleted %d times, after %v", round, w.keyState(), w.cloud.count("delete", "ApiKey-1"), steps)
	}
	for _, err := range results {
		if _, refused := errors.AsType[*leak.Refusal](err); err != nil && !refused {
			w.t.Errorf("round %d: %v", round, err)
		}
	}
}

// TestFuseExercise floods one account past the fuse, and another not.
func TestFuseExercise(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.fuse = admit.FuseLimit{Max: 50, Per: 10 * time.Minute}
		var flooded, calm []leak.Fingerprint
		all := soak.Size(250, 1000)
		for n := range all {
			key := leak.Key{ID: fmt.Sprintf("ApiKey-a%d", n), Setting: leak.Disable, Account: "flooded"}
			flooded = append(flooded, w.report(w.cloud.add(key), "https://example.com/1"))
		}
		for n := range 20 {
			key := leak.Key{ID: fmt.Sprintf("ApiKey-b%d", n), Setting: leak.Disable, Account: "calm"}
			calm = append(calm, w.report(w.cloud.add(key), "https://example.com/1"))
		}
		e, stop := w.start(w.store, w.cloud)
		time.Sleep(time.Minute)
		w.wantFuse(flooded, 50, all-50, 1)
		w.wantFuse(calm, 20, 0, 0)
		if n := w.disabledKeys(); n != 70 {
			w.t.Errorf("%d keys are disabled, want 70", n)
		}

		release := dispositions.Order{Verb: dispositions.Approve, By: "alice", Reason: "because"}
		for _, wrong := range []string{"calm", "other"} {
			if n, err := e.OrderHeld(context.Background(), flooded, "ibm", wrong, release); n != 0 || err != nil {
				w.t.Errorf("released %d of account %s, %v", n, wrong, err)
			}
		}
		if _, err := e.Order(context.Background(), flooded[all-1], release); err != nil { // one by itself
			w.t.Error(err)
		}
		released, err := e.OrderHeld(context.Background(), flooded, "ibm", "flooded", release)
		if released != all-51 || err != nil {
			w.t.Errorf("released %d, %v; want %d", released, err, all-51)
		}
		time.Sleep(time.Minute)
		w.wantFuse(flooded, all, 0, 1)
		for n := range all {
			if c := w.cloud.count("disable", fmt.Sprintf("ApiKey-a%d", n)); c != 1 {
				w.t.Errorf("key %d was acted on %d times", n, c)
			}
		}
		stop()
		key := leak.Key{ID: "ApiKey-later", Setting: leak.Disable, Account: "flooded"}
		time.Sleep(10 * time.Minute)
		id := w.report(w.cloud.add(key), "https://example.com/1")
		w.work(time.Second)
		if i := w.incident(id); i.State != leak.Contained {
			w.t.Errorf("a key after the release: got %s; what a person released must not load the fuse", i.State)
		}
	})
}

func (w *world) wantFuse(ids []leak.Fingerprint, contained, held, pages int) {
	w.t.Helper()
	states, told := map[leak.State]int{}, 0
	for _, id := range ids {
		states[w.incident(id).State]++
		steps, err := w.ledger().Steps(context.Background(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range steps {
			if s.Step == leak.HeldBack && !s.Quiet {
				told++
			}
		}
	}
	if states[leak.Contained] != contained || states[leak.Held] != held || told != pages {
		w.t.Errorf("got %v, %d pages; want %d contained, %d held, %d pages", states, told, contained, held, pages)
	}
}

func (w *world) disabledKeys() int {
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	n := 0
	for _, k := range w.cloud.keys {
		if k.Disabled {
			n++
		}
	}
	return n
}

// TestUpwardsOnly decides again with each new sighting, and never lower.
func TestUpwardsOnly(t *testing.T) {
	raise := policy.Config{Rules: []policy.Rule{
		{Name: "raise", When: `alert.url.contains("raise")`, Action: leak.Delete},
	}}
	inFakeTime(t, func(w *world) {
		w.policy = raise
		value := w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Nothing})
		id := w.report(value, "https://example.com/1")
		w.work(time.Second)
		w.want(id, leak.Left, leak.Nothing, "key_none", "seen located decided left")
		w.cloud.set("ApiKey-1", func(k *leak.Key) { k.Locked = true })
		w.report(value, "https://example.com/raise")
		w.work(time.Second)
		w.want(id, leak.Failed, leak.Delete, "raise", "seen located decided left seen decided failed")
		w.report(value, "https://example.com/2") // would say nothing
		w.work(time.Hour)
		if i := w.incident(id); i.Action != leak.Delete || i.State != leak.Failed {
			w.t.Errorf("a new sighting lowered the action: got %s, %s by %s", i.State, i.Action, i.Rule)
		}
		w.cloud.set("ApiKey-1", func(k *leak.Key) { k.Locked = false })
		w.work(time.Hour)
		w.wantKey(false, false)
	})
}

// TestRuleThatFails asks the next rule, says so, and counts it.
func TestRuleThatFails(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.policy.Rules = []policy.Rule{{Name: "idle", When: `now - key.expires_at > duration("1h")`, Action: leak.Delete}}
		id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable}), "https://example.com/1")
		w.work(time.Second)
		w.want(id, leak.Contained, leak.Disable, "key", "seen located warned decided intended proved")
	})
}
