package gitlabfake

import (
	"fmt"
	"regexp"
	"strings"
)

// token kinds of GraphQL, by what lexemes start with.
var lexeme = regexp.MustCompile(
	`^(?:[\s,\x{FEFF}]+|#[^\n]*)` + // nothing
		`|^(?:"""(?s:.*?)"""|"(?:[^"\\\n]|\\.)*")` + // strings
		`|^[_A-Za-z][_0-9A-Za-z]*` +
		`|^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?` +
		`|^(?:\.\.\.|[!$()\[\]{}:=@|&])`)

// lex cuts a GraphQL document into its tokens.
func lex(text string) ([]string, error) {
	var tokens []string
	for text != "" {
		found := lexeme.FindString(text)
		if found == "" {
			return nil, fmt.Errorf("expected a token, got %q", text[:1])
		}
		text = text[len(found):]
		if !strings.ContainsAny(found[:1], " \t\r\n,#") && found != "\uFEFF" {
			tokens = append(tokens, found)
		}
	}
	return tokens, nil
}
