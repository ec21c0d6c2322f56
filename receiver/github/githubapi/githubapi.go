// Package githubapi is GitHub's API as the collector uses it, for the secret scanning of one organisation: it fetches, lists,
// closes and reopens alerts, and has failed deliveries sent again. It never asks for anything of another owner, and never
// at a place that an answer or a delivery names.
package githubapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubclient"
)

// Errors that nobody decides on; they are unresolved.
var (
	errOther     = errors.New("the answer is about another alert")
	errUnchanged = errors.New("GitHub accepts the change, but the alert is as it was")
)

// vendor implements collect.Vendor, collect.Redeliverer, collect.Selfaware and receiver.Examiner.
type vendor struct {
	source string // its configured name
	org    string
	client *githubclient.Client
	log    *slog.Logger
	self   atomic.Pointer[string] // our login, once GitHub has told it
}

// Open makes the vendor that the collector of a source asks about one organisation. It is a collect.Redeliverer,
// a collect.Selfaware and a receiver.Examiner as well. It reads the file with our token or private key, and makes no call:
// GitHub may be down when stanch starts.
func Open(c githubclient.Config, source, organization string, log *slog.Logger) (collect.Vendor, error) {
	org := strings.ToLower(organization)
	client, err := githubclient.Open(c, org)
	if err != nil {
		return nil, fmt.Errorf("opening the API of source %s: %w", source, err)
	}
	return &vendor{source: source, org: org, client: client, log: log.With("source", source)}, nil
}

// own reads a ref, and refuses one outside our organisation.
func (v *vendor) own(text string) (Ref, error) {
	r, err := parseRef(text)
	if err != nil || !r.In(v.org) {
		return Ref{}, fmt.Errorf("%w: the alert does not belong to the configured organisation", collect.ErrRefused)
	}
	return r, nil
}

// Self implements collect.Selfaware: the login under which GitHub shows our changes. It asks GitHub once.
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

// who asks GitHub who we are. A malformed name is an error: it would be taken for ours.
func (v *vendor) who(ctx context.Context) (login string, response *gh.Response, err error) {
	const doing = "asking who we are"
	if v.client.IsApp() {
		app, response, err := v.askApp(ctx, doing)
		if err == nil && !githubclient.IsName(app.GetSlug()) {
			err = fmt.Errorf("%s: %w", doing, githubclient.ErrUnreadable)
		}
		return app.GetSlug() + "[bot]", response, err
	}
	var user *gh.User
	response, err = v.client.Do(ctx, githubclient.Call{
		Doing: doing,
		Send: func(ctx context.Context, to *gh.Client) (response *gh.Response, err error) {
			user, response, err = to.Users.Get(ctx, "")
			return response, err
		},
	})
	if err == nil && !githubclient.IsName(user.GetLogin()) {
		err = fmt.Errorf("%s: %w", doing, githubclient.ErrUnreadable)
	}
	return user.GetLogin(), response, err
}

// askApp asks GitHub for the App that we are.
func (v *vendor) askApp(ctx context.Context, doing string) (app *gh.App, response *gh.Response, err error) {
	response, err = v.client.DoAsApp(ctx, githubclient.Call{
		Doing: doing,
		Send: func(ctx context.Context, to *gh.Client) (response *gh.Response, err error) {
			app, response, err = to.Apps.Get(ctx, "")
			return response, err
		},
	})
	return app, response, err
}
