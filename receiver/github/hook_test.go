package github_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/github"
	"stanch/receiver/sourcetest"
)

const hookSecret = "a secret of thirty-two bytes, ok"

func TestHookConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Harness{
		Source:    openHook(t, "acme", hookSecret, "another secret of a hook"),
		Single:    true,
		Body:      func(records ...string) []byte { return []byte(records[0]) },
		Found:     hookRepositories,
		Record:    func(token string) string { return happened("created", "acme/"+token, "7") },
		Extended:  extended,
		Bad:       badHooks,
		NotFormat: notHooks,
		Ignored:   ignoredHooks,
		Sign:      func(body []byte) http.Header { return feedfake.GitHubHook(hookSecret, body) },
		Proof:     []string{"X-Hub-Signature-256"},
		Forged:    forgedHooks,
	})
}

// happened writes a small event of secret scanning.
func happened(action, repository, number string) string {
	const form = `{"action":%q,"alert":{"number":%s,"secret_type":"t","updated_at":"2026-05-04T03:02:01Z"},"repository":{"full_name":%q}}`
	return fmt.Sprintf(form, action, number, repository)
}

// extended has a secret, which nobody may read, and what GitHub may think of next.
func extended(token string) string {
	return ` {"new":[{"action":"resolved"}],"action":"created","location":null,` +
		`"alert":{"secret":"other","number":7,"secret_type":null,"new":{"number":8}},` +
		`"repository":{"owner":{"login":"ACME","new":1},"name":"` + token + `","new":null}}` + "\n"
}

// hookRepositories tells the records of the suite apart.
func hookRepositories(parsed receiver.Parsed) []string {
	var found []string
	for _, p := range parsed.Pointers {
		name := strings.TrimSuffix(strings.TrimPrefix(p.Ref, "acme/"), "/7")
		if p.Event == "created" && p.Ref == "acme/"+name+"/7" {
			found = append(found, name)
		}
	}
	return found
}

var badHooks = map[string]string{
	"no alert":            `{"action":"created","repository":{"full_name":"acme/planted-token-4f1c"}}`,
	"alert null":          `{"action":"created","alert":null,"repository":{"full_name":"acme/planted-token-4f1c"}}`,
	"alert a string":      `{"action":"created","alert":"planted-token-4f1c","repository":{"full_name":"acme/a"}}`,
	"alert an array":      `{"action":"created","alert":[{"number":7}],"repository":{"full_name":"acme/planted-token-4f1c"}}`,
	"nothing but a claim": `{"planted-token-4f1c":1}`,
	"no number":           `{"action":"created","alert":{"url":"planted-token-4f1c"},"repository":{"full_name":"acme/a"}}`,
	"number zero":         happened("created", "acme/planted-token-4f1c", "0"),
	"number negative":     happened("created", "acme/planted-token-4f1c", "-7"),
	"number a string":     happened("created", "acme/planted-token-4f1c", `"7"`),
	"number too large":    happened("created", "acme/planted-token-4f1c", "9223372036854775808"),
	"number a fraction":   happened("created", "acme/planted-token-4f1c", "7.5"),
	"no repository":       `{"action":"created","alert":{"number":7,"secret_type":"planted-token-4f1c"}}`,
	"no owner":            `{"action":"created","alert":{"number":7},"repository":{"name":"planted-token-4f1c"}}`,
	"no name":             `{"action":"created","alert":{"number":7},"repository":{"owner":{"login":"acme"},"x":"planted-token-4f1c"}}`,
	"name of another type": `{"action":"created","alert":{"number":7},` +
		`"repository":{"full_name":["acme/a"],"name":7,"owner":{"login":"planted-token-4f1c"}}}`,
	"empty owner":      happened("created", "/planted-token-4f1c", "7"),
	"empty name":       happened("created", "planted-token-4f1c/", "7"),
	"a third part":     happened("created", "acme/planted-token-4f1c/7", "7"),
	"climbs up":        happened("created", "acme/..", `7,"x":"planted-token-4f1c"`),
	"stays":            happened("created", "./planted-token-4f1c", "7"),
	"a blank":          happened("created", "acme/planted-token-4f1c x", "7"),
	"a question":       happened("created", "acme/planted-token-4f1c?x=y", "7"),
	"escaped":          happened("created", "acme/planted-token-4f1c%2f..", "7"),
	"another script":   happened("created", "acme/planted-token-4f1c-é", "7"),
	"not UTF-8":        strings.Replace(happened("created", "acme/planted-token-4f1cX", "7"), "X", "\xff", 1),
	"a zero character": strings.Replace(happened("created", "acme/planted-token-4f1cX", "7"), "X", `\u0000`, 1),
	"too long":         happened("created", "acme/planted-token-4f1c"+strings.Repeat("a", 100), "7"),
	"in a form":        "payload=" + url.QueryEscape(happened("created", "acme/a", "0")) + "&x=planted-token-4f1c",
}

