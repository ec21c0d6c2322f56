package policy_test

import (
	"slices"
	"strings"
	"testing"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// TestRefusals is the specification of what is refused when the file is read: one case a refusal, the whole text of it,
// and where it points to.
func TestRefusals(t *testing.T) {
	yes := true
	type rule = policy.Rule
	named := func(name, when string, action leak.Action) rule { return rule{Name: name, When: when, Action: action} }
	written := func(when string) []rule { return []rule{named("it", when, leak.Delete)} }
	const expected = "compare with ==, join with && and ||, negate with !, and put text in quotes"
	for _, test := range []struct {
		name  string
		rules []rule
		want  policy.Fault // of the last rule
	}{
		{"no name", []rule{named("", "true", leak.Delete)}, policy.Fault{
			Field: "name", Text: "is missing; decisions and the log call the rule by it",
		}},
		{"bad name", []rule{named("It's", "true", leak.Delete)}, policy.Fault{
			Field: "name", Text: "must consist of lower-case letters, digits and hyphens, and not begin with a hyphen",
		}},
		{"taken name", []rule{named("it", "key.locked", leak.Delete), named("it", "true", leak.Delete)}, policy.Fault{
			Field: "name", Text: "is the name of policy.rules[0] already",
		}},
		{"reserved name", []rule{named("fuse", "true", leak.Delete)}, policy.Fault{
			Field: "name", Text: "is the name of a built-in rule; choose another",
		}},
		{"no action", []rule{named("it", "true", "")}, policy.Fault{
			Field: "action", Text: "must be nothing, disable or delete",
		}},
		{"unknown action", []rule{named("it", "true", "disabel")}, policy.Fault{
			Field: "action", Text: "must be nothing, disable or delete; did you mean disable?",
		}},
		{"unknown severity", []rule{{Name: "it", When: "true", Action: leak.Delete, Severity: "warn"}}, policy.Fault{
			Field: "severity", Text: "must be info, warning or critical",
		}},
		{"misspelt severity", []rule{{Name: "it", When: "true", Action: leak.Delete, Severity: "Critical"}}, policy.Fault{
			Field: "severity", Text: "must be info, warning or critical; did you mean critical?",
		}},
		{"approval of nothing", []rule{{Name: "it", When: "true", Action: leak.Nothing, Approval: true}}, policy.Fault{
			Field: "approval", Text: "is for an action, and this rule does nothing; leave it out",
		}},

		{"no condition", written(" \n"), policy.Fault{
			Field: "when", Text: "is missing; write true for a rule that always matches",
		}},
		{"too long", written(`key.name == "` + strings.Repeat("x", 4096) + `"`), policy.Fault{
			Field: "when", Text: "is longer than 4096 bytes",
		}},
		{"one equals sign", written(`key.name = "x"`), policy.Fault{
			Field: "when", Line: 1, Column: 10, Text: "not an expression from here on; " + expected,
		}},
		{"a word for &&", written("key.locked\nand key.disabled"), policy.Fault{
			Field: "when", Line: 2, Column: 1, Text: "not an expression from here on; " + expected,
		}},
		{"half of it", written(`key.locked &&`), policy.Fault{
			Field: "when", Line: 1, Column: 14, Text: "the expression ends too early",
		}},
		{"misspelt variable", written(`"é" == kye.name`), policy.Fault{
			Field: "when", Line: 1, Column: 8, Text: "there is no such name; did you mean key?",
		}},
		{"unknown variable", written(`repository.private`), policy.Fault{
			Field: "when", Line: 1, Column: 1,
			Text: "there is no such name; there are key, alert, source, incident and now, and the functions of CEL",
		}},
		{"misspelt field", written("key.locked ||\n  incident.sighting_cout > 2"), policy.Fault{
			Field: "when", Line: 2, Column: 11,
			Text: "incident has no such field; did you mean sighting_count? it has sighting_count, received_at",
		}},
		{"unknown field", written(`has(alert.repository)`), policy.Fault{
			Field: "when", Line: 1, Column: 4, Text: "alert has no such field; it has source, type, url, place, public, validity, several",
		}},
		{"misspelt function", written(`key.name.startWith("a")`), policy.Fault{
			Field: "when", Line: 1, Column: 19, Text: "there is no such name; did you mean startsWith?",
		}},
		{"wrong type", written(`incident.sighting_count == "3"`), policy.Fault{
			Field: "when", Line: 1, Column: 25, Text: "== does not go with (int, string)",
		}},
		{"mixed list", written(`key.name in ["a", 1]`), policy.Fault{
			Field: "when", Line: 1, Column: 19, Text: "must be string here, and is int",
		}},
		{"a field of a field", written(`key.name.first == "a"`), policy.Fault{
			Field: "when", Line: 1, Column: 9, Text: "a string has no fields",
		}},
		{"a loop over no list", written(`key.name.exists(c, c == "a")`), policy.Fault{
			Field: "when", Line: 1, Column: 4, Text: "a string holds nothing to go through; it must be a list",
		}},
		{"has without a field", written(`has(key)`), policy.Fault{
			Field: "when", Line: 1, Column: 5, Text: "has takes a field, as in has(key.name)",
		}},
		{"bad pattern", written(`key.name.matches("(")`), policy.Fault{
			Field: "when", Line: 1, Column: 18, Text: "not a regular expression (RE2)",
		}},
		{"large pattern", written(`key.name.matches("(a{100}b{100}){10}")`), policy.Fault{
			Field: "when", Line: 1, Column: 18, Text: "a pattern that is too large; repeat less in it",
		}},
		{"bad duration", written(`now - key.created_at > duration("30d")`), policy.Fault{
			Field: "when", Line: 1, Column: 33, Text: "not a duration; write it in hours, minutes and seconds, as in 720h or 1h30m",
		}},
		{"bad timestamp", written(`key.created_at < timestamp("2020-01-01")`), policy.Fault{
			Field: "when", Line: 1, Column: 28, Text: "not a timestamp; write it as in 2026-01-31T15:04:05Z",
		}},
		{"no condition but a value", written(`key.name`), policy.Fault{
			Field: "when", Text: "must come out as true or false, and is string; compare it with something",
		}},
		{"the whole key", written(`[key].exists(k, k.name == "a")`), policy.Fault{
			Field: "when", Line: 1, Column: 2, Text: "key is used as a whole; name what of it, as in key.issuer",
		}},
		{"a name that is taken", written(`["a"].exists(now, key.name == "a")`), policy.Fault{
			Field: "when", Line: 1, Column: 13, Text: "a variable of this loop has a name that is taken; call it otherwise",
		}},
		{"an object", written(`key{name: "a"}.name == key.name`), policy.Fault{
			Field: "when", Line: 1, Column: 4, Text: "an expression compares what there is, and makes no objects",
		}},
		{"too costly", written(`key.name.matches(alert.url)`), policy.Fault{
			Field: "when",
			Text:  "may take too long on long texts; compare with == or startsWith, or make a pattern or a list shorter",
		}},

		{"never true", written(`key.setting == "none"`), policy.Fault{
			Field: "when",
			Text: `can never be true: key.setting is "nothing", "disable", "delete" or "", ` +
				`and key.issuer is "ibm", "modest" or "final"`,
		}},
		{"an issuer that is not there", written(`key.issuer == "IBM" && key.locked`), policy.Fault{
			Field: "when",
			Text: `can never be true: key.setting is "nothing", "disable", "delete" or "", ` +
				`and key.issuer is "ibm", "modest" or "final"`,
		}},
		{"never worth a try", written(`1 / 0 == 1`), policy.Fault{
			Field: "when", Text: "can never be evaluated: it divides by zero, or the like",
		}},
		{"never asked", []rule{named("all", "true", leak.Nothing), named("it", "key.locked", leak.Nothing)}, policy.Fault{
			Field: "when", Text: "is never asked: what could match is decided before, by rule all; put this rule first, or leave it out",
		}},
		{"never asked by the many", []rule{
			named("ibm", `key.issuer == "ibm"`, leak.Nothing),
			named("rest", `key.issuer in ["modest", "final"]`, leak.Nothing),
			named("it", "key.locked", leak.Nothing),
		}, policy.Fault{
			Field: "when", Text: "is never asked: what could match is decided before, by rules ibm and rest; put this rule first, or leave it out",
		}},

		{"an issuer cannot delete", written("key.locked"), policy.Fault{
			Field: "action", Text: `issuer modest cannot delete a key; say what it can do, or narrow when with && key.issuer != "modest"`,
		}},
		{"the only issuer cannot delete", written(`key.issuer == "modest"`), policy.Fault{
			Field: "action", Text: `issuer modest cannot delete a key; say what it can do`,
		}},
		{"an issuer cannot disable", []rule{named("it", `key.issuer in ["ibm", "final"]`, leak.Disable)}, policy.Fault{
			Field: "action", Text: `issuer final cannot disable a key; say what it can do, or narrow when with && key.issuer != "final"`,
		}},
		{"an approval that leaves the key alive", []rule{
			{Name: "it", When: `key.issuer != "modest"`, Action: leak.Delete, Approval: true},
		}, policy.Fault{
			Field: "approval",
			Text: `issuer final cannot disable a key, so it would work until somebody approves the delete; ` +
				`leave approval out, or narrow when with && key.issuer != "final"`,
		}},
		{"nobody unlocks", []rule{{Name: "it", When: `key.issuer == "modest"`, Action: leak.Disable, Unlock: &yes}}, policy.Fault{
			Field: "unlock", Text: "no issuer that this rule is asked for can unlock a key; leave it out",
		}},

		{"the alert lowers the key's own setting", []rule{
			named("it", `key.issuer == "ibm" && alert.source == "gh"`, leak.Disable),
		}, policy.Fault{
			Field: "when", Line: 1, Column: 24,
			Text: "whoever leaks a key can influence alert.source, which must not lower an action: without this rule, " +
				`the key's own setting could order delete; narrow it with && key.setting != "delete", ` +
				"or say action: delete, or drop alert.source",
		}},
		{"the alert lowers every setting", []rule{
			named("it", `key.issuer == "ibm" && source.type == "github_partner"`, leak.Nothing),
		}, policy.Fault{
			Field: "when", Line: 1, Column: 24,
			Text: "whoever leaks a key can influence source.type, which must not lower an action: without this rule, " +
				`the key's own setting could order delete; narrow it with && !(key.setting in ["", "disable", "delete"]), ` +
				"or say action: delete, or drop source.type",
		}},
		{"the alert lowers the default", []rule{
			named("it", `key.setting in ["", "nothing"] && incident.sighting_count < 2`, leak.Nothing),
		}, policy.Fault{
			Field: "when", Line: 1, Column: 35,
			Text: "whoever leaks a key can influence incident.sighting_count, which must not lower an action: without this rule, " +
				`policy.default could order disable; narrow it with && key.setting != "", ` +
				"or say action: disable, or drop incident.sighting_count",
		}},
		{"the moment lowers", []rule{
			named("it", `key.setting == "" && now < timestamp("2030-01-01T00:00:00Z")`, leak.Nothing),
		}, policy.Fault{
			Field: "when", Line: 1, Column: 22,
			Text: "whoever leaks a key can influence now, which must not lower an action: without this rule, " +
				`policy.default could order disable; narrow it with && key.setting != "", ` +
				"or say action: disable, or drop now",
		}},
		{"use of the key lowers", []rule{
			named("it", `key.setting == "" && has(key.last_used_at)`, leak.Nothing),
		}, policy.Fault{
			Field: "when", Line: 1, Column: 26,
			Text: "whoever leaks a key can influence key.last_used_at, which must not lower an action: without this rule, " +
				`policy.default could order disable; narrow it with && key.setting != "", ` +
				"or say action: disable, or drop key.last_used_at",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := policy.Config{Rules: test.rules, Issuers: []policy.Issuer{able, modest, final}}
			p, faults := policy.New(config)
			test.want.Rule = len(test.rules) - 1
			if !slices.Contains(faults, test.want) {
				t.Errorf("got  %+v\nwant %+v", faults, test.want)
			}
			if p != nil {
				t.Error("got a policy beside the faults")
			}
		})
	}
}

// A rule that an alert decides may not come before one that goes further.
func TestLoweringALaterRule(t *testing.T) {
	rules := []policy.Rule{
		{Name: "wiki", When: `alert.place == "wiki" && key.setting != "delete"`, Action: leak.Disable},
		{Name: "user", When: `key.kind == "user"`, Action: leak.Delete},
		{Name: "robot", When: `key.kind == "robot"`, Action: leak.Delete},
	}
	_, faults := policy.New(policy.Config{Rules: rules})
	want := policy.Fault{
		Field: "when", Line: 1, Column: 1,
		Text: "whoever leaks a key can influence alert.place, which must not lower an action: without this rule, " +
			"rule user could order delete; put rules user and robot before it, or say action: delete, or drop alert.place",
	}
	if !slices.Equal(faults, []policy.Fault{want}) {
		t.Errorf("got  %+v\nwant %+v", faults, want)
	}
	advised := []policy.Rule{rules[1], rules[2], rules[0]}
	if _, faults := policy.New(policy.Config{Rules: advised}); faults != nil {
		t.Errorf("in the order that was advised: got faults %v", faults)
	}
}

// What is advised works.
func TestAdvice(t *testing.T) {
	for _, when := range []string{
		`alert.source == "gh" && key.setting != "delete"`,
		`alert.source == "gh" && !(key.setting in ["delete"])`,
		`key.setting == "nothing" && (alert.source == "gh" || incident.sighting_count > 2)`,
		`key.setting != "delete" ? alert.source == "gh" : false`,
		`[alert.url, alert.place].exists(t, t.contains("wiki")) && key.setting in ["nothing", "", "disable"]`,
	} {
		config := policy.Config{Rules: []policy.Rule{{Name: "it", When: when, Action: leak.Disable}}}
		if _, faults := policy.New(config); faults != nil {
			t.Errorf("%s: got faults %v", when, faults)
		}
	}
	narrow := `key.issuer != "modest" && key.issuer != "final" && alert.source == "gh"`
	config := policy.Config{
		Rules:   []policy.Rule{{Name: "it", When: narrow, Action: leak.Delete, Approval: true}},
		Issuers: []policy.Issuer{able, modest, final},
	}
	if _, faults := policy.New(config); faults != nil {
		t.Errorf("narrowed to the able issuer: got faults %v", faults)
	}
	modestly := policy.Config{
		Rules:   []policy.Rule{{Name: "it", When: `alert.source == "gh"`, Action: leak.Disable}},
		Issuers: []policy.Issuer{modest},
	}
	if _, faults := policy.New(modestly); faults != nil {
		t.Errorf("nothing is lowered where the issuer cannot delete: got faults %v", faults)
	}
}

// Every fault is found in one go, in the order of the rules.
func TestEveryFault(t *testing.T) {
	_, faults := policy.New(policy.Config{Rules: []policy.Rule{
		{Name: "a", When: `alert.place == "wiki"`, Action: leak.Nothing},
		{Name: "A", When: `kye.name == "a" || key.nam == "b"`, Action: "stop", Severity: "loud"},
		{Name: "b", When: `key.setting == "none"`, Action: leak.Nothing, Approval: true},
		{Name: "c", When: `key.setting == "none"`, Action: leak.Nothing},
	}})
	var got []string
	for _, f := range faults {
		got = append(got, string(rune('0'+f.Rule))+" "+f.Field)
	}
	want := []string{"0 when", "1 name", "1 action", "1 severity", "1 when", "1 when", "2 approval", "3 when"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// A fault is printed, and a secret in the wrong place is a common one.
func TestFaultsRepeatNothing(t *testing.T) {
	const planted = "ghp_planted"
	for _, when := range []string{
		planted, planted + ".name", "key." + planted, planted + "(key.name)", "key.name." + planted + "()", `"` + planted, `"` + planted + `"`,
		planted + " " + planted, `"` + planted + `" == 1`, `duration("` + planted + `") < now - now`, `["` + planted + `"]`, planted + "{}",
		`{"` + planted + `": 1}`, "`" + planted + "`", "key.`" + planted + "`", `key.name.matches("(` + planted + `")`, "type(" + planted + ")",
		`b"` + planted + `" == key.name`, `int("` + planted + `") == 1`, `[1].exists(` + planted + `, ` + planted + `)`, planted + "." + planted + "()",
		`[1].exists(` + planted + `.a, true)`,
	} {
		_, faults := policy.New(policy.Config{Rules: []policy.Rule{{
			Name: planted, When: when, Action: planted, Severity: planted,
		}}})
		if len(faults) < 4 {
			t.Errorf("%s: got faults %v, want one of each field", when, faults)
		}
		for _, f := range faults {
			if strings.Contains(f.Text, planted) {
				t.Errorf("%s: got %q", when, f.Text)
			}
		}
	}
}
