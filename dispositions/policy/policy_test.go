package policy_test

import (
	"strings"
	"testing"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// TestDecide is the specification of decisions without rules.
func TestDecide(t *testing.T) {
	key := func(setting leak.Action) leak.Key { return leak.Key{ID: "ApiKey-1", Account: "acme", Setting: setting} }
	own := key(leak.Delete)
	own.Own = true
	for _, test := range []struct {
		name      string
		policy    policy.Policy
		key       leak.Key
		accounts  []string
		strongest leak.Action
		action    leak.Action
		rule      string
		severity  leak.Severity
	}{
		{"set to disable", policy.Policy{}, key(leak.Disable), nil, leak.Delete, leak.Disable, "key", leak.Warning},
		{"set to delete", policy.Policy{}, key(leak.Delete), nil, leak.Delete, leak.Delete, "key", leak.Warning},
		{"set to none", policy.Policy{}, key(leak.Nothing), nil, leak.Delete, leak.Nothing, "key_none", leak.Warning},
		{"set to none, key_none disable", policy.Policy{KeyNone: leak.Disable}, key(leak.Nothing), nil, leak.Delete, leak.Disable, "key_none", leak.Warning},
		{"unset", policy.Policy{}, key(""), nil, leak.Delete, leak.Disable, "default", leak.Warning},
		{"unset, default delete", policy.Policy{Default: leak.Delete}, key(""), nil, leak.Delete, leak.Delete, "default", leak.Warning},
		{"unset, default nothing", policy.Policy{Default: leak.Nothing}, key(""), nil, leak.Delete, leak.Nothing, "default", leak.Warning},
		{"default does not lower a setting", policy.Policy{Default: leak.Nothing}, key(leak.Delete), nil, leak.Delete, leak.Delete, "key", leak.Warning},
		{"issuer cannot delete", policy.Policy{}, key(leak.Delete), nil, leak.Disable, leak.Disable, "key", leak.Warning},
		{"issuer can do nothing", policy.Policy{}, key(leak.Delete), nil, leak.Nothing, leak.Nothing, "key", leak.Warning},
		{"own credential", policy.Policy{}, own, nil, leak.Delete, leak.Nothing, "own_credential", leak.Critical},
		{"protected", policy.Policy{Protect: []string{"ApiKey-1"}}, key(leak.Delete), nil, leak.Delete, leak.Nothing, "protect", leak.Critical},
		{"another is protected", policy.Policy{Protect: []string{"ApiKey-2"}}, key(leak.Delete), nil, leak.Delete, leak.Delete, "key", leak.Warning},
		{"foreign account", policy.Policy{}, key(leak.Delete), []string{"other"}, leak.Delete, leak.Nothing, "accounts", leak.Critical},
		{"own account", policy.Policy{}, key(leak.Delete), []string{"other", "acme"}, leak.Delete, leak.Delete, "key", leak.Warning},
		{"dry run", policy.Policy{DryRun: true}, key(leak.Delete), nil, leak.Delete, leak.Nothing, "dry_run", leak.Warning},
		{"dry run of nothing", policy.Policy{DryRun: true}, key(leak.Nothing), nil, leak.Delete, leak.Nothing, "key_none", leak.Warning},
		{"dry run of a protected key", policy.Policy{DryRun: true, Protect: []string{"ApiKey-1"}}, key(leak.Delete), nil, leak.Delete, leak.Nothing, "protect", leak.Critical},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.policy.Decide(policy.Case{Key: test.key, Accounts: test.accounts, Strongest: test.strongest})
			if got.Action != test.action || got.Rule != test.rule || got.Severity != test.severity {
				t.Errorf("got %s by %s (%s), want %s by %s (%s)", got.Action, got.Rule, got.Severity, test.action, test.rule, test.severity)
			}
			if got.Reason == "" {
				t.Error("no reason is given")
			}
		})
	}
}

func TestDryRunSaysWhatWouldHaveBeenDone(t *testing.T) {
	got := policy.Policy{DryRun: true}.Decide(policy.Case{Key: leak.Key{Setting: leak.Delete}, Strongest: leak.Delete})
	if !strings.Contains(got.Reason, "delete") {
		t.Errorf("got %q, want the action named", got.Reason)
	}
}
