// Package gitlabclient is how stanch asks GitLab, over REST and GraphQL, with a token from a file. It shows our token to
// nobody but the configured instance, keeps every answer within bounds, asks nothing while GitLab wants us to wait, and
// reduces every failure to an error that holds no URL, no token and nothing of an answer.
package gitlabclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	gl "github.com/xanzy/go-gitlab"

	"stanch/receiver/outbound"
	"stanch/receiver/outbound/secretfile"
)

// ChainHeader is the header field, of deliveries and of calls, that names the chain of calls and events they belong to.
const ChainHeader = "X-Gitlab-Event-UUID"

// Client asks one GitLab instance. It is safe for concurrent use.
type Client struct {
	base   *url.URL // of the instance
	caller *caller
	token  *secretfile.File
	self   atomic.Int64 // the number of our token's user; 0: not known
}

// Open makes a Client. It reads the file with our token, and makes no call: GitLab may be down when stanch starts.
func Open(c Config) (*Client, error) {
	base, err := url.Parse(c.base())
	if err != nil || outbound.CheckURL(c.base(), outbound.URLRules{}) != nil {
		return nil, errors.New("its api.url is not valid")
	}
	token, err := secretfile.Open(c.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading api.token_file, which %w", err)
	}
	caller, err := newCaller(base)
	if err != nil {
		return nil, errors.New("its api.url is not valid")
	}
	return &Client{base: base, caller: caller, token: token}, nil
}

// Do makes a call with our token. If GitLab refuses the token and its file holds another by now, the call is made once more:
// 401 means that nothing was done. The answer is nil if there was none.
func (c *Client) Do(ctx context.Context, call Call) (*Answer, error) {
	for again := true; ; again = false {
		token := c.token.Token()
		answer, err := c.caller.do(ctx, call, token)
		if err == nil || answer == nil || answer.status != http.StatusUnauthorized || !again || !c.token.Renew(token) {
			return answer, err
		}
		c.self.Store(0) // the other token may be somebody else's
	}
}

// Page is the URL of a page of the instance that people can open; fragment may be empty.
func (c *Client) Page(path, fragment string) string {
	page := *c.base
	page.Path, page.RawPath, page.Fragment = strings.TrimSuffix(page.Path, "/")+"/"+path, "", fragment
	return page.String()
}

// Who asks GitLab for the number and the login of our token's user. A malformed one is an error: it would be taken for ours.
func (c *Client) Who(ctx context.Context) (id int64, login string, err error) {
	const doing = "asking who we are"
	user := new(gl.User)
	_, err = c.Do(ctx, Call{
		Doing: doing, Means: NotGone,
		Send: func(to *API, options ...gl.RequestOptionFunc) (err error) {
			user, _, err = to.Users.CurrentUser(options...)
			return err
		},
	})
	if err == nil && (user.ID < 1 || !isName(user.Username)) {
		err = fmt.Errorf("%s: %w", doing, ErrUnreadable)
	}
	if err != nil {
		return 0, "", err
	}
	return int64(user.ID), user.Username, nil
}

// Self returns the number of our token's user. It asks GitLab once for each token.
func (c *Client) Self(ctx context.Context) (int64, error) {
	if id := c.self.Load(); id > 0 {
		return id, nil
	}
	id, _, err := c.Who(ctx)
	if err == nil {
		c.self.Store(id)
	}
	return id, err
}
