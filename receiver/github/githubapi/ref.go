package githubapi

import (
	"errors"
	"strconv"
	"strings"

	"stanch/receiver/github/githubclient"
)

// errRef says nothing about the text, which may be anything.
var errRef = errors.New("it is not the owner, repository and number of an alert")

// Ref names an alert of a repository. GitHub accepts names in any case and shows them as they were first written, so that one
// alert has many names: a Ref has lower-case names, and is the same for all of them.
type Ref struct {
	owner  string
	repo   string
	number int64 // within the repository, from 1
}

// NewRef makes a Ref of names in any case. Its error says nothing about them.
func NewRef(owner, repo string, number int64) (Ref, error) {
	if !githubclient.IsName(owner) || !githubclient.IsName(repo) || number < 1 {
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

// In reports whether the repository belongs to an organisation, which is in any case.
func (r Ref) In(organization string) bool { return r.owner == strings.ToLower(organization) }

// path is where the API has the alert.
func (r Ref) path() string {
	return "repos/" + r.owner + "/" + r.repo + "/secret-scanning/alerts/" + strconv.FormatInt(r.number, 10)
}
