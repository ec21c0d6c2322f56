// Package githubclient is how stanch asks GitHub: with a token from a file, or as a GitHub App whose tokens have one right
// each. It shows our credential to nobody but the configured server, keeps every answer within bounds, asks nothing while
// GitHub wants us to wait, and reduces every failure to an error that holds no URL, no credential and nothing of an answer.
package githubclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	gh "github.com/google/go-github/v60/github"

	"stanch/receiver/leak"
	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

// maxNameSize is the longest name of an owner or a repository, in bytes. GitHub's own limits are lower.
const maxNameSize = 100

// IsName reports whether an owner or a repository can have this name. Such a name is fit to be a segment of a URL's path as
// it is. Two dots within a name are harmless, and refusing them would let somebody hide a repository; a name of dots alone
// would climb the path.
func IsName(name string) bool {
	if len(name) > maxNameSize || strings.Trim(name, ".") == "" {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

// credential is what we show to GitHub. It is safe for concurrent use.
type credential interface {
	// token returns a token for calls that need a right.
	token(ctx context.Context, needs Right) (leak.Secret, error)
	// renew is called when GitHub refuses a token, and reports whether there may be another.
	renew(refused leak.Secret) bool
}

// Client asks one GitHub server about one organisation. It is safe for concurrent use.
type Client struct {
	caller     *caller
	credential credential
	app        *app                   // the credential, if it is an App; otherwise nil
	self       atomic.Pointer[string] // our login, once GitHub has told it
}

// Open makes a Client. It reads the file with our token or private key, and makes no call: GitHub may be down when stanch
// starts.
func Open(c Config, organization string) (*Client, error) {
	base, err := baseURL(c.url())
	if err != nil || !IsName(organization) {
		return nil, errors.New("its api.url or its organisation is not valid")
	}
	client := &Client{caller: newCaller(base)}
	if c.App != nil {
		client.app, err = c.App.open(base, organization)
		client.credential = client.app
	} else {
		client.credential, err = openTokenFile(c.TokenFile)
	}
	if err != nil {
		return nil, err
	}
	return client, nil
}

// baseURL is a base as go-github expects it: with a slash at its end.
func baseURL(text string) (*url.URL, error) {
	if err := outbound.CheckURL(text, outbound.URLRules{}); err != nil {
		return nil, err
	}
	return url.Parse(strings.TrimSuffix(cmp.Or(text, defaultAPIURL), "/") + "/")
}

// Do makes a call with our token. A token that GitHub refuses is renewed, and if there is another the call is made once
// more: 401 means that nothing was done. The response is nil if there was no answer; its body is closed.
func (c *Client) Do(ctx context.Context, call Call) (*gh.Response, error) {
	for again := true; ; again = false {
		token, err := c.credential.token(ctx, call.Needs)
		if err != nil {
			return nil, err
		}
		response, err := c.caller.do(ctx, call, token)
		if err == nil || !again || !isUnauthorised(response) || !c.credential.renew(token) {
			return response, err
		}
	}
}

func isUnauthorised(response *gh.Response) bool {
	return response != nil && response.Response != nil && response.StatusCode == http.StatusUnauthorized
}

// IsApp reports whether we are a GitHub App.
func (c *Client) IsApp() bool { return c.app != nil }

// DoAsApp makes a call as the App itself, whatever call.Needs says. It must only be used if IsApp.
func (c *Client) DoAsApp(ctx context.Context, call Call) (*gh.Response, error) {
	return c.app.do(ctx, call)
}

// Grants returns an error unless our credential may have a right. Of a token from a file nobody can tell before it is used.
func (c *Client) Grants(ctx context.Context, r Right) error {
	_, err := c.credential.token(ctx, r)
	return err
}

// App asks GitHub for the App that we are. It must only be used if IsApp.
func (c *Client) App(ctx context.Context, doing string) (app *gh.App, response *gh.Response, err error) {
	response, err = c.DoAsApp(ctx, Call{
		Doing: doing,
		Send: func(ctx context.Context, to *gh.Client) (response *gh.Response, err error) {
			app, response, err = to.Apps.Get(ctx, "")
			return response, err
		},
	})
	return app, response, err
}

// Who asks GitHub for the login under which it shows what we do; the response says more about our token. A malformed login is
// an error: it would be taken for ours.
func (c *Client) Who(ctx context.Context) (login string, response *gh.Response, err error) {
	const doing = "asking who we are"
	suffix := ""
	if c.IsApp() {
		var app *gh.App
		app, response, err = c.App(ctx, doing)
		login, suffix = app.GetSlug(), "[bot]"
	} else {
		response, err = c.Do(ctx, Call{
			Doing: doing,
			Send: func(ctx context.Context, to *gh.Client) (*gh.Response, error) {
				user, response, err := to.Users.Get(ctx, "")
				login = user.GetLogin()
				return response, err
			},
		})
	}
	if err == nil && !IsName(login) {
		err = fmt.Errorf("%s: %w", doing, ErrUnreadable)
	}
	return login + suffix, response, err
}

// Self returns the login of Who. It asks GitHub once.
func (c *Client) Self(ctx context.Context) (string, error) {
	if login := c.self.Load(); login != nil {
		return *login, nil
	}
	login, _, err := c.Who(ctx)
	if err == nil {
		c.self.Store(&login)
	}
	return login, err
}

// Last returns the last answer to a call of Do; nil: there is none yet.
func (c *Client) Last() *outbound.Exchange { return c.caller.last.Load() }

// LastAsApp returns the last answer to a call as the App itself; nil: there is none yet.
func (c *Client) LastAsApp() *outbound.Exchange {
	if c.app == nil {
		return nil
	}
	return c.app.caller.last.Load()
}

// tokenFile is a credential: the personal access token in a file.
type tokenFile struct{ file *secretfile.File }

func openTokenFile(path string) (tokenFile, error) {
	file, err := secretfile.Open(path)
	if err != nil {
		return tokenFile{}, fmt.Errorf("reading api.token_file, which %w", err)
	}
	return tokenFile{file}, nil
}

func (t tokenFile) token(context.Context, Right) (leak.Secret, error) { return t.file.Token(), nil }

func (t tokenFile) renew(refused leak.Secret) bool { return t.file.Renew(refused) }
