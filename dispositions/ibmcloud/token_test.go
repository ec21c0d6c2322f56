package ibmcloud_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

const (
	tokenRoute   = "POST /identity/token"
	detailsRoute = "GET /v1/apikeys/details"
)

// burst locates n keys at the same time.
func (f *iam) burst(t *testing.T, n int) {
	t.Helper()
	var group sync.WaitGroup
	for range n {
		_, secret := f.AddKey(ibmfake.Key{})
		group.Go(func() {
			if _, err := f.issuer.Locate(context.Background(), secret); err != nil {
				t.Errorf("Locate: %v", err)
			}
		})
	}
	group.Wait()
}

func TestFirstBurstFetchesOneToken(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	f.burst(t, 64)
	got := f.Requests()
	if got[tokenRoute] != 1 || got[detailsRoute] != 65 {
		t.Errorf("got %d token requests and %d lookups, want 1 and 65 (64 keys and our own)", got[tokenRoute], got[detailsRoute])
	}
}

func TestRefusedTokenIsFetchedAgainOnce(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	f.burst(t, 1)
	f.RevokeTokens()
	f.burst(t, 64)
	if n := f.Requests()[tokenRoute]; n != 2 {
		t.Errorf("got %d token requests, want 2", n)
	}
}

// A token that is refused however new it is ends in an error, not in a loop.
func TestTokenRefusedForGood(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	f.AddFault(ibmfake.Fault{Path: "/v1/apikeys/*/disable", Status: 401, Times: ibmfake.Forever})
	if err := f.issuer.Disable(context.Background(), named(id)); !errors.Is(err, leak.ErrCredential) {
		t.Errorf("error %v, want our own credential refused", err)
	}
	if n := f.Requests()[tokenRoute]; n != 2 {
		t.Errorf("got %d token requests, want 2", n)
	}
	if n := f.Count("disable", id); n != 2 {
		t.Errorf("asked %d times to disable, want 2", n)
	}
}

// One who gives up waiting for a token does not take it from those who go on.
func TestTokenWaitersAreIndependent(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, secret := f.AddKey(ibmfake.Key{})
	f.AddFault(ibmfake.Fault{Path: "/identity/token", Delay: 100 * time.Millisecond})
	impatient, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() {
		_, err := f.issuer.Locate(impatient, secret)
		first <- err
	}()
	go cancel()
	f.mustLocate(t, secret)
	if err := <-first; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the one who gave up: error %v, want cancelled, or none if it was too late to", err)
	}
	if n := f.Requests()[tokenRoute]; n > 1 {
		t.Errorf("got %d token requests, want 1 at most", n)
	}
}

func TestTokenAnswersThatHoldNone(t *testing.T) {
	for _, fault := range []ibmfake.Fault{
		{Status: 200, Body: ""},
		{Status: 200, ContentType: "text/html", Body: "<html>sign in</html>"},
		{Status: 200, ContentType: "application/json", Body: `{"access_token":"","expires_in":3600}`},
		{Status: 200, ContentType: "application/json", Body: `{"access_token":7}`},
		{Status: 429},
		{Status: 500},
		{Status: 502, ContentType: "text/html", Body: "<html>"},
		{Status: 302},
		{Cut: true},
		{Status: 404, ContentType: "application/json", Body: `{"errors":[{"code":"not_found"}]}`},
	} {
		f := start(t, ibmfake.Switches{})
		_, secret := f.AddKey(ibmfake.Key{})
		fault.Path = "/identity/token"
		f.AddFault(fault)
		if _, err := f.issuer.Locate(context.Background(), secret); err == nil || meansSomething(err) {
			t.Errorf("%+v: error %v, want unresolved", fault, err)
		}
		f.mustLocate(t, secret)
	}
}

// A token without a life is used for the call that it was fetched for, and not kept.
func TestTokenWithoutLife(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	f.RevokeTokens()
	f.AddFault(ibmfake.Fault{
		Path: "/identity/token", Status: 200, ContentType: "application/json", Body: `{"access_token":"unknown"}`,
	})
	if _, err := f.issuer.Locate(context.Background(), secret); !errors.Is(err, leak.ErrCredential) {
		t.Errorf("error %v, want our own credential refused", err)
	}
	f.mustLocate(t, secret)
}

// A refused token request is about our own key: the leaked one is not looked at for an explanation.
func TestTokenRefusalIsNotAboutTheKey(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{Disabled: true})
	f.mustLocate(t, secret)
	f.RevokeTokens()
	f.AddFault(ibmfake.Fault{Path: "/identity/token", Status: 400})
	if err := f.issuer.Disable(context.Background(), named(id)); !errors.Is(err, leak.ErrCredential) {
		t.Errorf("error %v, want our own credential refused", err)
	}
}

// Whoever asks to wait is heard, whether with 429 or 503.
func TestUnavailableWithRetryAfter(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	_, secret := f.AddKey(ibmfake.Key{})
	f.AddFault(ibmfake.Fault{Status: 503, Header: map[string]string{"Retry-After": "9"}})
	_, err := f.issuer.Locate(context.Background(), secret)
	var throttled *leak.Throttled
	if !errors.As(err, &throttled) || throttled.After != 9*time.Second || meansSomething(err) {
		t.Errorf("error %#v, want to wait 9s", err)
	}
}

// An answer is read to a bound, and what is cut there is not success.
func TestAnswerTooLong(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(t, secret)
	f.AddFault(ibmfake.Fault{
		Path: "/v1/apikeys/details", Status: 200, ContentType: "application/json",
		Body: `{"id":"` + id + `","name":"` + strings.Repeat("a", 1<<20) + `"}`,
	})
	if key, err := f.issuer.Locate(context.Background(), secret); err == nil || meansSomething(err) {
		t.Errorf("located %.80v with error %v, want unresolved", key, err)
	}
}
