package expr_test

import (
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"

	"stanch/receiver/leak/expr"
)

// thing is what the expressions of these tests are about.
type thing struct {
	name, note string
	count      int64
	open       bool
	made       time.Time
	now        time.Time
}

var language = expr.New(
	expr.Field[*thing]{Name: "box.name", Type: cel.StringType, Size: 100, Read: func(t *thing) any { return t.name }},
	expr.Field[*thing]{Name: "box.note", Type: cel.StringType, Read: func(t *thing) any { return t.note }},
	expr.Field[*thing]{Name: "box.open", Type: cel.BoolType, Read: func(t *thing) any { return t.open }},
	expr.Field[*thing]{Name: "shelf.count", Type: cel.IntType, Read: func(t *thing) any { return t.count }},
	expr.Field[*thing]{Name: "shelf.made", Type: cel.TimestampType, Read: func(t *thing) any { return t.made }},
	expr.Field[*thing]{Name: "now", Type: cel.TimestampType, Read: func(t *thing) any { return t.now }},
)

var (
	present = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	subject = &thing{name: "blue", note: strings.Repeat("planted", 50_000), count: 3, open: true, now: present}
)

func mustCompile(t *testing.T, text string) *expr.Expression[*thing] {
	t.Helper()
	x, faults := language.Compile(text)
	if len(faults) > 0 {
		t.Fatalf("%s: got the faults %v", text, faults)
	}
	return x
}

func TestHolds(t *testing.T) {
	for text, want := range map[string]bool{
		`true`: true, `box.name == "blue"`: true, `shelf.count > 3`: false, `box.open && now > timestamp("2026-01-01T00:00:00Z")`: true,
		`has(shelf.made)`: false, `has(box.name)`: true, `.box.name.startsWith("bl")`: true, `["x", "b"].exists(p, box.name.startsWith(p))`: true,
		`box.note.startsWith("planted")`: true, `!has(shelf.made) || shelf.made < now`: true,
	} {
		if got, err := mustCompile(t, text).Holds(subject); err != nil || got != want {
			t.Errorf("%s: got %v and %v, want %v", text, got, err, want)
		}
	}
}

// TestHoldsNot: why an expression cannot be evaluated, in words that hold no value.
func TestHoldsNot(t *testing.T) {
	long := &thing{name: strings.Repeat("planted", 100), note: subject.note, count: 3}
	for text, want := range map[string]string{
		`1 / (shelf.count - 3) > 0`:                   "division by zero",
		`1 % (shelf.count - 3) > 0`:                   "modulus by zero",
		`9223372036854775807 + shelf.count > 0`:       "integer overflow",
		`{"a": true}[string(shelf.count)]`:            "no such key",
		`int(box.note) == 1`:                          "it does not work on these values",
		`shelf.made < now`:                            "shelf.made is not known",
		`now > timestamp("2026-01-01T00:00:00Z")`:     "now is not known",
		`box.name == "blue"`:                          "box.name is longer than 100 bytes",
		`box.note.matches("^(planted)*(planted)*x$")`: "it does not work on these values", // it costs too much
	} {
		got, err := mustCompile(t, text).Holds(long)
		if got || err == nil || err.Error() != want {
			t.Errorf("%s: got %v and %v, want %q", text, got, err, want)
		}
	}
}

