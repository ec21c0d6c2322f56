package githubapi

import (
	"context"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v60/github"
)

// Self implements collect.Selfaware: the login under which GitHub shows what we do. It is asked for once.
func (v *vendor) Self(ctx context.Context) (string, error) {
	if login := v.self.Load(); login != nil {
		return *login, nil
	}
	login, _, err := v.who(ctx)
	if err == nil {
		v.self.Store(&login)
	}
	return login, err
}

// who asks GitHub who we are. A name that could be nobody's is none: it would be taken for ours.
func (v *vendor) who(ctx context.Context) (login string, response *gh.Response, err error) {
	const doing = "asking who we are"
	var answer struct {
		Login string `json:"login"` // of a user
		Slug  string `json:"slug"`  // of an App
	}
	name, suffix := &answer.Login, ""
	if v.app != nil {
		name, suffix = &answer.Slug, "[bot]"
		response, err = v.app.ask(ctx, request{doing: doing, method: http.MethodGet, path: "app", into: &answer})
	} else {
		response, err = v.ask(ctx, request{doing: doing, method: http.MethodGet, path: "user", into: &answer})
	}
	if err == nil && !IsName(*name) {
		err = fmt.Errorf("%s: %w", doing, errUnreadable)
	}
	return *name + suffix, response, err
}