var notHooks = map[string][]byte{
	"nothing":                  nil,
	"blanks":                   []byte(" \r\n"),
	"null":                     []byte("null"),
	"an array":                 []byte("[" + happened("created", "acme/planted-token-4f1c", "7") + "]"),
	"a string":                 []byte(`"planted-token-4f1c"`),
	"a number":                 []byte("7"),
	"not closed":               []byte(`{"action":"planted-token-4f1c"`),
	"text behind":              []byte(happened("created", "acme/planted-token-4f1c", "7") + "planted-token-4f1c"),
	"two objects":              []byte("{}" + happened("created", "acme/planted-token-4f1c", "7")),
	"no comma":                 []byte(`{"action":"created" "alert":{}}`),
	"a byte order mark":        []byte("\ufeff{}"),
	"too deep":                 []byte(`{"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}"),
	"too deep in the alert":    []byte(strings.Repeat(`{"alert":`, 100_000) + strings.Repeat("}", 100_000)),
	"a form with no payload":   []byte("action=created&secret=planted-token-4f1c"),
	"an empty payload":         []byte("payload=&x=planted-token-4f1c"),
	"two payloads":             []byte("payload=%7B%7D&payload=%7B%7D"),
	"two payloads, escaped":    []byte("payload=%7B%7D&%70ayload=%7B%7D"),
	"another case":             []byte("Payload=%7B%7D"),
	"a bad escape":             []byte("payload=%7B%7D%7"),
	"a bad escape beside it":   []byte("payload=%7B%7D&planted-token-4f1c=%zz"),
	"a semicolon":              []byte("payload=%7B%7D;x=planted-token-4f1c"),
	"a payload that is cut":    []byte("payload=%7B%22action%22:%22planted-token-4f1c"),
	"a payload of no object":   []byte("payload=%5B%7B%7D%5D"),
	"an escaped payload":       []byte("payload=%257B%257D"),
	"a payload that is YAML":   []byte("payload=" + url.QueryEscape("action: created\nalert:\n  number: 7\n")),
	"more fields than a form":  []byte(strings.Repeat("a&", 20_000) + "payload=%7B%7D"),
	"a form within a document": []byte(`{"payload=%7B%7D"}`),
}

var ignoredHooks = map[string][]byte{
	"resolved":               []byte(happened("resolved", "acme/planted-token-4f1c", "7")),
	"assigned":               []byte(happened("assigned", "acme/planted-token-4f1c", "7")),
	"unassigned":             []byte(happened("unassigned", "acme/planted-token-4f1c", "7")),
	"revoked":                []byte(happened("revoked", "acme/planted-token-4f1c", "7")),
	"nobody knows":           []byte(happened("planted-token-4f1c", "acme/a", "7")),
	"another case":           []byte(happened("Created", "acme/planted-token-4f1c", "7")),
	"resolved, and unusable": []byte(happened("resolved", "acme/planted-token-4f1c", "0")),
	"another owner":          []byte(happened("created", "planted-token-4f1c/acme", "7")),
	"an owner like ours":     []byte(happened("created", "acme-2/planted-token-4f1c", "7")),
	"another, in a form":     []byte("a=b&payload=" + url.QueryEscape(happened("created", "acme2/planted-token-4f1c", "7"))),
	"location of no alert":   []byte(`{"action":"created","location":{},"alert":{"secret":"planted-token-4f1c"}}`),
	"location deleted":       []byte(strings.Replace(happened("deleted", "acme/planted-token-4f1c", "7"), "{", `{"location":{},`, 1)),
}

var forgedHooks = map[string]func([]byte) http.Header{
	"another secret":  func(body []byte) http.Header { return feedfake.GitHubHook("a secret of thirty-two bytes, no", body) },
	"no secret":       func(body []byte) http.Header { return feedfake.GitHubHook("", body) },
	"of another body": func(body []byte) http.Header { return feedfake.GitHubHook(hookSecret, append(body, ' ')) },
	"SHA-1 alone": func(body []byte) http.Header {
		return http.Header{"X-Hub-Signature": {"sha1=" + sha1Of(body)}}
	},
	"SHA-1 in its place":           resigned(func(_ string, body []byte) []string { return []string{"sha1=" + sha1Of(body)} }),
	"SHA-1 under the name":         resigned(func(_ string, body []byte) []string { return []string{"sha256=" + sha1Of(body)} }),
	"twice":                        resigned(func(good string, _ []byte) []string { return []string{good, good} }),
	"twice in one":                 resigned(func(good string, _ []byte) []string { return []string{good + "," + good} }),
	"a good one behind a bad one":  resigned(func(good string, _ []byte) []string { return []string{"sha256=00", good} }),
	"empty":                        resigned(func(string, []byte) []string { return []string{""} }),
	"the name alone":               resigned(func(string, []byte) []string { return []string{"sha256="} }),
	"without the name":             resigned(func(good string, _ []byte) []string { return []string{good[len("sha256="):]} }),
	"the name in another case":     resigned(func(good string, _ []byte) []string { return []string{"SHA256=" + good[len("sha256="):]} }),
	"the name of another function": resigned(func(good string, _ []byte) []string { return []string{"sha512=" + good[len("sha256="):]} }),
	"a digit short":                resigned(func(good string, _ []byte) []string { return []string{good[:len(good)-1]} }),
	"a byte short":                 resigned(func(good string, _ []byte) []string { return []string{good[:len(good)-2]} }),
	"a byte more":                  resigned(func(good string, _ []byte) []string { return []string{good + "00"} }),
	"no hexadecimal digits":        resigned(func(string, []byte) []string { return []string{"sha256=" + strings.Repeat("z", 64)} }),
	"a blank before":               resigned(func(good string, _ []byte) []string { return []string{" " + good} }),
}

// resigned changes the signature of a good header.
func resigned(change func(good string, body []byte) []string) func([]byte) http.Header {
	return func(body []byte) http.Header {
		header := feedfake.GitHubHook(hookSecret, body)
		header["X-Hub-Signature-256"] = change(header.Get("X-Hub-Signature-256"), body)
		return header
	}
}

func sha1Of(body []byte) string {
	mac := hmac.New(sha1.New, []byte(hookSecret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// TestHookSignatureOfTheGuide takes the one signature that GitHub's guide to webhooks publishes.
func TestHookSignatureOfTheGuide(t *testing.T) {
	source := openHook(t, "acme", "It's a Secret to Everybody")
	const signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	header := http.Header{"X-Hub-Signature-256": {signature}}
	if err := source.Verify(t.Context(), header, []byte("Hello, World!")); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if got := feedfake.GitHubHook("It's a Secret to Everybody", []byte("Hello, World!")).Get("X-Hub-Signature-256"); got != signature {
		t.Errorf("the suite signs with %s, want %s", got, signature)
	}
}

// TestHookRotation: during a rotation both secrets are accepted, in either order; afterwards only the new one.
func TestHookRotation(t *testing.T) {
	const before, after = "the secret before rotation", "the secret after rotation"
	body := []byte("{}")
	for _, row := range []struct {
		secrets  []string
		old, new error
	}{
		{[]string{before}, nil, receiver.ErrUnverified},
		{[]string{before, after}, nil, nil},
		{[]string{after, before}, nil, nil},
		{[]string{after, after}, receiver.ErrUnverified, nil},
		{[]string{after}, receiver.ErrUnverified, nil},
	} {
		source := openHook(t, "acme", row.secrets...)
		if err := source.Verify(t.Context(), feedfake.GitHubHook(before, body), body); !errors.Is(err, row.old) {
			t.Errorf("%q: got %v for the old secret, want %v", row.secrets, err, row.old)
		}
		if err := source.Verify(t.Context(), feedfake.GitHubHook(after, body), body); !errors.Is(err, row.new) {
			t.Errorf("%q: got %v for the new secret, want %v", row.secrets, err, row.new)
		}
	}
}

// openHook makes a source for the hooks of an organisation.
func openHook(tb testing.TB, organization string, secrets ...string) receiver.Source {
	tb.Helper()
	config := github.HookConfig{Organization: organization}
	for i, secret := range secrets {
		path := filepath.Join(tb.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
			tb.Fatal(err)
		}
		config.SecretFiles = append(config.SecretFiles, path)
	}
	source, err := config.Open("gh", nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}
