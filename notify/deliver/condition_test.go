package deliver_test

import (
	"strings"
	"testing"

	"stanch/notify/deliver"
	"stanch/receiver/leak"
	"stanch/receiver/leak/expr"
)

// prodKey is an incident that conditions look at.
var prodKey = leak.Incident{
	State: leak.Held, Severity: leak.Critical, Action: leak.Delete, Rule: "fuse", Issuer: "ibm", Source: "gh", SightingCount: 3,
	Key: leak.Key{
		ID: "k", Name: strings.Repeat("prod", 100_000), Kind: "user", Owner: "o", OwnerName: "Olga", Account: "acc-1", Locked: true,
		Disabled: true, Setting: leak.Nothing,
	},
}

func TestCondition(t *testing.T) {
	for text, want := range map[string]bool{
		`true`:                                     true,
		`incident.severity == "critical"`:          true,
		`incident.state in ["held", "failed"]`:     true,
		`incident.sighting_count > 3`:              false,
		`key.account == "acc-2" || key.locked`:     true,
		`source.type == "github_partner"`:          true,
		`source.name == "gh" && !key.disabled`:     false,
		`key.name.startsWith("prod")`:              true,
		`key.owner_name.matches("^[A-Z][a-z]+$")`:  true,
		`incident.rule == "fuse" && key.id == "k"`: true,
		`key.setting == "nothing" && key.kind == "user" && key.owner == "o" && incident.action == "delete" && incident.issuer == "ibm"`: true,
	} {
		told, faults := deliver.Condition(text, map[string]string{"gh": "github_partner"})
		if len(faults) > 0 {
			t.Errorf("%s: got %v", text, faults)
			continue
		}
		if got, err := told(prodKey); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
}

// TestConditionCannotTell: an evaluation that fails, or takes too long, is an error without any value.
func TestConditionCannotTell(t *testing.T) {
	for _, text := range []string{
		`1 / (incident.sighting_count - 3) > 0`, `key.name.matches("^(prod)*(prod)*(prod)*(prod)*x$")`, // of a name without an end
	} {
		told, faults := deliver.Condition(text, map[string]string{"gh": "github_partner"})
		if len(faults) > 0 {
			t.Errorf("%s: got %v", text, faults)
			continue
		}
		if _, err := told(prodKey); err == nil || strings.Contains(err.Error(), "prod") {
			t.Errorf("%s: got %v, want an error without a value", text, err)
		}
	}
}

func TestConditionFaults(t *testing.T) {
	for text, want := range map[string]expr.Fault{
		``:                                     {Line: 1, Column: 1, Text: "ends too early"},
		`incident.severity == `:                {Line: 1, Column: 22, Text: "ends too early"},
		"true &&\n  pl4nted == 1":              {Line: 2, Column: 3, Text: "no such name"},
		`incident.pl4nted == "x"`:              {Line: 1, Column: 9, Text: "no such field; it has state, severity"},
		`incident.sighting_count == "pl4nted"`: {Line: 1, Column: 25, Text: "== does not go with (int, string)"},
		`key.name == 'pl4nted`:                 {Line: 1, Column: 13, Text: "not an expression"},
		`key.name`:                             {Line: 0, Column: 0, Text: "true or false"},
		`key.name.matches("(pl4nted")`:         {Line: 1, Column: 18, Text: "regular expression"},
		`[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, [0,1,2,3,4,5,6,7,8,9].all(d, ` +
			`[0,1,2,3,4,5,6,7,8,9].all(e, key.locked)))))`: {Line: 0, Column: 0, Text: "may take too long"},
		strings.Repeat("true && ", 600) + `true`: {Line: 0, Column: 0, Text: "longer than"},
	} {
		_, faults := deliver.Condition(text, nil)
		if len(faults) != 1 || faults[0].Line != want.Line || !strings.Contains(faults[0].Text, want.Text) || strings.Contains(faults[0].Text, "pl4nted") {
			t.Errorf("%q: got %+v, want %+v", text, faults, want)
		} else if want.Text != "ends too early" && faults[0].Column != want.Column {
			t.Errorf("%q: got column %d, want %d", text, faults[0].Column, want.Column)
		}
	}
}

// FuzzCondition: whatever is written, Condition answers with a condition or a fault, and a condition with a verdict.
func FuzzCondition(f *testing.F) {
	for _, text := range []string{`incident.state == "held"`, `key.`, "\x00", `[1,2].all(x, x > 0)`, `source.type.matches(key.name)`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		told, faults := deliver.Condition(text, map[string]string{"gh": "github_partner"})
		if (told == nil) != (len(faults) > 0) {
			t.Fatalf("got a condition: %v, and %v", told != nil, faults)
		}
		if told != nil {
			_, _ = told(leak.Incident{State: leak.Held, Source: "gh"})
		}
	})
}
