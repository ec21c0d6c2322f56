package gitlabapi

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"stanch/receiver/leak"
)

// What stands at a place is what a scanner matched, or a line of source. Of that, only what is clearly the token goes on, to be
// shown to issuers: never a line.

const (
	// maxToken is the longest text that may be a token, in bytes. The longest keys are a few thousand.
	maxToken = 16 << 10
	// maxBlock is how many lines a private key in text may have.
	maxBlock = 200
)

// runs are what tokens look like in a line that has other things, too.
var runs = regexp.MustCompile(`[A-Za-z0-9_-]{20,}`)

// The marks of a private key in text, which takes several lines.
const (
	blockBegins = "-----BEGIN"
	blockEnds   = "-----END"
)

// tokenOf returns the token in what a scanner says that it matched, which is mostly the token itself; empty: nobody can tell.
func tokenOf(extract leak.Secret) leak.Secret {
	text := strings.TrimSpace(extract.Reveal())
	switch {
	case len(text) > maxToken, strings.Contains(text, "***"): // some versions put stars in its place
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

// credentialOf is the password of a URL, or, without one, the user: some servers take a token so.
func credentialOf(u *url.URL) leak.Secret {
	if password, ok := u.User.Password(); ok && password != "" {
		return leak.NewSecret(password)
	}
	return onlyRun(u.User.Username())
}

// tokenAt returns the token in a line of a file, counted from 1; empty: nobody can tell.
func tokenAt(file leak.Secret, line int) leak.Secret {
	lines := strings.Split(file.Reveal(), "\n")
	if line < 1 || line > len(lines) {
		return leak.Secret{}
	}
	if strings.Contains(lines[line-1], blockBegins) {
		return block(lines[line-1:])
	}
	return onlyRun(lines[line-1])
}

// onlyRun returns the one run of characters in a text that may be a token; empty: there is none, or there are several. What
// has no digit is a word, and what something is assigned to is a name.
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

// block returns a private key in text, from its first line to its last; empty: it has no end. Of its first line alone nobody
// could tell it from another.
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
