package ibmcloud_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"stanch/dispositions/ibmcloud"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// inProcess sends requests to a handler without a network, which would keep time from passing.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// clock is a source of tokens in a bubble of time.
type clock struct {
	*ibmfake.Fake
	get func(context.Context) (leak.Secret, error)
}

func inBubble(t *testing.T, test func(t *testing.T, c clock)) {
	synctest.Test(t, func(t *testing.T) {
		fake := ibmfake.New(ibmfake.Options{})
		_, key := fake.AddKey(ibmfake.Key{})
		test(t, clock{Fake: fake, get: ibmcloud.Tokens(key, inProcess{fake})})
	})
}

// at returns the token that is handed out after a while, once what that sets off has ended.
func (c clock) at(t *testing.T, later time.Duration) string {
	t.Helper()
	time.Sleep(later)
	token, err := c.get(t.Context())
	if err != nil {
		t.Fatalf("after %v: %v", later, err)
	}
	synctest.Wait()
	return token.Reveal()
}

func TestTokenIsRenewedInGoodTime(t *testing.T) {
	inBubble(t, func(t *testing.T, c clock) {
		first := c.at(t, 0)
		if c.at(t, 47*time.Minute) != first || c.Requests()[tokenRoute] != 1 {
			t.Error("renewed before four fifths of its life")
		}
		if c.at(t, 2*time.Minute) != first || c.Requests()[tokenRoute] != 2 {
			t.Error("not renewed after four fifths of its life, while the old one is used")
		}
		if second := c.at(t, time.Second); second == first {
			t.Error("the new token is not used")
		}
	})
}

func TestTokenOutlivesAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, c clock) {
		first := c.at(t, 0)
		c.AddFault(ibmfake.Fault{Status: 500, Times: ibmfake.Forever})
		for range 10 {
			if c.at(t, 50*time.Second+49*time.Minute/10) != first {
				t.Fatal("the token changed during an outage")
			}
		}
		time.Sleep(2 * time.Minute)
		if _, err := c.get(t.Context()); err == nil {
			t.Error("an expired token is handed out")
		}
		c.ClearFaults()
		if c.at(t, 0) == first {
			t.Error("an expired token is handed out")
		}
	})
}

// One try a minute, however many ask.
func TestTokenRenewalIsNotHurried(t *testing.T) {
	inBubble(t, func(t *testing.T, c clock) {
		c.at(t, 0)
		c.AddFault(ibmfake.Fault{Status: 500, Times: ibmfake.Forever})
		c.at(t, 49*time.Minute)
		for range 59 {
			c.at(t, time.Second)
		}
		if n := c.Requests()[tokenRoute]; n != 2 {
			t.Errorf("got %d token requests, want 2", n)
		}
	})
}
