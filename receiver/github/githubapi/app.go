package githubapi

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"strconv"
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
	// claimLife is how long the claim of an App is good; GitHub takes ten minutes at most, by its own clock.
	claimLife = 8 * time.Minute
	// claimDrift is how far before now a claim begins, because GitHub's clock may be behind ours.
	claimDrift = time.Minute
	// tokenMargin is how long before its end an installation's token is no longer used.
	tokenMargin = 5 * time.Minute
)

// app is a credential: a GitHub App that is installed in the organisation. Each right has a token of its own, so that
// what only reads cannot write. It is asked for by whoever needs it first, and used by all.
type app struct {
	caller     *caller                                  // limits of the App itself are apart from those of its installation
	sign       func(now time.Time) (leak.Secret, error) // a func, because what holds a key can be printed
	org        string
	configured int64 // the installation; 0: it is looked up
	flight     singleflight.Group

	mu     sync.Mutex
	found  int64
	tokens map[right]appToken
}

type appToken struct {
	value   leak.Secret
	expires time.Time
}

// token returns a token of the installation that has a right, and no more than it.
func (a *app) token(ctx context.Context, needs right) (leak.Secret, error) {
	if token, ok := a.cached(needs, time.Now()); ok {
		return token, nil
	}
	answer := a.flight.DoChan(needs.name+" "+needs.level, func() (any, error) {
		return a.fetch(context.WithoutCancel(ctx), needs) // others wait for it; the client's timeout bounds it
	})
	select {
	case result := <-answer:
		if result.Err != nil {
			return leak.Secret{}, result.Err
		}
		return result.Val.(leak.Secret), nil
	case <-ctx.Done():
		return leak.Secret{}, fmt.Errorf("fetching a token: %w", ctx.Err())
	}
}

func (a *app) cached(needs right, now time.Time) (leak.Secret, bool) {
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

// fetch asks for a token. One that expires soon is good for the call that it is for, and is not kept.
func (a *app) fetch(ctx context.Context, needs right) (leak.Secret, error) {
	const doing = "fetching a token"
	id, err := a.installation(ctx)
	if err != nil {
		return leak.Secret{}, err
	}
	var answer struct {
		Token     secretText `json:"token"`
		ExpiresAt time.Time  `json:"expires_at"`
	}
	_, err = a.ask(ctx, request{
		doing: doing, method: http.MethodPost, path: "app/installations/" + strconv.FormatInt(id, 10) + "/access_tokens",
		body: map[string]any{"permissions": map[string]string{needs.name: needs.level}}, into: &answer,
		means: map[int]error{http.StatusNotFound: collect.ErrRefused, http.StatusUnprocessableEntity: collect.ErrRefused},
		hints: map[int]string{
			http.StatusNotFound:            "the App has no such installation",
			http.StatusForbidden:           "the installation may be suspended",
			http.StatusUnprocessableEntity: "the installation does not grant " + needs.name + ": " + needs.level,
		},
	})
	if err != nil {
		a.forget(err)
		return leak.Secret{}, err
	}
	if !secretfile.Sendable(answer.Token.Reveal()) {
		return leak.Secret{}, fmt.Errorf("%s: %w", doing, errUnreadable)
	}
	a.keep(needs, appToken{answer.Token.Secret, answer.ExpiresAt.Add(-tokenMargin)})
	return answer.Token.Secret, nil
}

func (a *app) keep(needs right, token appToken) {
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
	var answer struct {
		ID int64 `json:"id"`
	}
	r := request{
		doing: "looking up the App's installation", method: http.MethodGet, path: "orgs/" + a.org + "/installation",
		into: &answer, means: map[int]error{http.StatusNotFound: collect.ErrRefused},
		hints: map[int]string{http.StatusNotFound: "the App is not installed in the organisation, or there is no such App"},
	}
	if _, err := a.ask(ctx, r); err != nil {
		return 0, err
	}
	if answer.ID <= 0 {
		return 0, fmt.Errorf("%s: %w", r.doing, errUnreadable)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.found = answer.ID
	return answer.ID, nil
}

// forget forgets an installation that was looked up and is refused: the App may have been installed anew.
func (a *app) forget(err error) {
	if !errors.Is(err, collect.ErrRefused) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.found = 0
}

// ask sends a request as the App itself.
func (a *app) ask(ctx context.Context, r request) (*gh.Response, error) {
	claim, err := a.sign(time.Now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.doing, err)
	}
	return a.caller.do(ctx, r, claim)
}

// signer makes claims of an App, which is named by its id or its client id.
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
