package gitlab_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"stanch/receiver"
	"stanch/receiver/gitlab"
	"stanch/receiver/sourcetest"
)

const (
	revocationToken = "a-token-of-the-revocation-api"
	ibmType         = "gitleaks_rule_id_ibm_cloud_iam_key"
)

func TestRevocationConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Harness{
		Source:     openRevocation(t, revocationToken, "another-token"),
		Body:       array,
		Found:      sourcetest.Tokens,
		Record:     func(token string) string { return `{"type":"t","token":"` + token + `","location":"l"}` },
		Extended:   func(token string) string { return `{"vulnerability":{"id":7},"token":"` + token + `","url":7}` },
		Bad:        badRecords("location"),
		NotFormat:  notFormat,
		Sign:       func([]byte) http.Header { return authorization(revocationToken) },
		Proof:      []string{"Authorization"},
		SenderOnly: true,
		Forged: map[string]func([]byte) http.Header{
			"another token":         authorized("a-token-of-the-revocation-apj"),
			"planted":               authorized(planted),
			"empty":                 authorized(""),
			"shorter":               authorized(revocationToken[1:]),
			"longer":                authorized(revocationToken + "x"),
			"with a scheme":         authorized("Bearer " + revocationToken),
			"in another case":       authorized(strings.ToUpper(revocationToken)),
			"two":                   authorized(revocationToken, revocationToken),
			"a good one and a bad":  authorized(revocationToken, planted),
			"in a field of its own": func([]byte) http.Header { return http.Header{"X-Gitlab-Token": {revocationToken}} },
		},
	})
}

func authorization(tokens ...string) http.Header { return http.Header{"Authorization": tokens} }

func authorized(tokens ...string) func([]byte) http.Header {
	return func([]byte) http.Header { return authorization(tokens...) }
}

// TestRevocationRecords reads the request in GitLab's documentation.
func TestRevocationRecords(t *testing.T) {
	source := openRevocation(t, revocationToken)
	parsed, err := source.Parse(http.Header{}, []byte(`[{
		"type": "gitleaks_rule_id_ibm_cloud_iam_key", "token": "first",
		"location": "https://example.com/some-repo/blob/0a1b/file1.java"
	}, {"type": "gitleaks_rule_id_nobody_asked_for", "token": "second", "location": null, "vulnerability": [7]}]`))
	if err != nil || len(parsed.Found) != 2 || len(parsed.Bad) != 0 {
		t.Fatalf("got %d records, %d bad ones and %v, want 2", len(parsed.Found), len(parsed.Bad), err)
	}
	want := [][4]string{
		{"first", ibmType, "https://example.com/some-repo/blob/0a1b/file1.java", ""},
		{"second", "gitleaks_rule_id_nobody_asked_for", "", ""},
	}
	for i, c := range parsed.Found {
		if got := [4]string{c.Secret.Reveal(), c.Type, c.URL, c.Place}; got != want[i] {
			t.Errorf("record %d: got %q, want %q", i, got, want[i])
		}
	}
}

func TestRevocationPaths(t *testing.T) {
	paths := openRevocation(t, revocationToken).(receiver.Pather).Paths()
	if got, want := paths["v1/revocable_token_types"], `{"types":["`+ibmType+`","gitleaks_rule_id_aws"]}`; got != want {
		t.Errorf("got the types %s, want %s", got, want)
	}
	if document, ok := paths["v1/revoke_tokens"]; !ok || document != "" || len(paths) != 2 {
		t.Errorf("got the paths %q, want one more, which takes tokens", paths)
	}
}

// TestRevocationRotation: during a rotation both tokens are accepted; afterwards only the new one.
func TestRevocationRotation(t *testing.T) {
	const before, after = "the-token-before", "the-token-after"
	for _, row := range []struct {
		tokens   []string
		old, new error
	}{
		{[]string{before}, nil, receiver.ErrUnverified},
		{[]string{before, after}, nil, nil},
		{[]string{after, before}, nil, nil},
		{[]string{after, after}, receiver.ErrUnverified, nil},
	} {
		source := openRevocation(t, row.tokens...)
		if err := source.Admit(authorization(before)); !errors.Is(err, row.old) {
			t.Errorf("%q: got %v for the old token, want %v", row.tokens, err, row.old)
		}
		if err := source.Admit(authorization(after)); !errors.Is(err, row.new) {
			t.Errorf("%q: got %v for the new token, want %v", row.tokens, err, row.new)
		}
	}
}

func TestRevocationConfigCheck(t *testing.T) {
	files := writeFiles(t, "good\n", " \n", "planted-token-4f1c\nplanted-token-4f1c\n")
	good, types := files[:1], []string{ibmType}
	for name, row := range map[string]struct {
		config gitlab.RevocationConfig
		want   []string
	}{
		"smallest":       {gitlab.RevocationConfig{TokenFiles: good, Types: types}, nil},
		"nothing":        {gitlab.RevocationConfig{}, []string{"token_files", "types"}},
		"no types":       {gitlab.RevocationConfig{TokenFiles: good, Types: []string{}}, []string{"types"}},
		"an empty type":  {gitlab.RevocationConfig{TokenFiles: good, Types: []string{ibmType, ""}}, []string{"types[1]"}},
		"upper case":     {gitlab.RevocationConfig{TokenFiles: good, Types: []string{"gitleaks_rule_id_AWS"}}, []string{"types[0]"}},
		"blanks":         {gitlab.RevocationConfig{TokenFiles: good, Types: []string{"gitleaks_rule_id_planted-token-4f1c x"}}, []string{"types[0]"}},
		"an empty token": {gitlab.RevocationConfig{TokenFiles: files[:2], Types: types}, []string{"token_files[1]"}},
		"two lines":      {gitlab.RevocationConfig{TokenFiles: files[2:], Types: types}, []string{"token_files[0]"}},
		"no such file":   {gitlab.RevocationConfig{TokenFiles: []string{"planted-token-4f1c"}, Types: types}, []string{"token_files[0]"}},
	} {
		wantFaults(t, name, &row.config, row.want)
	}
}

func TestRevocationOpenReadsTokens(t *testing.T) {
	files := writeFiles(t, "good\n", "planted-token-4f1c planted-token-4f1c\n")
	config := gitlab.RevocationConfig{TokenFiles: files, Types: []string{ibmType}}
	if _, err := config.Open("gl", nil, nil); err == nil || strings.Contains(err.Error(), planted) {
		t.Errorf("got %v from Open, want an error without the token", err)
	}
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Open("gl", nil, nil); err == nil || strings.Contains(err.Error(), files[1]) {
		t.Errorf("got %v from Open without a file, want an error without its path", err)
	}
}

// openRevocation makes a source with these tokens.
func openRevocation(tb testing.TB, tokens ...string) receiver.Source {
	tb.Helper()
	config := gitlab.RevocationConfig{TokenFiles: writeFiles(tb, tokens...), Types: []string{ibmType, "gitleaks_rule_id_aws"}}
	source, err := config.Open("gl", nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}
