package ibmcloud_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// TestMadeBy lists what the owner of a key made, keys and service IDs, and nobody else, since a time.
func TestMadeBy(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	const owner = "iam-ServiceId-7"
	id, secret := f.AddKey(ibmfake.Key{Name: "leaked", IAMID: owner, CreatedBy: owner})
	for n := range 3 {
		f.AddKey(ibmfake.Key{Name: fmt.Sprintf("stranger-%d", n), IAMID: owner})
		f.AddKey(ibmfake.Key{Name: fmt.Sprintf("evil-%d", n), IAMID: "IBMid-1", CreatedBy: "ServiceId-7"})
	}
	f.MakeServiceID("evil-id", "", owner)
	f.MakeServiceID("stranger-id", "", "IBMid-1")
	key := f.mustLocate(t, secret)
	tracer := f.issuer.(dispositions.Tracer)
	made, err := tracer.MadeBy(context.Background(), key, time.Now().Add(-time.Hour))
	if err != nil || len(made) != 4 {
		t.Fatalf("got %+v, %v; want four", made, err)
	}
	for _, m := range made {
		kind := "API key"
		if m.Name == "evil-id" {
			kind = "service ID"
		}
		if !strings.HasPrefix(m.Name, "evil-") || m.ID == id || m.Kind != kind || m.At.IsZero() {
			t.Errorf("got %+v", m)
		}
	}
	if made, err := tracer.MadeBy(context.Background(), key, time.Now().Add(time.Hour)); err != nil || len(made) != 0 {
		t.Errorf("got %+v, %v of the future", made, err)
	}
	f.AddFault(ibmfake.Fault{Path: "/v1/apikeys", Status: http.StatusBadGateway, Body: "<html>planted"})
	if _, err := tracer.MadeBy(context.Background(), key, time.Time{}); err == nil || strings.Contains(err.Error(), "planted") {
		t.Errorf("got %v", err)
	}
}

// TestActivity counts sign-ins with a key.
func TestActivity(t *testing.T) {
	f := start(t, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{Name: "leaked"})
	watcher := f.issuer.(dispositions.Watcher)
	for want := range int64(3) {
		used, err := watcher.Activity(context.Background(), named(id))
		if err != nil || !used.Known || used.Count != want || used.LastAt.IsZero() != (want == 0) {
			t.Errorf("got %+v, %v; want %d sign-ins", used, err, want)
		}
		if used := f.mustLocate(t, secret).Used; used.Count != want || !used.Known {
			t.Errorf("located with %+v, want %d sign-ins", used, want)
		}
		f.signIn(t, secret)
	}
	if _, err := watcher.Activity(context.Background(), named("..")); err == nil {
		t.Error("an id that climbs a path is asked for")
	}
}

// signIn gets a token, as whoever found the key does.
func (f *iam) signIn(t *testing.T, secret leak.Secret) {
	t.Helper()
	response, err := http.PostForm(f.URL()+"/identity/token", url.Values{
		"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {secret.Reveal()},
	})
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("signing in: %v", err)
	}
	_ = response.Body.Close()
}
