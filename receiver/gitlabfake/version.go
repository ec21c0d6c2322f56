package gitlabfake

import (
	"cmp"
	"strconv"
	"strings"
)

// version is a release of GitLab, as far as behaviour depends on it.
type version struct{ major, minor int }

// The releases that brought something.
var (
	hookEvents         = version{17, 3}
	hookResend         = version{17, 4}
	vulnerabilityHooks = version{17, 7}
	jobProjects        = version{17, 7} // the events of jobs name their project; since when exactly is inferred
	signedHooks        = version{19, 0}
)

// parseVersion reads a version such as 17.3 or 18.5.1-ee; what is no number is 0.
func parseVersion(text string) version {
	major, rest, _ := strings.Cut(text, ".")
	minor, _, _ := strings.Cut(rest, ".")
	var v version
	v.major, _ = strconv.Atoi(major)
	v.minor, _ = strconv.Atoi(minor)
	return v
}

// since reports whether a fake is of a release or a later one.
func (f *Fake) since(v version) bool {
	return cmp.Or(cmp.Compare(f.version.major, v.major), cmp.Compare(f.version.minor, v.minor)) >= 0
}

// String is the version as the API tells it.
func (v version) String() string {
	return strconv.Itoa(v.major) + "." + strconv.Itoa(v.minor) + ".0-ee"
}
