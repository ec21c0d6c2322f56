package decode

import (
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// FaultWithin notes a fault at a place of a field's value, whose lines and columns count from 1; line 0 is the value as a whole.
func (d *Decoder) FaultWithin(path string, line, column int, text string) {
	written := d.scalars[path]
	switch {
	case d.broken[path]:
	case written == nil:
		d.Fault(path, text)
	case line == 0:
		d.addAt(place{written.Line, written.Column, path}, text)
	default:
		line, column := d.within(written, line, column)
		d.addAt(place{line, column, path}, text)
	}
}

// within finds a place of a scalar's value in the file. The column is 0 when the value is not written there as it is,
// because of escapes or of folding.
func (d *Decoder) within(n *yaml.Node, line, column int) (fileLine, fileColumn int) {
	lines := strings.Split(string(d.source), "\n")
	value := []rune(n.Value)
	at := offset(n.Value, line, column)
	row, start := n.Line-1, n.Column-1
	block := n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if block {
		row++
		start = indentation(lines, row)
	} else if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		start++
	}
	for ; row < len(lines); row++ {
		text := []rune(lines[row])
		text = text[min(start, len(text)):]
		same := common(text, value)
		if at <= same {
			return row + 1, start + at + 1
		}
		if same == len(value) || strings.TrimSpace(string(text[same:])) != "" {
			return row + 1, 0
		}
		at -= same + 1
		value = value[same+1:] // a line break of the file is one in the value, or a space
		if !block && row+1 < len(lines) {
			start = indentation(lines, row+1)
		}
	}
	return n.Line, 0
}

// offset is the number of characters before a place of a text.
func offset(text string, line, column int) int {
	before := 0
	for l := range strings.SplitSeq(text, "\n") {
		if line--; line == 0 {
			break
		}
		before += len([]rune(l)) + 1
	}
	return before + column - 1
}

// indentation is that of the first line from row on that is not blank.
func indentation(lines []string, row int) int {
	for _, line := range lines[min(row, len(lines)):] {
		if i := slices.IndexFunc([]rune(line), func(r rune) bool { return !unicode.IsSpace(r) }); i >= 0 {
			return i
		}
	}
	return 0
}

// common is how many characters two texts have in common from the beginning.
func common(a, b []rune) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
