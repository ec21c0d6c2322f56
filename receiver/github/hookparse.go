package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"stanch/receiver"
	"stanch/receiver/github/githubapi"
	"stanch/receiver/github/githubclient"
	"stanch/receiver/github/githubhooks"
	"stanch/receiver/leak"
)

// actions are the actions for which an alert is fetched. Closing is not one of them: it never stops containment, and our own
// closing comes back the same way.
var actions = []string{"created", "reopened", "validated", "publicly_leaked"}

// locationAdded is the event of a pointer for a new location.
const locationAdded = "location"

// event is what we read of a hook's body. No field is guaranteed. We read neither the secret that a location can carry nor any
// URL, because the configuration says whom to ask.
type event struct {
	Action string `json:"action"`
	Alert  struct {
		Number     int64 `json:"number"`
		SecretType given `json:"secret_type"` // tells an alert of secret scanning from those of other scanners
	} `json:"alert"`
	Location   given `json:"location"`
	Repository struct {
		FullName string `json:"full_name"`
		Name     string `json:"name"`
		Owner    struct {
			Login string `json:"login"`
		} `json:"owner"`
	} `json:"repository"`
	Sender struct {
		Login string `json:"login"`
	} `json:"sender"`
}

// given tells whether a field exists and is not null, whatever it holds.
type given bool

// UnmarshalJSON looks only at whether the value is null.
func (g *given) UnmarshalJSON(value []byte) error {
	*g = string(value) != "null"
	return nil
}

// parseHook reads one event. named is its name in the header, which nobody signed.
func parseHook(organization, named string, body []byte) (receiver.Parsed, error) {
	e, err := readEvent(body)
	if err != nil {
		return receiver.Parsed{}, err
	}
	kind := e.kind(named)
	happened, ok := e.happened(kind)
	if !ok {
		return receiver.Parsed{}, fmt.Errorf("%w: nothing happened for which an alert is fetched", receiver.ErrIgnored)
	}
	r, err := e.ref()
	switch {
	case err != nil && kind == githubhooks.LocationEvent: // it may carry a secret, and the alert itself was reported before
		return receiver.Parsed{}, fmt.Errorf("%w: a location of no usable alert", receiver.ErrIgnored)
	case err != nil:
		bad := receiver.Bad{Raw: leak.NewSecret(string(body)), Reason: "the alert has no usable repository or number"}
		return receiver.Parsed{Bad: []receiver.Bad{bad}}, nil
	case !r.In(organization):
		return receiver.Parsed{}, fmt.Errorf("%w: the repository is not the organisation's", receiver.ErrIgnored)
	}
	return receiver.Parsed{Pointers: []leak.Pointer{{Ref: r.String(), Event: happened, By: e.by(happened)}}}, nil
}

// readEvent reads what it can: a field of the wrong type counts as missing. The decoder's errors are dropped, because they quote
// the body.
func readEvent(body []byte) (event, error) {
	document, err := hookDocument(body)
	if err != nil {
		return event{}, err
	}
	var e event
	err = json.Unmarshal(document, &e)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !ok {
		return event{}, fmt.Errorf("%w: it is not JSON", receiver.ErrFormat)
	}
	return e, nil
}

// hookDocument returns the JSON object that is the body, or that the field payload of a form holds. The declared content type does
// not matter: the header is not signed, and no object is a form.
func hookDocument(body []byte) ([]byte, error) {
	if isObject(body) {
		return body, nil
	}
	fields, err := url.ParseQuery(string(body))
	if payloads := fields["payload"]; err == nil && len(payloads) == 1 && isObject([]byte(payloads[0])) {
		return []byte(payloads[0]), nil
	}
	return nil, fmt.Errorf("%w: it is neither an object nor a form with one payload that is an object", receiver.ErrFormat)
}

func isObject(text []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) }

// kind is the event of secret scanning; empty: it is another event. The body itself tells, and the name counts only if the body
// lacks even the type of the secret.
func (e event) kind(named string) string {
	typed := bool(e.Alert.SecretType)
	switch {
	case !typed && named != githubhooks.AlertEvent && named != githubhooks.LocationEvent:
		return ""
	case bool(e.Location) || !typed && named == githubhooks.LocationEvent:
		return githubhooks.LocationEvent
	}
	return githubhooks.AlertEvent
}

// happened is the event of the pointer, if the alert is to be fetched. It is fetched if the action is missing: one call too many
// costs less than a leak.
func (e event) happened(kind string) (string, bool) {
	switch kind {
	case githubhooks.LocationEvent:
		return locationAdded, e.Action == "created" || e.Action == ""
	case githubhooks.AlertEvent:
		return e.Action, e.Action == "" || slices.Contains(actions, e.Action)
	}
	return "", false
}

// by is who did it, for actions that may be our own. For others it is empty: a person whose token we use can leak a key as well.
// A malformed login is dropped.
func (e event) by(happened string) string {
	may := happened == "reopened" || happened == "validated"
	if !may || !githubclient.IsName(strings.TrimSuffix(e.Sender.Login, "[bot]")) {
		return ""
	}
	return e.Sender.Login
}

// ref is the alert that the event is about.
func (e event) ref() (githubapi.Ref, error) {
	owner, repo, ok := strings.Cut(e.Repository.FullName, "/")
	if !ok {
		owner, repo = e.Repository.Owner.Login, e.Repository.Name
	}
	return githubapi.NewRef(owner, repo, e.Alert.Number)
}
