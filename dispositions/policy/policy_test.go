package policy_test

import (
	"strings"
	"testing"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

func decide(t *testing.T, c policy.Config, about policy.Case) leak.Decision {
	t.Helper()
	p, faults := policy.New(c)
	if len(faults) > 0 {
		t.Fatalf("got faults %v", faults)
	}
	d, _ := p.Decide(about)
	return d
}

// TestDecide is the specification of decisions without rules.
func TestDecide(t *testing.T) {
	key := func(setting leak.Action) leak.Key { return leak.Key{ID: "ApiKey-1", Account: "acme", Setting: setting} }
	own := key(leak.Delete)
	own.Own = true
	for _, test := range []struct {
		name     string
		policy   policy.Config
		key      leak.Key
		accounts []string
		able     leak.Abilities
		action   leak.Action
		rule     string
		severity leak.Severity
	}{
		{"set to disable", policy.Config{}, key(leak.Disable), nil, everything, leak.Disable, "key", leak.Warning},
		{"set to delete", policy.Config{}, key(leak.Delete), nil, everything, leak.Delete, "key", leak.Warning},
		{"set to none", policy.Config{}, key(leak.Nothing), nil, everything, leak.Nothing, "key_none", leak.Warning},
		{"set to none, key_none disable", policy.Config{KeyNone: leak.Disable}, key(leak.Nothing), nil, everything, leak.Disable, "key_none", leak.Warning},
		{"unset", policy.Config{}, key(""), nil, everything, leak.Disable, "default", leak.Warning},
		{"unset, default delete", policy.Config{Default: leak.Delete}, key(""), nil, everything, leak.Delete, "default", leak.Warning},
		{"unset, default nothing", policy.Config{Default: leak.Nothing}, key(""), nil, everything, leak.Nothing, "default", leak.Warning},
		{"default does not lower a setting", policy.Config{Default: leak.Nothing}, key(leak.Delete), nil, everything, leak.Delete, "key", leak.Warning},
		{"issuer cannot delete", policy.Config{}, key(leak.Delete), nil, disableOnly, leak.Disable, "key", leak.Warning},
		{"issuer can do nothing", policy.Config{}, key(leak.Delete), nil, leak.Abilities{}, leak.Nothing, "key", leak.Warning},
		{"own credential", policy.Config{}, own, nil, everything, leak.Nothing, "own_credential", leak.Critical},
		{"protected", policy.Config{Protect: []string{"ApiKey-1"}}, key(leak.Delete), nil, everything, leak.Nothing, "protect", leak.Critical},
		{"another is protected", policy.Config{Protect: []string{"ApiKey-2"}}, key(leak.Delete), nil, everything, leak.Delete, "key", leak.Warning},
		{"foreign account", policy.Config{}, key(leak.Delete), []string{"other"}, everything, leak.Nothing, "accounts", leak.Critical},
		{"own account", policy.Config{}, key(leak.Delete), []string{"other", "acme"}, everything, leak.Delete, "key", leak.Warning},
		{"dry run", policy.Config{DryRun: true}, key(leak.Delete), nil, everything, leak.Nothing, "dry_run", leak.Warning},
		{"dry run of nothing", policy.Config{DryRun: true}, key(leak.Nothing), nil, everything, leak.Nothing, "key_none", leak.Warning},
		{"dry run of a protected key", policy.Config{DryRun: true, Protect: []string{"ApiKey-1"}}, key(leak.Delete), nil, everything, leak.Nothing, "protect", leak.Critical},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := decide(t, test.policy, policy.Case{Key: test.key, Accounts: test.accounts, Abilities: test.able})
			if got.Action != test.action || got.Rule != test.rule || got.Severity != test.severity {
				t.Errorf("got %s by %s (%s), want %s by %s (%s)", got.Action, got.Rule, got.Severity, test.action, test.rule, test.severity)
			}
			if got.Reason == "" {
				t.Error("no reason is given")
			}
		})
	}
}

func TestBoundedDecisionSaysBoth(t *testing.T) {
	got := decide(t, policy.Config{}, policy.Case{Key: leak.Key{Setting: leak.Delete}, Abilities: disableOnly})
	const want = "the key's own setting for a leak is delete; its issuer cannot delete a key, so: disable"
	if got.Reason != want {
		t.Errorf("got %q, want %q", got.Reason, want)
	}
}

func TestDryRunSaysWhatWouldHaveBeenDone(t *testing.T) {
	got := decide(t, policy.Config{DryRun: true}, policy.Case{Key: leak.Key{Setting: leak.Delete}, Abilities: everything})
	if !strings.Contains(got.Reason, "delete") {
		t.Errorf("got %q, want the action named", got.Reason)
	}
}

// What issuers can do.
var (
	everything  = leak.Abilities{Disable: true, Enable: true, Delete: true, Read: true, Lock: true}
	disableOnly = leak.Abilities{Disable: true, Enable: true, Read: true}
	noDelete    = leak.Abilities{Disable: true, Enable: true, Read: true, Lock: true}
	deleteOnly  = leak.Abilities{Delete: true, Read: true}
)
