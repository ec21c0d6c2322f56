package github

import (
	"errors"
	"strconv"
	"strings"
)

// maxName is the most that the name of an owner or of a repository may have, in bytes. GitHub's own limits are lower.
const maxName = 100

// errRef says nothing of what it is about, which may be anything.
var errRef = errors.New("it is no owner, repository and number of an alert")

// ref is which alert of which repository. GitHub takes names in any case and shows them as they were written first, so
// that one alert can be named in many ways: a ref has lower-case names, and is the same for all of them.
type ref struct {
	owner  string
	repo   string
	number int64 // within the repository, from 1
}

// newRef makes a ref of names in any case. The names are fit to be segments of a URL's path as they are.
func newRef(owner, repo string, number int64) (ref, error) {
	if !isName(owner) || !isName(repo) || number < 1 {
		return ref{}, errRef
	}
	return ref{strings.ToLower(owner), strings.ToLower(repo), number}, nil
}

// parseRef reads what String wrote, and nothing else.
func parseRef(text string) (ref, error) {
	owner, rest, _ := strings.Cut(text, "/")
	repo, digits, _ := strings.Cut(rest, "/")
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return ref{}, errRef
	}
	r, err := newRef(owner, repo, number)
	if err != nil || r.String() != text {
		return ref{}, errRef
	}
	return r, nil
}

// String is how pointers, alerts and the log write a ref: owner/repository/number.
func (r ref) String() string {
	return r.owner + "/" + r.repo + "/" + strconv.FormatInt(r.number, 10)
}

// in reports whether the repository is this organisation's.
func (r ref) in(organization string) bool { return r.owner == strings.ToLower(organization) }

// isName reports whether a name is one that an owner or a repository can have. Two dots within a name are harmless, and
// refusing them would let somebody hide a repository; a name of dots alone would climb a path.
func isName(name string) bool {
	if len(name) > maxName || strings.Trim(name, ".") == "" {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}
