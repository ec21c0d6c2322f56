// Package terminal prints what commands return, for people or as JSON, and shows their progress. Text by strangers is printed so
// that it cannot control the terminal.
package terminal

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"stanch/cmd/stanch/config/decode"
)

// Render prints a value as JSON when that is the format, and otherwise as people read it.
func Render(w io.Writer, format string, v any, forPeople func(io.Writer)) error {
	if format == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	forPeople(w)
	return nil
}

// Choice is a flag that is one of some words; every other is wrong usage.
type Choice struct {
	Value string // the default, until the flag is given
	Words []string
}

// OutputFlag adds the flag that chooses between a table and JSON.
func OutputFlag(f *pflag.FlagSet) *Choice {
	output := &Choice{Value: "table", Words: []string{"table", "json"}}
	f.VarP(output, "output", "o", "table or json")
	return output
}

// String implements [pflag.Value].
func (c *Choice) String() string { return c.Value }

// Type implements [pflag.Value].
func (c *Choice) Type() string { return "string" }

// Set implements [pflag.Value].
func (c *Choice) Set(word string) error {
	if !slices.Contains(c.Words, word) {
		return errors.New(decode.OneOf(c.Words, word))
	}
	c.Value = word
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// printable replaces characters that could control a terminal; names and places come from strangers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
