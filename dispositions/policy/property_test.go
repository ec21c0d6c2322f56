package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue/soak"
)

// random writes rules and makes cases. Both draw from so few words that they meet often.
type random struct{ *rand.Rand }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

// What random expressions look at, by what is carried and what is not.
var (
	steady = []string{
		`key.setting == "delete"`, `key.setting == "disable"`, `key.setting in ["", "nothing"]`, `key.issuer == "ibm"`,
		`key.name == "a"`, `key.name.startsWith("a")`, `key.kind in ["a", "b"]`, `key.locked`, `has(key.expires_at)`,
		`key.created_at < timestamp("2026-01-01T00:00:00Z")`, `size(key.name) / size(key.kind) == 1`, `true`, `false`,
	}
	carried = []string{
		`alert.source == "a"`, `alert.place != "a"`, `source.type == "a"`, `alert.url.contains("a")`, `has(alert.url)`,
		`incident.sighting_count > 1`, `2 / (incident.sighting_count - 1) > 0`, `incident.received_at < now`,
		`key.last_used_at > key.created_at`, `has(key.last_used_at)`, `[alert.place, key.name].exists(x, x == "a")`,
		`{"a": true}[alert.place]`, `[alert.type, "a"].all(t, t == key.kind)`, `key.name == alert.place`,
	}
)

// expression writes one that looks at what an alert carries or, if not loose, never does.
func (r random) expression(depth int, loose bool) string {
	if depth == 0 || r.IntN(4) == 0 {
		if loose && r.IntN(2) == 0 {
			return pick(r, carried...)
		}
		return pick(r, steady...)
	}
	a, b := r.expression(depth-1, loose), r.expression(depth-1, loose)
	switch r.IntN(5) {
	case 0, 1:
		return fmt.Sprintf("(%s && %s)", a, b)
	case 2, 3:
		return fmt.Sprintf("(%s || %s)", a, b)
	}
	return pick(r, fmt.Sprintf("!(%s)", a), fmt.Sprintf("(%s ? %s : %s)", a, b, r.expression(depth-1, loose)))
}

func (r random) config() policy.Config {
	c := policy.Config{
		Default: pick(r, leak.Nothing, leak.Disable, leak.Delete), KeyNone: pick(r, leak.Nothing, leak.Disable),
		Unlock:  r.IntN(2) == 0,
		Issuers: []policy.Issuer{able, {Name: "b", Abilities: pick(r, everything, everything, noDelete)}},
	}
	for i := range 1 + r.IntN(4) {
		c.Rules = append(c.Rules, policy.Rule{
			Name: fmt.Sprintf("r%d", i), When: r.expression(2, r.IntN(2) == 0),
			Action: pick(r, leak.Nothing, leak.Disable, leak.Delete, leak.Delete), Severity: pick(r, leak.Info, leak.Warning, leak.Critical),
			Unlock: pick(r, nil, new(false), new(true)),
		})
		if last := &c.Rules[i]; last.Action != leak.Nothing {
			last.Approval = r.IntN(3) == 0
		}
	}
	return c
}

func (r random) word() string { return pick(r, "", "a", "b", "aa") }

func (r random) time() time.Time {
	return pick(r, time.Time{}, present, present.Add(time.Hour), present.AddDate(-1, 0, 0))
}

func (r random) key() leak.Key {
	return leak.Key{
		Name: r.word(), Kind: r.word(), Setting: pick(r, "", leak.Nothing, leak.Disable, leak.Delete), Locked: r.IntN(2) == 0,
		CreatedAt: r.time(), ExpiresAt: r.time(),
	}
}

// leaked fills in what whoever leaks a key can influence.
func (r random) leaked(c policy.Case) policy.Case {
	c.Alert = policy.Alert{Source: r.word(), SourceType: r.word(), Type: r.word(), URL: r.word(), Place: r.word()}
	c.Incident = leak.Incident{SightingCount: r.IntN(4), ReceivedAt: r.time()}
	c.Now, c.Key.LastUsedAt = r.time(), r.time()
	return c
}

// unmoved is a policy without the rules that look at what an alert carries.
func unmoved(c policy.Config) policy.Config {
	c.Rules = slices.DeleteFunc(slices.Clone(c.Rules), func(r policy.Rule) bool { return policy.Carried(r.When) })
	return c
}

// strength orders what a decision does to a key: nothing < disable after approval < disable < delete after approval,
// which disables at once < delete.
func strength(d leak.Decision) int {
	order := []string{"nothing false", "disable true", "disable false", "delete true", "delete false"}
	return slices.Index(order, fmt.Sprintf("%s %t", d.Action, d.Approval))
}

// severity orders how loudly a decision is told.
func severity(d leak.Decision) int {
	return slices.Index([]leak.Severity{leak.Info, leak.Warning, leak.Critical}, d.Severity)
}

