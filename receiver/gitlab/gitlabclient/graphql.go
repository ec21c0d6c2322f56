package gitlabclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"stanch/receiver/collect"
)

// ErrOlder means that the instance is too old to know a part of a query.
var ErrOlder = errors.New("this version of GitLab does not know it")

// Query is one question to GraphQL.
type Query struct {
	Doing     string // for errors: a gerund
	Text      string
	Variables map[string]any
	Into      any // what data is read into
}

// Ask asks GraphQL. GraphQL answers what it refuses with success as well, and nothing of its messages is kept. The error wraps
// ErrOlder or collect.ErrRefused if the answer means that.
func (c *Client) Ask(ctx context.Context, q Query) error {
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	_, err := c.Do(ctx, Call{
		Doing: q.Doing, Send: c.graphQL(map[string]any{"query": q.Text, "variables": q.Variables}, &answer),
		Means: NotGone, // the path exists in every version
	})
	if err != nil {
		return err
	}
	for _, e := range answer.Errors {
		if err := meaningOf(e.Message); err != nil {
			return fmt.Errorf("%s: GitLab answers with an error: %w", q.Doing, err)
		}
	}
	if len(answer.Errors) > 0 {
		return fmt.Errorf("%s: GitLab answers with an error", q.Doing)
	}
	if len(answer.Data) == 0 || string(answer.Data) == "null" || json.Unmarshal(answer.Data, q.Into) != nil {
		return fmt.Errorf("%s: %w", q.Doing, ErrUnreadable)
	}
	return nil
}

// graphQL returns the Send of a question to GraphQL, which go-gitlab knows nothing of in this version.
func (c *Client) graphQL(body, into any) Send {
	return func(to *API, options ...gl.RequestOptionFunc) error {
		request, err := to.NewRequest(http.MethodPost, "", body, options)
		if err != nil {
			return err
		}
		at := *c.base
		at.Path, at.RawPath = strings.TrimSuffix(at.Path, "/")+"/api/graphql", ""
		request.URL = &at
		return do(to, request, into)
	}
}

// meaningOf is what GraphQL's words for an error mean; nil: nothing that is established.
func meaningOf(message string) error {
	switch {
	case strings.Contains(message, "you don't have permission"):
		return collect.ErrRefused
	case strings.Contains(message, "doesn't accept argument"), strings.Contains(message, "doesn't exist on type"):
		return ErrOlder
	}
	return nil
}
