package channel

import (
	"slices"
	"unicode/utf8"

	"stanch/notify"
)

// Cut shortens a text to so many characters, the dots included that say so.
func Cut(text string, characters int) string {
	const dots = "..."
	runes := []rune(text)
	switch {
	case len(runes) <= characters:
		return text
	case characters < len(dots):
		return ""
	}
	return string(runes[:characters-len(dots)]) + dots
}

// Fit cuts the longest texts of facts until all together have no more than so many characters, names not counted. Facts
// that fit are returned as they are.
func Fit(facts []notify.Fact, characters int) []notify.Fact {
	facts = slices.Clone(facts)
	for limit := characters; length(facts) > characters && limit > 0; limit = limit * 9 / 10 {
		for i := range facts {
			facts[i].Text = Cut(facts[i].Text, limit)
		}
	}
	return facts
}

func length(facts []notify.Fact) int {
	n := 0
	for _, fact := range facts {
		n += utf8.RuneCountInString(fact.Text)
	}
	return n
}
