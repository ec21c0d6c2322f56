package ibmcloud

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/IBM/go-sdk-core/v5/core"
	"golang.org/x/sync/singleflight"

	"stanch/receiver/leak"
)

const (
	// tokenMargin is how long before its end a token is no longer used: a call may take that long.
	tokenMargin = time.Minute
	// refreshPause is how long after a try to renew a token in good time nobody tries again.
	refreshPause = time.Minute
)

// tokens hands out access tokens of our own key. It renews a token when four fifths of its life are over, while the old
// one goes on to be used, so that a short outage of the token endpoint goes unnoticed. The SDK's own cache ignores the
// context and cannot be told that a token was refused.
type tokens struct {
	key    leak.Secret
	url    string
	client *http.Client
	flight singleflight.Group

	mu      sync.Mutex
	current token
}

type token struct {
	value            leak.Secret
	refresh, expires time.Time
}

// get returns a token that is good for a while. Whoever waits for the same fetch shares it, each as long as its ctx
// allows.
func (t *tokens) get(ctx context.Context) (leak.Secret, error) {
	current, due := t.cached(time.Now())
	if current.Empty() {
		return share(ctx, &t.flight, "fetching a token", func() (leak.Secret, error) {
			if current, _ := t.cached(time.Now()); !current.Empty() { // by a flight that has just ended
				return current, nil
			}
			return t.fetch()
		})
	}
	if due {
		t.flight.DoChan("", func() (any, error) { return t.fetch() })
	}
	return current, nil
}

// cached returns the token at hand, empty if there is none that is good, and whether it is time to renew it. Of those
// who ask, it says so to one.
func (t *tokens) cached(now time.Time) (value leak.Secret, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !now.Before(t.current.expires) {
		return leak.Secret{}, false
	}
	due = now.After(t.current.refresh)
	if due {
		t.current.refresh = now.Add(refreshPause)
	}
	return t.current.value, due
}

// drop forgets a token that was refused, unless there is another by now.
func (t *tokens) drop(refused leak.Secret) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.value.Equal(refused) {
		t.current = token{}
	}
}

// fetch asks the token endpoint. The client's timeout is its only bound.
func (t *tokens) fetch() (leak.Secret, error) {
	const doing = "fetching a token"
	authenticator := &core.IamAuthenticator{ApiKey: t.key.Reveal(), URL: t.url, Client: t.client}
	asked := time.Now()
	answer, err := authenticator.RequestToken()
	if err != nil {
		return leak.Secret{}, classify(context.Background(), doing, nil, err)
	}
	if answer.AccessToken == "" {
		return leak.Secret{}, fmt.Errorf("%s: %w", doing, errNoToken)
	}
	value := leak.NewSecret(answer.AccessToken)
	t.keep(value, asked, time.Duration(answer.ExpiresIn)*time.Second)
	return value, nil
}

// keep remembers a token for its life, which is counted from when it was asked for: clocks may differ.
func (t *tokens) keep(value leak.Secret, asked time.Time, life time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = token{value: value, refresh: asked.Add(life / 5 * 4), expires: asked.Add(life - tokenMargin)}
}

// share runs fn once for all who ask for it at the same time. Everyone waits as long as its own ctx allows; fn goes on.
func share[T any](ctx context.Context, flight *singleflight.Group, doing string, fn func() (T, error)) (T, error) {
	var none T
	select {
	case result := <-flight.DoChan("", func() (any, error) { return fn() }):
		if result.Err != nil {
			return none, result.Err
		}
		return result.Val.(T), nil
	case <-ctx.Done():
		return none, fmt.Errorf("%s: %w", doing, ctx.Err())
	}
}
