package console

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"stanch/notify"
	"stanch/receiver/leak"
)

const (
	width  = 110 // columns of a line, as long as its words allow
	indent = "  "
	reset  = "\x1b[0m"
)

// colours are how a terminal shows a severity.
var colours = map[leak.Severity]string{
	leak.Info:     "\x1b[32m", // green
	leak.Warning:  "\x1b[33m", // yellow
	leak.Critical: "\x1b[1;31m",
}

// render lays a notice out: one line with the title, then its facts in two columns.
func render(n notify.Notice, colour bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\n", n.At.UTC().Format("2006-01-02 15:04:05Z"), severity(n.Severity, colour), n.Title)
	facts := n.Facts
	if n.Link != "" {
		facts = append(facts[:len(facts):len(facts)], notify.Fact{Name: "More", Text: n.Link})
	}
	column := widest(facts) + 2
	for _, fact := range facts {
		name := fact.Name
		for _, line := range wrap(fact.Text, width-len(indent)-column) {
			fmt.Fprintf(&b, "%s%-*s%s\n", indent, column, name, line)
			name = ""
		}
	}
	b.WriteByte('\n')
	return b.String()
}

func severity(s leak.Severity, colour bool) string {
	word := strings.ToUpper(string(s))
	if colour && colours[s] != "" {
		return colours[s] + word + reset
	}
	return word
}

func widest(facts []notify.Fact) int {
	n := 0
	for _, f := range facts {
		n = max(n, utf8.RuneCountInString(f.Name))
	}
	return n
}

// wrap breaks a text into lines of so many characters, between words. A command in backquotes is one word, so that it
// can be copied; a word that is longer than a line stays whole, as a URL must.
func wrap(text string, columns int) []string {
	var lines []string
	var line string
	for _, word := range words(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= columns:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

func words(text string) []string {
	quoted := false
	return strings.FieldsFunc(text, func(r rune) bool {
		if r == '`' {
			quoted = !quoted
		}
		return !quoted && r == ' '
	})
}
