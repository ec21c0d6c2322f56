package policy_test

import (
	"slices"
	"testing"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// What explain prints: everything that was looked at, in order, up to what decided.
func TestLooks(t *testing.T) {
	config := policy.Config{
		DryRun: true, Protect: []string{"a", "b"},
		Rules: []policy.Rule{
			{Name: "old", When: `now - key.last_used_at > duration("720h")`, Action: leak.Delete},
			{Name: "prod", When: `key.name.startsWith("prod-") && key.name != "prod-x" && !key.locked`, Action: leak.Nothing},
			{Name: "wiki", When: `alert.place == "wiki" && incident.sighting_count > 1`, Action: leak.Delete},
			{Name: "after", When: `key.kind == "user"`, Action: leak.Delete},
		},
	}
	p, faults := policy.New(config)
	if faults != nil {
		t.Fatalf("got faults %v", faults)
	}
	about := policy.Case{
		Key: leak.Key{Name: "ci", Kind: "user", Account: "acme"}, Accounts: []string{"acme"}, Abilities: everything, Now: present,
		Alert: policy.Alert{Place: "wiki"}, Incident: leak.Incident{SightingCount: 2},
	}
	wantLooks(t, p, about, []policy.Look{
		{Rule: "own_credential", When: "the key is one that stanch itself runs on", Text: "it is not"},
		{Rule: "protect", When: "the key is listed in policy.protect", Text: "it is not: 2 keys are listed"},
		{
			Rule: "accounts", When: "the key belongs to an account that is not listed for its issuer",
			Text: "it does not: one account is listed",
		},
		{
			Rule: "old", When: config.Rules[0].When, Text: "now is 2026-05-04T12:00:00Z, key.last_used_at is not known",
			Failure: "key.last_used_at is not known",
		},
		{Rule: "prod", When: config.Rules[1].When, Text: `key.name is "ci", key.locked is false`},
		{Rule: "wiki", When: config.Rules[2].When, Text: `alert.place is "wiki", incident.sighting_count is 2`, Matched: true},
		{Rule: "after", When: config.Rules[3].When, Text: `key.kind is "user"`, Matched: true},
		{Rule: "dry_run", When: "policy.dry_run is set", Text: "nothing is done", Matched: true},
	})
	about.Key.ID = "a"
	wantLooks(t, p, about, []policy.Look{
		{Rule: "own_credential", When: "the key is one that stanch itself runs on", Text: "it is not"},
		{
			Rule: "protect", When: "the key is listed in policy.protect", Matched: true,
			Text: "it is so, and the key is left alone whatever else is configured",
		},
	})
}

func wantLooks(t *testing.T, p *policy.Policy, about policy.Case, want []policy.Look) {
	t.Helper()
	_, got := p.Decide(about)
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		var g, w policy.Look
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("look %d: got  %+v\n\twant %+v", i, g, w)
		}
	}
}

func TestLooksOfTheFallback(t *testing.T) {
	p, _ := policy.New(policy.Config{})
	for setting, want := range map[leak.Action]policy.Look{
		"":           {Rule: "default", When: "nobody chose", Text: "the key has no setting for a leak, and policy.default says disable"},
		leak.Nothing: {Rule: "key_none", When: "the key's own setting is none", Text: "the key's own setting for a leak is none, for which policy.key_none says nothing"},
		leak.Delete:  {Rule: "key", When: "the key has a setting of its own", Text: "the key's own setting for a leak is delete"},
	} {
		want.Matched = true
		_, looks := p.Decide(policy.Case{Key: leak.Key{Setting: setting}, Abilities: everything})
		if got := looks[len(looks)-1]; got != want {
			t.Errorf("%q: got %+v, want %+v", setting, got, want)
		}
	}
}
