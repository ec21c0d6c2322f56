package gitlab_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/gitlab"
	"stanch/receiver/sourcetest"
)

func TestPartnerConformance(t *testing.T) {
	signer, stranger := newSigner(t), newSigner(t)
	sourcetest.Run(t, sourcetest.Harness{
		Source:    openPartner(t, feedfake.NewKeyServer(signer)),
		Body:      array,
		Found:     sourcetest.Tokens,
		Record:    func(token string) string { return `{"type":"t","token":"` + token + `","url":"u"}` },
		Extended:  func(token string) string { return `{"new":[{"x":1}],"token":"` + token + `","source":7}` },
		Bad:       badRecords("url"),
		NotFormat: notFormat,
		Sign:      signer.GitLabHeader,
		Proof:     []string{"Gitlab-Public-Key-Identifier", "Gitlab-Public-Key-Signature"},
		Forged: map[string]func([]byte) http.Header{
			"signed with another key":   stranger.GitLabHeader,
			"the header is of GitHub's": signer.GitHubHeader,
			"another key under the published id": func(body []byte) http.Header {
				_, signature := stranger.Sign(body)
				return partnerHeader(signer.ID(), signature)
			},
			"two key ids": func(body []byte) http.Header {
				h := signer.GitLabHeader(body)
				h.Add("Gitlab-Public-Key-Identifier", signer.ID())
				return h
			},
			"not base64":       func([]byte) http.Header { return partnerHeader(signer.ID(), "fakesignature") },
			"not DER":          func([]byte) http.Header { return partnerHeader(signer.ID(), "YmFkIHNpZ25hdHVyZQ==") },
			"r and s are zero": func([]byte) http.Header { return partnerHeader(signer.ID(), "MAYCAQACAQA=") },
			"unknown key id": func(body []byte) http.Header {
				_, signature := signer.Sign(body)
				return partnerHeader(strings.Repeat("0", 40), signature)
			},
		},
	})
}

// TestPartnerRecords reads the request in GitLab's documentation, and one with more fields than we ask for.
func TestPartnerRecords(t *testing.T) {
	source := openPartner(t, http.NotFoundHandler())
	parsed, err := source.Parse(http.Header{}, []byte(`[
		{"type": "my_api_token", "token": "first", "url": "https://example.com/some-repo/-/raw/0a1b/file1.java"},
		{"token": "second", "type": null, "source": "commit", "location": "l"}]`))
	if err != nil || len(parsed.Found) != 2 || len(parsed.Bad) != 0 {
		t.Fatalf("got %d records, %d bad ones and %v, want 2", len(parsed.Found), len(parsed.Bad), err)
	}
	want := [][4]string{
		{"first", "my_api_token", "https://example.com/some-repo/-/raw/0a1b/file1.java", ""},
		{"second", "", "", ""},
	}
	for i, c := range parsed.Found {
		if got := [4]string{c.Secret.Reveal(), c.Type, c.URL, c.Place}; got != want[i] {
			t.Errorf("record %d: got %q, want %q", i, got, want[i])
		}
	}
}

// TestPartnerKeepsKeys: the source can be run to fetch its keys, and examined.
func TestPartnerKeepsKeys(t *testing.T) {
	signer := newSigner(t)
	source := openPartner(t, feedfake.NewKeyServer(signer))
	if _, ok := source.(receiver.Starter); !ok {
		t.Error("the source is no Starter")
	}
	examiner, ok := source.(receiver.Examiner)
	if !ok {
		t.Fatal("the source is no Examiner")
	}
	if found := examiner.Examine(t.Context()); len(found) == 0 || found[0].Result != "ok" {
		t.Errorf("got %v of a good key server", found)
	}
}

func TestPartnerConfigCheck(t *testing.T) {
	for name, row := range map[string]struct {
		url  string
		want []string
	}{
		"good":           {"https://gitlab.example.com/keys?x=1", nil},
		"this machine":   {"http://127.0.0.1:1/keys", nil},
		"nothing":        {"", []string{"keys_url"}},
		"http elsewhere": {"http://example.com/planted-token-4f1c", []string{"keys_url"}},
		"a path":         {"/planted-token-4f1c", []string{"keys_url"}},
		"a password":     {"https://u:planted-token-4f1c@example.com/", []string{"keys_url"}},
	} {
		wantFaults(t, name, &gitlab.PartnerConfig{KeysURL: row.url}, row.want)
	}
}

func openPartner(tb testing.TB, keys http.Handler) receiver.Source {
	tb.Helper()
	server := httptest.NewServer(keys)
	tb.Cleanup(server.Close)
	config := gitlab.PartnerConfig{KeysURL: server.URL}
	source, err := config.Open("gl", nil, prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

func newSigner(tb testing.TB) *feedfake.Signer {
	tb.Helper()
	signer, err := feedfake.NewSigner()
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

func partnerHeader(id, signature string) http.Header {
	h := http.Header{}
	h.Set("Gitlab-Public-Key-Identifier", id)
	h.Set("Gitlab-Public-Key-Signature", signature)
	return h
}
