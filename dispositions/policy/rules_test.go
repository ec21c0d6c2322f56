package policy_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// The present of every test, and what the issuers of most can do.
var (
	present = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	able    = policy.Issuer{Name: "ibm", Abilities: everything}
	modest  = policy.Issuer{Name: "modest", Abilities: disableOnly}
	final   = policy.Issuer{Name: "final", Abilities: deleteOnly}
)

// rulesOf are the policy of the specification.
func rulesOf() []policy.Rule {
	yes, no := true, false
	return []policy.Rule{
		{Name: "loud", When: `alert.place == "commit" && source.type == "github_partner"`, Action: leak.Delete, Approval: true, Severity: leak.Critical},
		{Name: "stale", When: `key.created_at < timestamp("2020-01-01T00:00:00Z")`, Action: leak.Delete, Severity: leak.Info},
		{Name: "again", When: `key.setting in ["", "nothing"] && incident.sighting_count >= 3`, Action: leak.Disable, Unlock: &yes},
		{Name: "prod", When: `key.name.startsWith("prod-")`, Action: leak.Disable, Approval: true, Severity: leak.Critical, Unlock: &no},
		{Name: "sandbox", When: `key.account in ["sandbox", "trials"] && !key.locked`, Action: leak.Nothing, Severity: leak.Info},
	}
}

// TestRules is the specification of decisions with rules: which key, seen how, comes to what.
func TestRules(t *testing.T) {
	type key = leak.Key
	old := present.AddDate(-10, 0, 0)
	quiet := policy.Alert{Source: "gl", SourceType: "gitlab_partner", Place: "issue_title", URL: "https://example.org/x"}
	loud := policy.Alert{Source: "gh", SourceType: "github_partner", Place: "commit", URL: "https://example.org/y"}
	for _, test := range []struct {
		name      string
		key       key
		alert     policy.Alert
		sightings int

		action   leak.Action
		rule     string
		severity leak.Severity
		approval bool
		unlock   bool
	}{
		{"no rule, unset", key{}, quiet, 1, leak.Disable, "default", leak.Warning, false, false},
		{"no rule, none", key{Setting: leak.Nothing}, quiet, 1, leak.Nothing, "key_none", leak.Warning, false, false},
		{"no rule, disable", key{Setting: leak.Disable}, quiet, 1, leak.Disable, "key", leak.Warning, false, false},
		{"no rule, delete", key{Setting: leak.Delete}, quiet, 1, leak.Delete, "key", leak.Warning, false, false},

		{"what the key is lowers", key{Name: "prod-db", Setting: leak.Delete}, quiet, 1, leak.Disable, "prod", leak.Critical, true, false},
		{"what the key is raises", key{Name: "prod-db", Setting: leak.Nothing}, quiet, 1, leak.Disable, "prod", leak.Critical, true, false},
		{"to nothing", key{Account: "trials", Setting: leak.Delete}, quiet, 1, leak.Nothing, "sandbox", leak.Info, false, false},
		{"not quite", key{Account: "trials", Setting: leak.Delete, Locked: true}, quiet, 1, leak.Delete, "key", leak.Warning, false, false},
		{"a calmer severity", key{CreatedAt: old}, quiet, 1, leak.Delete, "stale", leak.Info, false, false},
		{"the first match wins", key{Name: "prod-db", CreatedAt: old}, quiet, 1, leak.Delete, "stale", leak.Info, false, false},
		{"here too", key{Name: "prod-db", Account: "sandbox"}, quiet, 1, leak.Disable, "prod", leak.Critical, true, false},
		{"an unknown time decides nothing", key{Account: "sandbox"}, quiet, 1, leak.Nothing, "sandbox", leak.Info, false, false},

		{"the alert raises, unset", key{}, loud, 1, leak.Delete, "loud", leak.Critical, true, false},
		{"the alert raises, none", key{Setting: leak.Nothing}, loud, 1, leak.Delete, "loud", leak.Critical, true, false},
		{"the alert raises, disable", key{Setting: leak.Disable}, loud, 1, leak.Delete, "loud", leak.Critical, true, false},
		{"its approval does not hold back", key{Setting: leak.Delete}, loud, 1, leak.Delete, "key", leak.Critical, false, false},
		{"nor does it hold back a rule", key{CreatedAt: old}, loud, 1, leak.Delete, "stale", leak.Critical, false, false},
		{"it goes further than a rule", key{Name: "prod-db"}, loud, 1, leak.Delete, "loud", leak.Critical, true, false},
		{"it goes further than nothing", key{Account: "sandbox"}, loud, 1, leak.Delete, "loud", leak.Critical, true, false},

		{"two sightings", key{Setting: leak.Nothing}, quiet, 2, leak.Nothing, "key_none", leak.Warning, false, false},
		{"three sightings", key{Setting: leak.Nothing}, quiet, 3, leak.Disable, "again", leak.Warning, false, true},
		{"of a key to delete", key{Setting: leak.Delete}, quiet, 3, leak.Delete, "key", leak.Warning, false, false},
		{"of one that waits for approval", key{Name: "prod-db"}, quiet, 3, leak.Disable, "again", leak.Critical, false, true},
		{"of one that is to be deleted", key{CreatedAt: old}, quiet, 3, leak.Delete, "stale", leak.Info, false, false},

		{"own", key{Own: true, Setting: leak.Delete}, loud, 3, leak.Nothing, "own_credential", leak.Critical, false, false},
		{"protected", key{ID: "precious", Setting: leak.Delete}, loud, 3, leak.Nothing, "protect", leak.Critical, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := policy.Config{Rules: rulesOf(), Issuers: []policy.Issuer{able}, Protect: []string{"precious"}}
			got := decide(t, config, policy.Case{
				Issuer: "ibm", Key: test.key, Abilities: everything, Alert: test.alert, Now: present,
				Incident: leak.Incident{SightingCount: test.sightings, ReceivedAt: present},
			})
			want := leak.Decision{
				Action: test.action, Rule: test.rule, Severity: test.severity, Approval: test.approval, Unlock: test.unlock,
				Reason: got.Reason,
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if strings.Contains(got.Reason, test.alert.URL) {
				t.Errorf("the reason repeats what the alert says: %s", got.Reason)
			}
		})
	}
}