// TestNoOptingOut is the proof by trial that a leaker cannot opt out: whatever policy is accepted, and whatever the alert
// says, the decision is no weaker than without every rule that looks at it: neither its action, nor whether a lock is in its way,
// nor how loudly it is told.
func TestNoOptingOut(t *testing.T) {
	r := random{rand.New(rand.NewPCG(1, 2))}
	accepted, moved, trials := 0, 0, soak.Size(400, 3000)
	for range trials {
		config := r.config()
		p, faults := policy.New(config)
		if faults != nil {
			continue
		}
		without, faults := policy.New(unmoved(config))
		if faults != nil {
			t.Fatalf("accepted with, refused without the rules that look at an alert: %+v: %v", config.Rules, faults)
		}
		accepted++
		for range 20 {
			issuer := pick(r, config.Issuers...)
			about := r.leaked(policy.Case{Issuer: issuer.Name, Key: r.key(), Abilities: issuer.Abilities})
			floor, _ := without.Decide(about)
			d, looks := p.Decide(about)
			if d != floor {
				moved++
			}
			if strength(d) < strength(floor) || floor.Unlock && !d.Unlock || severity(d) < severity(floor) {
				t.Fatalf("%+v\nof %+v: got %+v, without the alert %+v", config.Rules, about, d, floor)
			}
			wantFirstMatch(t, config, about, d, looks)
		}
	}
	if accepted < trials/10 || moved < trials/3 {
		t.Errorf("got %d policies and %d decisions that an alert moved: too few to prove anything", accepted, moved)
	}
}

// wantFirstMatch proves the refusal at load by itself: in a policy that is accepted, the action is that of the first rule
// that matches, so what stands when it is made never had to raise it.
func wantFirstMatch(t *testing.T, config policy.Config, about policy.Case, d leak.Decision, looks []policy.Look) {
	t.Helper()
	first := slices.IndexFunc(looks, func(l policy.Look) bool { return l.Matched })
	i := slices.IndexFunc(config.Rules, func(r policy.Rule) bool { return r.Name == looks[first].Rule })
	if i >= 0 && d.Action != config.Rules[i].Action {
		t.Fatalf("%+v\nof %+v: got %s, want what rule %s says, which matches first", config.Rules, about, d.Action, config.Rules[i].Name)
	}
}

// What the examination takes for certain is so, whatever the rest turns out to be.
func TestCertainty(t *testing.T) {
	r := random{rand.New(rand.NewPCG(3, 4))}
	certain, trials := 0, soak.Size(1000, 6000)
	for range trials {
		when := r.expression(3, true)
		about := policy.Case{Issuer: pick(r, "ibm", "b"), Key: r.key(), Abilities: everything}
		isTrue, isFalse := policy.Certainty(when, about.Issuer, about.Key.Setting)
		if !isTrue && !isFalse {
			continue
		}
		p, faults := policy.New(policy.Config{Rules: []policy.Rule{{Name: "it", When: when, Action: leak.Delete}}})
		if faults != nil {
			continue // false for every key
		}
		certain++
		for range 20 {
			about = r.leaked(about)
			if d, _ := p.Decide(about); (d.Rule == "it") != isTrue {
				t.Fatalf("%s\nof %+v: got it decided by %s, and it is certainly %t", when, about, d.Rule, isTrue)
			}
		}
	}
	if certain < trials/20 {
		t.Errorf("got %d certain expressions, too few to prove anything", certain)
	}
}

func FuzzNew(f *testing.F) {
	for _, when := range slices.Concat(steady, carried) {
		f.Add(when, "delete", "wiki", int64(2))
	}
	f.Add(`alert.url.matches("^https://github.com/[a-z]+/.*$") && key.setting != "delete"`, "disable", "https://github.com/a/b", int64(0))
	f.Add(`[[1]].all(x, x[0] / incident.sighting_count == 1)`, "nothing", "", int64(0))
	f.Fuzz(func(t *testing.T, when, action, text string, number int64) {
		config := policy.Config{Rules: []policy.Rule{
			{Name: "it", When: when, Action: leak.Action(action)},
			{Name: "big", When: `key.name == "big"`, Action: leak.Delete, Approval: true},
		}}
		p, faults := policy.New(config)
		for _, fault := range faults {
			if fault.Text == "" || fault.Line < 0 || fault.Line > strings.Count(when, "\n")+strings.Count(when, "\r")+1 {
				t.Errorf("got fault %+v", fault)
			}
		}
		if p == nil {
			return
		}
		without, faults := policy.New(unmoved(config))
		if faults != nil {
			t.Fatalf("got faults %v without the rules that look at an alert", faults)
		}
		for _, setting := range []leak.Action{"", leak.Nothing, leak.Disable, leak.Delete} {
			about := policy.Case{
				Key: leak.Key{Name: text, Kind: text, Setting: setting, CreatedAt: time.Unix(number, 0)}, Abilities: everything,
				Alert:    policy.Alert{Source: text, SourceType: text, Type: text, URL: text, Place: text},
				Incident: leak.Incident{SightingCount: int(number), ReceivedAt: time.Unix(number, 0)}, Now: time.Unix(number, 1),
			}
			d, _ := p.Decide(about)
			if floor, _ := without.Decide(about); strength(d) < strength(floor) {
				t.Errorf("%s of %+v: got %+v, without the alert %+v", when, about, d, floor)
			}
		}
	})
}
