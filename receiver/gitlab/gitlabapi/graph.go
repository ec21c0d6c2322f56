package gitlabapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"stanch/receiver/collect"
)

// errOlder is that an instance does not know a part of the document yet.
var errOlder = errors.New("this version of GitLab does not know it")

// document is one question to GraphQL.
type document struct {
	doing     string // for errors: a gerund
	text      string
	variables map[string]any
	into      any // what data is read into
}

// graph asks GraphQL, which answers what it refuses with success, too. Of the messages nothing is kept.
func (v *vendor) graph(ctx context.Context, d document) error {
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	_, err := v.ask(ctx, request{
		doing: d.doing, method: http.MethodPost, into: &answer,
		body:  map[string]any{"query": d.text, "variables": d.variables},
		means: notListed, // the path is there in every version
	})
	if err != nil {
		return err
	}
	for _, e := range answer.Errors {
		if err := meaningOf(e.Message); err != nil {
			return fmt.Errorf("%s: GitLab answers with an error: %w", d.doing, err)
		}
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("%s: GitLab answers with an error", d.doing)
	}
	if len(answer.Data) == 0 || string(answer.Data) == "null" || json.Unmarshal(answer.Data, d.into) != nil {
		return fmt.Errorf("%s: %w", d.doing, errUnreadable)
	}
	return nil
}

// notListed says what 404 means for what a vulnerability is not a part of: there is nothing that could be gone.
var notListed = map[int]error{http.StatusNotFound: collect.ErrRefused}

// meaningOf is what an error of GraphQL means, by GitLab's words for it; nil: nothing that is established.
func meaningOf(message string) error {
	switch {
	case strings.Contains(message, "you don't have permission"):
		return collect.ErrRefused
	case strings.Contains(message, "doesn't accept argument"), strings.Contains(message, "doesn't exist on type"):
		return errOlder
	}
	return nil
}

// vulnerabilityGID is what GraphQL calls a vulnerability.
const vulnerabilityGID = "gid://gitlab/Vulnerability/"

// globalID reads the number out of a global id; 0: it is none.
func globalID(text, prefix string) int64 {
	digits, ok := strings.CutPrefix(text, prefix)
	number, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || number < 1 {
		return 0
	}
	return number
}
