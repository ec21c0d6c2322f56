package gitlabapi

import (
	"errors"
	"strconv"
	"strings"
)

// SecretDetection is the type of a report of secrets. The names of the jobs that make one begin with it.
const SecretDetection = "secret_detection"

// ChainHeader is the field of a header, of a delivery and of a call, that says which chain of calls and events it is a part
// of.
const ChainHeader = "X-Gitlab-Event-UUID"

// Bounds of names and of paths, in bytes. GitLab's own limit is 255 for either.
const (
	maxName = 255
	maxPath = 512
)

// errRef says nothing of what it is about, which may be anything.
var errRef = errors.New("it is no project with the number of a vulnerability or of a job")

// subject is what a ref points to.
type subject string

// The subjects, as GitLab's own pages have them in their addresses.
const (
	vulnerability subject = "vulnerabilities"
	job           subject = "jobs"
)

// Ref is which vulnerability, or which job with its report, of which project. GitLab takes paths in any case: a Ref has them
// in lower case, and is the same for all of them.
type Ref struct {
	project string // full path: that of its group, a slash, its own name
	subject subject
	number  int64 // id in the whole instance, from 1
}

// VulnerabilityRef makes the Ref of a vulnerability of a project, whose full path is in any case.
func VulnerabilityRef(project string, number int64) (Ref, error) {
	return newRef(project, vulnerability, number)
}

// JobRef makes the Ref of a job of a project, whose full path is in any case.
func JobRef(project string, number int64) (Ref, error) { return newRef(project, job, number) }

// newRef makes a Ref of a path in any case. The path is fit to be a part of a URL's path, or to be escaped as one segment.
func newRef(project string, s subject, number int64) (Ref, error) {
	if !IsPath(project) || !strings.Contains(project, "/") || number < 1 {
		return Ref{}, errRef
	}
	return Ref{strings.ToLower(project), s, number}, nil
}

// ParseRef reads what String wrote, and nothing else.
func ParseRef(text string) (Ref, error) {
	project, rest, _ := strings.Cut(text, "/-/")
	kind, digits, _ := strings.Cut(rest, "/")
	number, err := strconv.ParseInt(digits, 10, 64)
	if s := subject(kind); err != nil || s != vulnerability && s != job {
		return Ref{}, errRef
	}
	r, err := newRef(project, subject(kind), number)
	if err != nil || r.String() != text {
		return Ref{}, errRef
	}
	return r, nil
}

// String is how pointers, alerts and the log write a Ref: group/project/-/vulnerabilities/7.
func (r Ref) String() string {
	return r.project + "/-/" + string(r.subject) + "/" + strconv.FormatInt(r.number, 10)
}

// In reports whether the project is this group's, or one of its subgroups'.
func (r Ref) In(group string) bool { return strings.HasPrefix(r.project, strings.ToLower(group)+"/") }

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
