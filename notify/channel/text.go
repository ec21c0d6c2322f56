package channel

import (
	"slices"
	"strings"
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
	facts, characters = slices.Clone(facts), max(0, characters)
	for limit := characters; length(facts) > characters; limit = limit * 9 / 10 {
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

// Piece is a part of a fact's text.
type Piece struct {
	Text string // not empty
	Code bool   // it is a command or a name of the configuration, to be copied as it is
}

// Pieces are a text in which what stands in backquotes is apart, and without them. Where they do not pair, the text is one
// piece with them in it.
func Pieces(text string) []Piece {
	parts := strings.Split(text, "`")
	if len(parts)%2 == 0 {
		parts = []string{text}
	}
	var pieces []Piece
	for i, part := range parts {
		if part != "" {
			pieces = append(pieces, Piece{Text: part, Code: i%2 == 1})
		}
	}
	return pieces
}
