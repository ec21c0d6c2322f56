package gitlab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"stanch/receiver"
	"stanch/receiver/gitlab/gitlabapi"
	"stanch/receiver/leak"
)

// The kinds of events that make pointers, as GitLab's documentation of webhooks has it.
const (
	vulnerabilityKind = "vulnerability"
	jobKind           = "build"
)

// states are the states of a vulnerability. Each makes a pointer: closing it never stops containment, and we may not have heard of
// it before, because GitLab is known to miss events and repeats none.
var states = []string{"detected", "confirmed", "dismissed", "resolved"}

// changed is the event of a pointer for a state that GitLab did not have so far.
const changed = "changed"

// ends are the final states of a job that may leave a report behind.
var ends = []string{"success", "failed"}

// event is what we read of a hook's body. No field is guaranteed. Of addresses we read only the paths, because the configuration
// says whom to ask.
type event struct {
	Kind          string `json:"object_kind"`
	Vulnerability struct {
		URL         string `json:"url"`
		State       string `json:"state"`
		ReportType  string `json:"report_type"`
		ConfirmedBy int64  `json:"confirmed_by_id"`
		ResolvedBy  int64  `json:"resolved_by_id"`
	} `json:"object_attributes"`
	JobID     int64  `json:"build_id"`
	JobName   string `json:"build_name"`
	JobStatus string `json:"build_status"`
	Project   struct {
		Path string `json:"path_with_namespace"`
	} `json:"project"`
	Repository struct {
		Homepage string `json:"homepage"` // older versions have no project beside it
	} `json:"repository"`
}

// scope confines pointers.
type scope struct {
	group string // full path, in any case
	root  string // path of the instance on its host
}

// parse reads one event.
func (s scope) parse(body []byte) (receiver.Parsed, error) {
	e, err := readEvent(body)
	if err != nil {
		return receiver.Parsed{}, err
	}
	happened, ok := e.happened()
	if !ok {
		return receiver.Parsed{}, fmt.Errorf("%w: nothing happened for which GitLab is asked", receiver.ErrIgnored)
	}
	r, err := s.ref(e)
	if err != nil {
		bad := receiver.Bad{Raw: leak.NewSecret(string(body)), Reason: "the event has no usable project or number"}
		return receiver.Parsed{Bad: []receiver.Bad{bad}}, nil
	}
	if !r.In(s.group) {
		return receiver.Parsed{}, fmt.Errorf("%w: the project is not the group's", receiver.ErrIgnored)
	}
	return receiver.Parsed{Pointers: []leak.Pointer{{Ref: r.String(), Event: happened, By: e.by()}}}, nil
}

// readEvent reads what it can: a field of the wrong type counts as missing. The decoder's errors are dropped, because they quote
// the body.
func readEvent(body []byte) (event, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return event{}, fmt.Errorf("%w: it is not an object", receiver.ErrFormat)
	}
	var e event
	err := json.Unmarshal(body, &e)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !ok {
		return event{}, fmt.Errorf("%w: it is not JSON", receiver.ErrFormat)
	}
	return e, nil
}

// happened is the event of the pointer, if GitLab is to be asked about it. In doubt it is: one call too many costs less than a
// leak.
func (e event) happened() (string, bool) {
	switch e.Kind {
	case vulnerabilityKind:
		state := e.Vulnerability.State
		if !slices.Contains(states, state) {
			state = changed
		}
		return state, e.Vulnerability.ReportType == gitlabapi.SecretDetection || e.Vulnerability.ReportType == ""
	case jobKind:
		return e.JobStatus, strings.HasPrefix(e.JobName, gitlabapi.SecretDetection) && slices.Contains(ends, e.JobStatus)
	}
	return "", false
}

// by is the number of the user who made a change that may be our own; empty: nobody, or GitLab does not say. It is signed with the
// rest of the body. For other changes it is empty: a person whose token we use can leak a key as well.
func (e event) by() string {
	id := map[string]int64{
		"confirmed": e.Vulnerability.ConfirmedBy,
		"resolved":  e.Vulnerability.ResolvedBy,
	}[e.Vulnerability.State]
	if id < 1 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// ref is what an event is about. The event of a vulnerability has its number and its project only in its address.
func (s scope) ref(e event) (gitlabapi.Ref, error) {
	if e.Kind == jobKind {
		project := e.Project.Path
		if project == "" {
			project = s.path(e.Repository.Homepage)
		}
		return gitlabapi.JobRef(project, e.JobID)
	}
	project, digits, _ := strings.Cut(s.path(e.Vulnerability.URL), "/-/security/vulnerabilities/")
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return gitlabapi.Ref{}, err
	}
	return gitlabapi.VulnerabilityRef(project, number)
}

// path is the escaped path of an address, below that of the instance; no ref can be made of a name that needs escaping.
func (s scope) path(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	path, ok := strings.CutPrefix(u.EscapedPath(), s.root+"/")
	if !ok {
		return ""
	}
	return path
}