// One policy of one rule each: what an expression can look at.
func TestVariables(t *testing.T) {
	about := policy.Case{
		Issuer: "ibm", Abilities: everything, Now: present,
		Key: leak.Key{
			ID: "ApiKey-1", Name: "ci", Kind: "service_id", Owner: "iam-1", Account: "acme", Locked: true, Disabled: true,
			Setting: leak.Disable, CreatedAt: present.Add(-time.Hour), LastUsedAt: present.Add(-time.Minute),
			ExpiresAt: present.Add(time.Hour),
		},
		Alert:    policy.Alert{Source: "gh", SourceType: "github_partner", Type: "ibm_key", URL: "https://example.org/a", Place: "commit"},
		Incident: leak.Incident{SightingCount: 2, ReceivedAt: present.Add(-time.Second)},
	}
	for _, when := range []string{
		`true`,
		`key.issuer == "ibm" && key.id == "ApiKey-1" && key.name == "ci" && key.kind == "service_id"`,
		`key.owner == "iam-1" && key.account == "acme" && key.locked && key.disabled && key.setting == "disable"`,
		`now - key.created_at == duration("1h") && now - key.last_used_at == duration("1m") && key.expires_at > now`,
		`alert.source == "gh" && alert.type == "ibm_key" && alert.url.startsWith("https://") && alert.place == "commit"`,
		`source.name == "gh" && source.type == "github_partner"`,
		`incident.sighting_count == 2 && incident.received_at < now`,
		`has(key.last_used_at) && has(alert.url) && has(key.locked)`,
		`["x", "c"].exists(p, key.name.startsWith(p))`,
		`.key.name.matches("^[a-z]+$")`,
	} {
		config := policy.Config{Rules: []policy.Rule{{Name: "it", When: when, Action: leak.Delete}}, Issuers: []policy.Issuer{able}}
		if got := decide(t, config, about); got.Rule != "it" {
			t.Errorf("%s: got %s by %s, want it to match", when, got.Action, got.Rule)
		}
		if got := decide(t, config, policy.Case{Issuer: "other", Abilities: everything}); when != "true" && got.Rule == "it" {
			t.Errorf("%s: matches a case of which nothing is known", when)
		}
	}
}

// What an expression stumbles over does not decide: the next rule is asked, and the log may hold what was wrong.
func TestFailure(t *testing.T) {
	const planted = "https://planted.example.org/"
	for when, want := range map[string]string{
		`now - key.last_used_at > duration("720h")`:                        "key.last_used_at is not known",
		`key.expires_at < now`:                                             "key.expires_at is not known",
		`10 / incident.sighting_count > 3`:                                 "division by zero",
		`10 % incident.sighting_count > 3`:                                 "modulus by zero",
		`9223372036854775807 + incident.sighting_count + size(key.id) > 0`: "integer overflow",
		`{"a": true}[alert.url]`:                                           "no such key",
		`int(alert.url) == 1`:                                              "it does not work on these values",
		`timestamp(alert.url) < now`:                                       "it does not work on these values",
		`alert.type.matches("^a*$")`:                                       "alert.type is longer than 1024 bytes",
	} {
		p, faults := policy.New(policy.Config{Rules: []policy.Rule{
			{Name: "stumbles", When: when, Action: leak.Delete},
			{Name: "next", When: "true", Action: leak.Delete, Severity: leak.Critical},
		}})
		if faults != nil {
			t.Errorf("%s: got faults %v", when, faults)
			continue
		}
		d, looks := p.Decide(policy.Case{
			Key: leak.Key{ID: "1"}, Abilities: everything, Now: present,
			Alert: policy.Alert{URL: planted, Type: strings.Repeat("a", 1025)},
		})
		if d.Rule != "next" {
			t.Errorf("%s: got %s, want the next rule to decide", when, d.Rule)
		}
		look := looks[3]
		if look.Rule != "stumbles" || look.Matched || look.Failure != want {
			t.Errorf("%s: got %+v, want the failure %q", when, look, want)
		}
		if strings.Contains(d.Reason, planted) {
			t.Errorf("%s: the reason repeats what the alert says: %s", when, d.Reason)
		}
	}
}

