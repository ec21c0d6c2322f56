package githubapi

import (
	"errors"
	"strconv"
	"strings"
)

// The events that tell of alerts, as GitHub's documentation of webhooks names them.
const (
	AlertEvent    = "secret_scanning_alert"
	LocationEvent = "secret_scanning_alert_location"
)

// maxName is the most that the name of an owner or of a repository may have, in bytes. GitHub's own limits are lower.
const maxName = 100

// errRef says nothing of what it is about, which may be anything.
var errRef = errors.New("it is no owner, repository and number of an alert")

// Ref is which alert of which repository. GitHub takes names in any case and shows them as they were written first, so
// that one alert can be named in many ways: a Ref has lower-case names, and is the same for all of them.
type Ref struct {
	owner  string
	repo   string
	number int64 // within the repository, from 1
}

// NewRef makes a Ref of names in any case. The names are fit to be segments of a URL's path as they are.
func NewRef(owner, repo string, number int64) (Ref, error) {
	if !IsName(owner) || !IsName(repo) || number < 1 {
		return Ref{}, errRef
	}
	return Ref{strings.ToLower(owner), strings.ToLower(repo), number}, nil
}

// parseRef reads what String wrote, and nothing else.
func parseRef(text string) (Ref, error) {
	owner, rest, _ := strings.Cut(text, "/")
	repo, digits, _ := strings.Cut(rest, "/")
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return Ref{}, errRef
	}
	r, err := NewRef(owner, repo, number)
	if err != nil || r.String() != text {
		return Ref{}, errRef
	}
	return r, nil
}

// String is how pointers, alerts and the log write a Ref: owner/repository/number.
func (r Ref) String() string {
	return r.owner + "/" + r.repo + "/" + strconv.FormatInt(r.number, 10)
}

// In reports whether the repository is this organisation's.
func (r Ref) In(organization string) bool { return r.owner == strings.ToLower(organization) }

// IsName reports whether a name is one that an owner or a repository can have. Two dots within a name are harmless, and
// refusing them would let somebody hide a repository; a name of dots alone would climb a path.
func IsName(name string) bool {
	if len(name) > maxName || strings.Trim(name, ".") == "" {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}
