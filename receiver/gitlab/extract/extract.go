// Package extract finds the token in what a scanner matched, or in a line of source. Only what is clearly the token may go on, to
// be shown to issuers: never a line.
package extract

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"stanch/receiver/leak"
)

const (
	// maxToken is the longest text that can be a token, in bytes. The longest keys have a few thousand.
	maxToken = 16 << 10
	// maxBlock is how many lines a private key in PEM can have.
	maxBlock = 200
)

// runs is the form of a token in a line that holds other things as well.
var runs = regexp.MustCompile(`[A-Za-z0-9_-]{20,}`)

// The marks of a private key in PEM, which takes several lines.
const (
	blockBegins = "-----BEGIN"
	blockEnds   = "-----END"
)

// FromMatch returns the token in what a scanner says it matched, which is usually the token itself; empty: it cannot be told from
// the rest.
func FromMatch(match leak.Secret) leak.Secret {
	text := strings.TrimSpace(match.Reveal())
	switch {
	case len(text) > maxToken, strings.Contains(text, "***"): // some versions replace it with asterisks
		return leak.Secret{}
	case strings.Contains(text, blockBegins):
		return block(strings.Split(text, "\n"))
	case strings.ContainsFunc(text, unicode.IsSpace):
		return onlyRun(text)
	}
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return credentialOf(u)
	}
	return leak.NewSecret(text)
}

// credentialOf is the password of a URL, or the user if there is no password: some servers take a token that way.
func credentialOf(u *url.URL) leak.Secret {
	if password, ok := u.User.Password(); ok && password != "" {
		return leak.NewSecret(password)
	}
	return onlyRun(u.User.Username())
}

// FromLine returns the token in a line of a file, counted from 1; empty: it cannot be told from the rest.
func FromLine(file leak.Secret, line int) leak.Secret {
	lines := strings.Split(file.Reveal(), "\n")
	if line < 1 || line > len(lines) {
		return leak.Secret{}
	}
	if strings.Contains(lines[line-1], blockBegins) {
		return block(lines[line-1:])
	}
	return onlyRun(lines[line-1])
}

// onlyRun returns the only run of characters in a text that can be a token; empty: there is none, or there are several. A run
// without a digit is a word, and one that something is assigned to is a name.
func onlyRun(text string) leak.Secret {
	var found []string
	for _, at := range runs.FindAllStringIndex(text, -1) {
		run, rest := text[at[0]:at[1]], strings.TrimLeft(text[at[1]:], " \t\"'`")
		if strings.ContainsAny(run, "0123456789") && (rest == "" || rest[0] != '=' && rest[0] != ':') {
			found = append(found, run)
		}
	}
	if len(found) != 1 || len(found[0]) > maxToken {
		return leak.Secret{}
	}
	return leak.NewSecret(found[0])
}

// block returns a private key in PEM, from its first line to its last; empty: it has no end. Its first line alone would not
// tell it from another key.
func block(lines []string) leak.Secret {
	for i, line := range lines[:min(len(lines), maxBlock)] {
		if strings.Contains(line, blockEnds) {
			return bounded(strings.Join(lines[:i+1], "\n"))
		}
	}
	return leak.Secret{}
}

func bounded(text string) leak.Secret {
	if len(text) > maxToken {
		return leak.Secret{}
	}
	return leak.NewSecret(strings.TrimSpace(text))
}
