package channel

import (
	"slices"
	"strings"
	"unicode/utf8"

	"stanch/notify"
)

// Cut shortens a text to so many characters, including the dots that show the cut.
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

// Fit cuts the longest texts of facts until all names and texts together have at most so many characters. Facts that fit are
// returned as they are; where the names alone are too long, the last facts are left out.
func Fit(facts []notify.Fact, characters int) []notify.Fact {
	facts = slices.Clone(facts)
	names, texts := lengths(facts)
	for ; names > characters && len(facts) > 0; names, texts = lengths(facts) {
		facts = facts[:len(facts)-1]
	}
	for limit := characters - names; names+texts > characters && len(facts) > 0; limit = limit * 9 / 10 {
		for i := range facts {
			facts[i].Text = Cut(facts[i].Text, limit)
		}
		names, texts = lengths(facts)
	}
	return facts
}

// lengths are the characters of all names and of all texts.
func lengths(facts []notify.Fact) (names, texts int) {
	for _, fact := range facts {
		names += utf8.RuneCountInString(fact.Name)
		texts += utf8.RuneCountInString(fact.Text)
	}
	return names, texts
}

// Piece is a part of a fact's text.
type Piece struct {
	Text string // not empty
	Code bool   // it is a command or a name of the configuration, to be copied as it is
}

// Pieces splits a text at its backquotes, which are dropped: what stood between two of them is code. Where they do not pair,
// the text is one piece, backquotes included.
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