func TestUnknownTimesCanBeAskedFor(t *testing.T) {
	config := policy.Config{Rules: []policy.Rule{
		{Name: "never-used", When: `!has(key.last_used_at)`, Action: leak.Delete},
		{Name: "forever", When: `!has(key.expires_at)`, Action: leak.Delete},
	}}
	about := policy.Case{Abilities: everything, Now: present}
	if got := decide(t, config, about); got.Rule != "never-used" {
		t.Errorf("got %s, want the rule for keys that nobody used", got.Rule)
	}
	about.Key.LastUsedAt = present
	if got := decide(t, config, about); got.Rule != "forever" {
		t.Errorf("got %s, want the rule for keys that do not expire", got.Rule)
	}
}

// One policy serves every reconcile of the engine at once.
func TestDecideConcurrently(t *testing.T) {
	p, faults := policy.New(policy.Config{Rules: rulesOf()})
	if faults != nil {
		t.Fatal(faults)
	}
	var group sync.WaitGroup
	for i := range 8 {
		want := []string{"prod", "sandbox", "stale", "default"}[i%4]
		about := policy.Case{Abilities: everything, Now: present, Key: []leak.Key{
			{Name: "prod-a"}, {Account: "trials"}, {CreatedAt: present.AddDate(-10, 0, 0)}, {},
		}[i%4]}
		group.Go(func() {
			for range 100 {
				if d, _ := p.Decide(about); d.Rule != want {
					t.Errorf("got %s, want %s", d.Rule, want)
				}
			}
		})
	}
	group.Wait()
}

func TestReason(t *testing.T) {
	long := `key.name == "` + strings.Repeat("x", 500) + `"`
	whole := `key.name == "` + strings.Repeat("y", 286) + `"` // 300 characters, which are kept
	config := policy.Config{Rules: []policy.Rule{
		{Name: "folded", When: "key.kind ==\n    \"user\"", Action: leak.Nothing},
		{Name: "long", When: long, Action: leak.Nothing},
		{Name: "whole", When: whole, Action: leak.Nothing},
		{Name: "wiki", When: `alert.place == "wiki"`, Action: leak.Delete, Approval: true},
	}}
	for _, test := range []struct {
		key  leak.Key
		want string
	}{
		{leak.Key{Kind: "user"}, `rule folded matches: key.kind == "user"`},
		{leak.Key{Name: strings.Repeat("x", 500)}, "rule long matches: " + long[:300] + " ..."},
		{leak.Key{Name: strings.Repeat("y", 286)}, "rule whole matches: " + whole},
		{leak.Key{}, `rule wiki matches: alert.place == "wiki"`},
		{
			leak.Key{Setting: leak.Delete},
			`rule wiki matches: alert.place == "wiki", which may not hold back what is decided without it: ` +
				`the key's own setting for a leak is delete`,
		},
	} {
		got := decide(t, config, policy.Case{Key: test.key, Abilities: everything, Alert: policy.Alert{Place: "wiki"}})
		if got.Reason != test.want {
			t.Errorf("got  %s\nwant %s", got.Reason, test.want)
		}
	}
}

func TestCapAndDryRun(t *testing.T) {
	rules := []policy.Rule{{Name: "all", When: "true", Action: leak.Delete, Approval: true}}
	got := decide(t, policy.Config{Rules: rules}, policy.Case{Abilities: disableOnly})
	if got.Action != leak.Disable || got.Approval {
		t.Errorf("got %+v, want what the issuer can do at once", got)
	}
	got = decide(t, policy.Config{Rules: rules, DryRun: true}, policy.Case{Abilities: everything})
	if got.Action != leak.Nothing || got.Approval || got.Rule != leak.RuleDryRun || !strings.Contains(got.Reason, "delete after approval") {
		t.Errorf("got %+v, want nothing, and what would be done", got)
	}
}
