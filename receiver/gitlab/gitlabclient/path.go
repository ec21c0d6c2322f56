package gitlabclient

import "strings"

// Bounds of names and of paths, in bytes. GitLab's own limit is 255 for either.
const (
	maxName = 255
	maxPath = 512
)

// IsPath reports whether a text is a path that a group or a project can have.
func IsPath(text string) bool {
	for name := range strings.SplitSeq(text, "/") {
		if !isName(name) {
			return false
		}
	}
	return len(text) <= maxPath
}

// isName reports whether a name is one that a group or a project can have in its path. A name of dots alone would climb, and
// GitLab's own pages begin where one of a dash alone stands.
func isName(name string) bool {
	if len(name) > maxName || name == "-" || strings.Trim(name, ".") == "" {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}
