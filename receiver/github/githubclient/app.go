package githubclient

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	gh "github.com/google/go-github/v60/github"
	"golang.org/x/sync/singleflight"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/secretfile"
)

const (
	// claimLife is how long a claim of an App is valid; GitHub accepts ten minutes at most, by its own clock.
	claimLife = 8 * time.Minute
	// claimDrift is how far in the past a claim begins, because GitHub's clock may be behind ours.
	claimDrift = time.Minute
	// tokenMargin is how long before its end we stop using the token of an installation.
	tokenMargin = 5 * time.Minute
)

// app is a credential: a GitHub App that is installed in the organisation. Each right has a token of its own, so that calls
// that only read cannot write. The first call that needs a token fetches it, and all others use it.
type app struct {
	caller     *caller                                  // the App's own limits are separate from those of its installation
	sign       func(now time.Time) (leak.Secret, error) // a func, because a struct with a key in it could be printed
	org        string
	configured int64 // the installation; 0: it is looked up
	flight     singleflight.Group

	mu     sync.Mutex
	found  int64
	tokens map[Right]appToken
}

type appToken struct {
	value   leak.Secret
	expires time.Time
}

func (c *AppConfig) open(base *url.URL, org string) (*app, error) {
	key, err := readAppKey(c.PrivateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading api.app.private_key_file, which %w", err)
	}
	return &app{
		caller: newCaller(base), sign: signer(c.ID, key), org: org,
		configured: int64(c.Installation), tokens: map[Right]appToken{},
	}, nil
}

// token returns a token of the installation that has this right and no other.
func (a *app) token(ctx context.Context, needs Right) (leak.Secret, error) {
	if token, ok := a.cached(needs, time.Now()); ok {
		return token, nil
	}
	answer := a.flight.DoChan(needs.name+" "+needs.level, func() (any, error) {
		return a.fetch(context.WithoutCancel(ctx), needs) // others wait for it as well; the client's timeout bounds it
	})
	select {
	case result := <-answer:
		if result.Err != nil {
			return leak.Secret{}, result.Err
		}
		return result.Val.(leak.Secret), nil
	case <-ctx.Done():
		return leak.Secret{}, fmt.Errorf("%s: %w", fetchingToken, ctx.Err())
	}
}

func (a *app) cached(needs Right, now time.Time) (leak.Secret, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	token, ok := a.tokens[needs]
	return token.value, ok && now.Before(token.expires)
}

// renew forgets a token that was refused.
func (a *app) renew(refused leak.Secret) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for needs, token := range a.tokens {
		if token.value.Equal(refused) {
			delete(a.tokens, needs)
		}
	}
	return true
}

const fetchingToken = "fetching a token"

// fetch fetches a token. One that expires soon serves the call at hand and is not used again.
func (a *app) fetch(ctx context.Context, needs Right) (leak.Secret, error) {
	id, err := a.installation(ctx)
	if err != nil {
		return leak.Secret{}, err
	}
	answer, err := a.create(ctx, id, needs)
	if err != nil {
		a.forget(err)
		return leak.Secret{}, err
	}
	if !secretfile.Sendable(answer.GetToken()) {
		return leak.Secret{}, fmt.Errorf("%s: %w", fetchingToken, ErrUnreadable)
	}
	token := leak.NewSecret(answer.GetToken())
	a.keep(needs, appToken{token, answer.GetExpiresAt().Add(-tokenMargin)})
	return token, nil
}

// create has GitHub make a token of an installation.
func (a *app) create(ctx context.Context, id int64, needs Right) (answer *gh.InstallationToken, err error) {
	permissions := needs.permissions()
	if permissions == nil { // without any, GitHub would grant all that the App has
		return nil, fmt.Errorf("%s: the call needs no right", fetchingToken)
	}
	_, err = a.do(ctx, Call{
		Doing: fetchingToken,
		Send: func(ctx context.Context, to *gh.Client) (response *gh.Response, err error) {
			answer, response, err = to.Apps.CreateInstallationToken(ctx, id, &gh.InstallationTokenOptions{Permissions: permissions})
			return response, err
		},
		Means: map[int]error{http.StatusNotFound: collect.ErrRefused, http.StatusUnprocessableEntity: collect.ErrRefused},
		Hints: map[int]string{
			http.StatusNotFound:            "the App has no such installation",
			http.StatusForbidden:           "the installation may be suspended",
			http.StatusUnprocessableEntity: "the installation does not grant " + needs.name + ": " + needs.level,
		},
	})
	return answer, err
}

func (a *app) keep(needs Right, token appToken) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens[needs] = token
}

// installation returns the App's installation in the organisation.
func (a *app) installation(ctx context.Context) (int64, error) {
	a.mu.Lock()
	known := max(a.configured, a.found)
	a.mu.Unlock()
	if known != 0 {
		return known, nil
	}
	const doing = "looking up the App's installation"
	var answer *gh.Installation
	_, err := a.do(ctx, Call{
		Doing: doing,
		Send: func(ctx context.Context, to *gh.Client) (response *gh.Response, err error) {
			answer, response, err = to.Apps.FindOrganizationInstallation(ctx, a.org)
			return response, err
		},
		Means: map[int]error{http.StatusNotFound: collect.ErrRefused},
		Hints: map[int]string{http.StatusNotFound: "the App is not installed in the organisation, or there is no such App"},
	})
	if err != nil {
		return 0, err
	}
	if answer.GetID() <= 0 {
		return 0, fmt.Errorf("%s: %w", doing, ErrUnreadable)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.found = answer.GetID()
	return a.found, nil
}

// forget forgets an installation that was looked up and is refused: the App may have been installed again.
func (a *app) forget(err error) {
	if !errors.Is(err, collect.ErrRefused) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.found = 0
}

// do makes a call as the App itself.
func (a *app) do(ctx context.Context, call Call) (*gh.Response, error) {
	claim, err := a.sign(time.Now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", call.Doing, err)
	}
	return a.caller.do(ctx, call, claim)
}

// signer makes the claims of an App, which is named by its id or its client id.
func signer(id string, key *rsa.PrivateKey) func(time.Time) (leak.Secret, error) {
	return func(now time.Time) (leak.Secret, error) {
		claim, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
			Issuer: id, IssuedAt: jwt.NewNumericDate(now.Add(-claimDrift)), ExpiresAt: jwt.NewNumericDate(now.Add(claimLife)),
		}).SignedString(key)
		if err != nil {
			return leak.Secret{}, errors.New("the private key cannot sign")
		}
		return leak.NewSecret(claim), nil
	}
}
