package ibmcloud_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// BenchmarkContain is a lookup with last use, a disable and the proof through the adapter: four calls.
func BenchmarkContain(b *testing.B) {
	f := start(b, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{})
	f.mustLocate(b, secret)
	for b.Loop() {
		f.mustLocate(b, secret)
		if err := f.issuer.Disable(context.Background(), named(id)); err != nil {
			b.Fatal(err)
		}
		if key := f.mustRead(b, id); !key.Disabled {
			b.Fatal("not disabled")
		}
		b.StopTimer()
		f.Act("enable", id)
		b.StartTimer()
	}
}

// BenchmarkBareCalls is the baseline: the same four calls with net/http alone, whose answers are read and not parsed.
func BenchmarkBareCalls(b *testing.B) {
	f := start(b, ibmfake.Switches{})
	id, secret := f.AddKey(ibmfake.Key{})
	token := f.bareToken(b)
	for b.Loop() {
		f.bare(b, token, "GET", "/v1/apikeys/details", secret)
		f.bare(b, token, "GET", "/v1/apikeys/"+id+"?include_activity=true", leak.Secret{})
		f.bare(b, token, "POST", "/v1/apikeys/"+id+"/disable", leak.Secret{})
		f.bare(b, token, "GET", "/v1/apikeys/"+id, leak.Secret{})
		b.StopTimer()
		f.Act("enable", id)
		b.StartTimer()
	}
}

// bareToken exchanges our own key for a token.
func (f *iam) bareToken(b *testing.B) string {
	b.Helper()
	response, err := http.PostForm(f.URL()+"/identity/token", map[string][]string{
		"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {f.own.Reveal()},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		b.Fatal(err)
	}
	return answer.AccessToken
}

func (f *iam) bare(b *testing.B, token, method, path string, secret leak.Secret) {
	request, err := http.NewRequest(method, f.URL()+path, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if !secret.Empty() {
		request.Header.Set("IAM-ApiKey", secret.Reveal())
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode >= 300 {
		b.Fatalf("%s %s answers %d", method, path, response.StatusCode)
	}
}