func TestFaults(t *testing.T) {
	for text, want := range map[string]expr.Fault{
		``:                                       {Line: 1, Column: 1, Text: "the expression ends too early"},
		`box.open &&`:                            {Line: 1, Column: 12, Text: "the expression ends too early"},
		"box.open\nand pl4nted":                  {Line: 2, Column: 1, Text: "not an expression from here on"},
		`box.name == 'pl4nted`:                   {Line: 1, Column: 13, Text: "not an expression from here on"},
		"true &&\n  pl4nted == 1":                {Line: 2, Column: 3, Text: "there is no such name; there are box, shelf and now, and the functions of CEL"},
		`bux.open`:                               {Line: 1, Column: 1, Text: "there is no such name; did you mean box?"},
		`box.pl4nted == "x"`:                     {Line: 1, Column: 4, Text: "box has no such field; it has name, note, open"},
		`box.nam == "x"`:                         {Line: 1, Column: 4, Text: "box has no such field; did you mean name? it has name, note, open"},
		`shelf.count == "pl4nted"`:               {Line: 1, Column: 13, Text: "== does not go with (int, string)"},
		`box.name in ["pl4nted", 1]`:             {Line: 1, Column: 25, Text: "must be string here, and is int"},
		`box.name.first == "pl4nted"`:            {Line: 1, Column: 9, Text: "a string has no fields"},
		`box.name.exists(c, c == "")`:            {Line: 1, Column: 4, Text: "a string holds nothing to go through"},
		`box.name.matches("(pl4nted")`:           {Line: 1, Column: 18, Text: "not a regular expression (RE2)"},
		`box.name.matches("(a{100}b{100}){10}")`: {Line: 1, Column: 18, Text: "a pattern that is too large"},
		`now - shelf.made > duration("1d")`:      {Line: 1, Column: 29, Text: "not a duration"},
		`now > timestamp("pl4nted")`:             {Line: 1, Column: 17, Text: "not a timestamp"},
		`has(box)`:                               {Line: 1, Column: 5, Text: "has takes a field"},
		`box.name`:                               {Line: 0, Column: 0, Text: "must come out as true or false, and is string"},
		`[box].exists(b, b.open)`:                {Line: 1, Column: 2, Text: "box is used as a whole; name what of it, as in box.name"},
		`["a"].exists(now, box.open)`:            {Line: 1, Column: 13, Text: "a variable of this loop has a name that is taken"},
		`["a"].exists(box, true)`:                {Line: 1, Column: 13, Text: "a variable of this loop has a name that is taken"},
		`box{name: "pl4nted"}.open`:              {Line: 1, Column: 4, Text: "an expression compares what there is, and makes no objects"},
		`box.note.matches(box.note)`:             {Line: 0, Column: 0, Text: "may take too long"},
		`[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, [0,1,2,3,4,5,6,7,8,9].all(d, ` +
			`[0,1,2,3,4,5,6,7,8,9].all(e, box.open)))))`: {Line: 0, Column: 0, Text: "may take too long"},
		strings.Repeat("true && ", 600) + `true`: {Line: 0, Column: 0, Text: "is longer than 4096 bytes"},
	} {
		x, faults := language.Compile(text)
		if x != nil || len(faults) != 1 {
			t.Errorf("%q: got %v and %+v, want one fault", text, x, faults)
			continue
		}
		got := faults[0]
		if got.Line != want.Line || got.Column != want.Column || !strings.HasPrefix(got.Text, want.Text) ||
			strings.Contains(got.Text, "pl4nted") {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
}

// TestSeveralFaults: what is wrong at several places is told of each, in the order of the text.
func TestSeveralFaults(t *testing.T) {
	_, faults := language.Compile("box.nam == \"a\" ||\n shelf.cuont > 1")
	if len(faults) != 2 || faults[0].Line != 1 || faults[1].Line != 2 {
		t.Errorf("got %+v, want two faults, on lines 1 and 2", faults)
	}
}

// TestSights: everything an expression looks at is among its sights, in the order of the text.
func TestSights(t *testing.T) {
	x := mustCompile(t, "[box.name, \"a\"].exists(b, b == \"x\") ||\n  has(shelf.made) && .shelf.count > 1 && now > now")
	want := []expr.Sight{{"box.name", 1, 2}, {"shelf.made", 2, 7}, {"shelf.count", 2, 23}, {"now", 2, 42}, {"now", 2, 48}}
	got := x.Sights()
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("sight %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
	const told = `box.name is "blue", shelf.made is not known, shelf.count is 3, now is 2026-05-04T12:00:00Z`
	if got := x.Tell(subject); got != told {
		t.Errorf("got %q, want %q", got, told)
	}
	if got := mustCompile(t, "true").Tell(subject); got != "it looks at nothing" {
		t.Errorf("got %q of an expression that looks at nothing", got)
	}
}

// TestCertain: what is true or false whatever the fields are that are not known.
func TestCertain(t *testing.T) {
	for text, want := range map[string]struct {
		holds, certain, broken bool
		known                  []string
	}{
		`true`:                                   {true, true, false, nil},
		`box.open`:                               {false, false, false, nil},
		`box.open || true`:                       {true, true, false, nil},
		`box.open && false`:                      {false, true, false, nil},
		`box.name == "blue"`:                     {true, true, false, []string{"box.name"}},
		`box.name == "red" && now > now`:         {false, true, false, []string{"box.name"}},
		`box.name == "blue" && shelf.count == 3`: {false, false, false, []string{"box.name"}},
		`1 / 0 > 1`:                              {false, false, true, nil},

		`now > timestamp("2026-01-01T00:00:00Z")`: {true, true, false, []string{"now"}},
	} {
		holds, certain, err := mustCompile(t, text).Certain(subject, want.known...)
		if holds != want.holds || certain != want.certain || (err != nil) != want.broken {
			t.Errorf("%s, knowing %v: got %v, %v, %v, want %+v", text, want.known, holds, certain, err, want)
		}
	}
}

// FuzzCompile: whatever is written, Compile answers with an expression or a fault that repeats nothing, and an expression with a
// verdict.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{`box.name == "a"`, `box.`, "\x00", `[1,2].all(x, x > 0)`, `box.note.matches(box.name)`, "`a`", `{1:2}[now]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, faults := language.Compile(text)
		if (x == nil) != (len(faults) > 0) {
			t.Fatalf("got %v and %v", x, faults)
		}
		if x == nil {
			return
		}
		_, _ = x.Holds(&thing{})
		holds, certain, err := x.Certain(&thing{})
		if got, failed := x.Holds(&thing{}); certain && err == nil && failed == nil && got != holds {
			t.Errorf("got %v for certain, and %v", holds, got)
		}
	})
}
