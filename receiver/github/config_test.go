package github_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/github"
)

func TestPartnerConfigCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, row := range []struct {
		name   string
		config github.PartnerConfig
		want   []string
	}{
		{"zero", github.PartnerConfig{}, nil},
		{"all given", github.PartnerConfig{
			KeysURL: "https://ghe.example.com/keys?x=1", KeysTokenFile: write("good", "planted-token\n"), Feedback: "none",
		}, nil},
		{"http here", github.PartnerConfig{KeysURL: "http://127.0.0.1:1/keys"}, nil},
		{"http to localhost", github.PartnerConfig{KeysURL: "http://localhost:1/keys"}, nil},
		{"http elsewhere", github.PartnerConfig{KeysURL: "http://example.com/keys?planted-token"}, []string{"keys_url"}},
		{"a path", github.PartnerConfig{KeysURL: "/keys"}, []string{"keys_url"}},
		{"no host", github.PartnerConfig{KeysURL: "https://:443/keys"}, []string{"keys_url"}},
		{"not a URL", github.PartnerConfig{KeysURL: "https://planted-token\x7f"}, []string{"keys_url"}},
		{"a password", github.PartnerConfig{KeysURL: "https://u:planted-token@example.com/"}, []string{"keys_url"}},
		{"no such file", github.PartnerConfig{KeysTokenFile: filepath.Join(dir, "none")}, []string{"keys_token_file"}},
		{"empty file", github.PartnerConfig{KeysTokenFile: write("empty", " \n")}, []string{"keys_token_file"}},
		{"two lines", github.PartnerConfig{KeysTokenFile: write("two", "planted-token\nb\n")}, []string{"keys_token_file"}},
		{"feedback by hash", github.PartnerConfig{Feedback: "token_hash"}, nil},
		{"feedback by token", github.PartnerConfig{Feedback: "token_raw"}, nil},
		{"feedback never", github.PartnerConfig{Feedback: "planted-token"}, []string{"feedback"}},
		{
			"every fault",
			github.PartnerConfig{KeysURL: "x", KeysTokenFile: dir, Feedback: "x"},
			[]string{"keys_url", "keys_token_file", "feedback"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			row.config.Check(func(field, problem string) {
				got = append(got, field)
				if problem == "" || strings.Contains(problem, "planted-token") {
					t.Errorf("got the problem %q, want one that holds nothing secret", problem)
				}
			})
			if !slices.Equal(got, row.want) {
				t.Errorf("got faults in %q, want %q", got, row.want)
			}
		})
	}
}

// TestPartnerToken checks that the token goes to the key server, and that a missing file is an error at the start.
func TestPartnerToken(t *testing.T) {
	signer := newSigner(t)
	keys := feedfake.NewKeyServer(signer)
	server := httptest.NewServer(keys)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "token")
	config := github.PartnerConfig{KeysURL: server.URL, KeysTokenFile: path}
	if _, err := config.Open("gh", nil, nil); err == nil {
		t.Error("got no error from Open without the token file")
	}
	if err := os.WriteFile(path, []byte("our-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := config.Open("gh", nil, nil)
	if err != nil {
		t.Fatalf("got %v from Open, want nil", err)
	}
	if err := source.Verify(t.Context(), signer.GitHubHeader(nil), nil); err != nil {
		t.Errorf("got %v from Verify, want nil", err)
	}
	if got := keys.Requests()[0].Header.Get("Authorization"); got != "Bearer our-token" {
		t.Errorf("got the authorization %q, want the token of the file", got)
	}
	if _, ok := source.(receiver.Runner); !ok {
		t.Error("the source does not keep its keys fresh: it is no Runner")
	}
}

func TestPartnerAdmitsBeforeTheBody(t *testing.T) {
	source := open(t, http.NotFoundHandler())
	if err := source.Admit(header(idNow, signatureNow)); err != nil {
		t.Errorf("got %v for a header that may prove something, want nil", err)
	}
}
