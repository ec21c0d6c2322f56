package gitlabapi

import (
	"errors"
	"strconv"
	"strings"

	"stanch/receiver/gitlab/gitlabclient"
)

// SecretDetection is the type of a report of secrets. The names of the jobs that make one begin with it.
const SecretDetection = "secret_detection"

// errRef says nothing about the text, which may be anything.
var errRef = errors.New("it is not a project and the number of a vulnerability or a job")

// subject is what a ref points to.
type subject string

// The subjects, as in the addresses of GitLab's own pages.
const (
	vulnerability subject = "vulnerabilities"
	job           subject = "jobs"
)

// Ref names a vulnerability of a project, or a job with its report. GitLab accepts paths in any case: a Ref has them in lower
// case, and is the same for all of them.
type Ref struct {
	project string // full path: the path of its group, a slash, its own name
	subject subject
	number  int64 // unique in the whole instance, from 1
}

// VulnerabilityRef makes the Ref of a vulnerability of a project, whose full path is in any case. Its error says nothing about
// them.
func VulnerabilityRef(project string, number int64) (Ref, error) {
	return newRef(project, vulnerability, number)
}

// JobRef makes the Ref of a job of a project, whose full path is in any case. Its error says nothing about them.
func JobRef(project string, number int64) (Ref, error) { return newRef(project, job, number) }

// newRef makes a Ref. Its path is fit to be part of a URL's path, or to be escaped as one segment.
func newRef(project string, s subject, number int64) (Ref, error) {
	if !gitlabclient.IsPath(project) || !strings.Contains(project, "/") || number < 1 {
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

// In reports whether the project belongs to a group or one of its subgroups. The group is in any case.
func (r Ref) In(group string) bool { return strings.HasPrefix(r.project, strings.ToLower(group)+"/") }
