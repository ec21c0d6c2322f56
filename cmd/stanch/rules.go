package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"stanch/dispositions"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// policy is what the engine decides by.
func (c *Config) policy() policy.Config {
	p := c.Policy
	decides := policy.Config{
		Default: p.Default, KeyNone: p.KeyNone, DryRun: p.DryRun, Unlock: p.Unlock, Protect: p.Protect, Issuers: c.abilities,
	}
	for _, r := range p.Rules {
		decides.Rules = append(decides.Rules, policy.Rule(r))
	}
	return decides
}

// checkRules reports every fault of the policy's rules, where it is in the file.
func (d *decoder) checkRules(c *Config) {
	c.abilities = d.abilities(c.Issuers)
	_, faults := policy.New(c.policy())
	for _, f := range faults {
		d.checkWithin(fmt.Sprintf("policy.rules[%d].%s", f.Rule, f.Field), f.Line, f.Column, f.Text)
	}
}

// checkWithin reports a fault at a place of a field's value; line 0: of the value as a whole.
func (d *decoder) checkWithin(path string, line, column int, text string) {
	written := d.scalars[path]
	switch {
	case d.broken[path]:
	case written == nil:
		d.check(path, text)
	case line == 0:
		d.addAt(place{written.Line, written.Column, path}, text)
	default:
		line, column := d.within(written, line, column)
		d.addAt(place{line, column, path}, text)
	}
}

// abilities opens every issuer, which asks nobody, to see what it can do. One with a fault, and one that is another role's, is
// thought to be able to do everything, so that nothing more is said.
func (d *decoder) abilities(issuers []Issuer) []policy.Issuer {
	var all []policy.Issuer
	for i, entry := range issuers {
		path := fmt.Sprintf("issuers[%d]", i)
		able := policy.Issuer{Name: entry.Name, Strongest: leak.Delete, Unlocks: true}
		if entry.Adapter != nil && d.roles.have(deciding) && !d.faulty(path) {
			issuer, err := entry.Adapter.Open(entry.Name, slog.New(slog.DiscardHandler))
			if err == nil {
				able = dispositions.Abilities(entry.Name, issuer)
			} else {
				d.check(path, "cannot be opened: "+err.Error())
			}
		}
		all = append(all, able)
	}
	return all
}

// within finds a place of a scalar's value in the file. The column is 0 when the value is not written there as it is,
// because of escapes or of folding.
func (d *decoder) within(n *yaml.Node, line, column int) (fileLine, fileColumn int) {
	lines := strings.Split(d.source, "\n")
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
