package github

import (
	"context"
	"net/http"
)

// Self implements collect.Selfaware: the login under which GitHub shows what we do. It is asked for once.
func (v *vendor) Self(ctx context.Context) (string, error) {
	if login := v.self.Load(); login != nil {
		return *login, nil
	}
	login, err := v.askSelf(ctx)
	if err == nil {
		v.self.Store(&login)
	}
	return login, err
}

func (v *vendor) askSelf(ctx context.Context) (string, error) {
	if v.app != nil {
		var app struct {
			Slug string `json:"slug"`
		}
		_, err := v.app.ask(ctx, request{doing: "asking who we are", method: http.MethodGet, path: "app", into: &app})
		return app.Slug + "[bot]", err
	}
	var user struct {
		Login string `json:"login"`
	}
	_, err := v.ask(ctx, request{doing: "asking who we are", method: http.MethodGet, path: "user", into: &user})
	return user.Login, err
}
