package channel_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"stanch/notify"
	"stanch/notify/channel"
)

func TestCut(t *testing.T) {
	for _, row := range []struct {
		text       string
		characters int
		want       string
	}{
		{"abcdef", 6, "abcdef"},
		{"abcdef", 5, "ab..."},
		{"äöüäöü", 6, "äöüäöü"},
		{"äöüäöü", 4, "ä..."},
		{"abcdef", 3, "..."},
		{"abcdef", 2, ""},
		{"abcdef", 0, ""},
		{"", 0, ""},
	} {
		if got := channel.Cut(row.text, row.characters); got != row.want {
			t.Errorf("%q to %d: got %q, want %q", row.text, row.characters, got, row.want)
		}
	}
}

func length(facts []notify.Fact) int {
	n := 0
	for _, fact := range facts {
		n += utf8.RuneCountInString(fact.Name + fact.Text)
	}
	return n
}

// TestFit: what is short stays whole however long the rest is, and facts that fit stay as they are.
func TestFit(t *testing.T) {
	given := []notify.Fact{{Name: "a", Text: strings.Repeat("ü", 5000)}, {Name: "b", Text: "what to do"}, {Name: "c", Text: strings.Repeat("x", 900)}}
	got := channel.Fit(given, 2000)
	if length(got) > 2000 || length(got) < 1500 || got[1] != given[1] || got[2] != given[2] {
		t.Errorf("got %d characters, of which %q and %d; want the longest cut alone", length(got), got[1].Text, len(got[2].Text))
	}
	if length(given) != 5913 {
		t.Error("the facts that were given have changed")
	}
	for _, fact := range channel.Fit(given, 6000) {
		if strings.HasSuffix(fact.Text, "...") {
			t.Errorf("got %q cut, want all whole", fact.Name)
		}
	}
}

// TestFitNames: where names alone are too many, the last facts go.
func TestFitNames(t *testing.T) {
	var given []notify.Fact
	for range 100 {
		given = append(given, notify.Fact{Name: "0123456789", Text: "text"})
	}
	if got := channel.Fit(given, 505); len(got) != 50 || length(got) > 505 {
		t.Errorf("got %d facts of %d characters, want 50", len(got), length(got))
	}
}

func FuzzFit(f *testing.F) {
	f.Add("a", strings.Repeat("b", 100), 50)
	f.Add("ü", "\xff\xfe", 0)
	f.Add("", "", -1)
	f.Fuzz(func(t *testing.T, one, two string, characters int) {
		got := channel.Fit([]notify.Fact{{Name: two, Text: one}, {Name: "2", Text: two}}, characters)
		if n := length(got); n > max(0, characters) {
			t.Errorf("got %d characters, want %d at most", n, characters)
		}
	})
}

func TestPieces(t *testing.T) {
	for text, want := range map[string]string{
		"":              "",
		"plain":         "(plain)",
		"do `this` now": "(do )[this]( now)",
		"`a``b`":        "[a][b]",
		"a ` b":         "(a ` b)",
		"`a` ` b":       "(`a` ` b)",
		"``":            "",
	} {
		got := ""
		for _, p := range channel.Pieces(text) {
			if p.Code {
				got += "[" + p.Text + "]"
			} else {
				got += "(" + p.Text + ")"
			}
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// FuzzPieces: together they are the text, and none is empty.
func FuzzPieces(f *testing.F) {
	f.Add("do `this` now")
	f.Add("``` ` ``")
	f.Fuzz(func(t *testing.T, text string) {
		all := ""
		for _, p := range channel.Pieces(text) {
			if p.Text == "" {
				t.Error("got an empty piece")
			}
			all += p.Text
		}
		unquoted := strings.ReplaceAll(text, "`", "")
		if strings.ReplaceAll(all, "`", "") != unquoted {
			t.Errorf("got %q, want the text", all)
		}
	})
}
