package github_test

import (
	"context"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/github"
	"stanch/receiver/sourcetest"
)

func TestPartnerConformance(t *testing.T) {
	signer, stranger := newSigner(t), newSigner(t)
	sourcetest.Run(t, sourcetest.Harness{
		Source:    open(t, feedfake.NewKeyServer(signer)),
		Body:      func(records ...string) []byte { return []byte("[" + strings.Join(records, ",") + "]") },
		Found:     sourcetest.Tokens,
		Record:    func(token string) string { return `{"token":"` + token + `","type":"t","url":"","source":"commit"}` },
		Extended:  func(token string) string { return `{"new":[{"x":1}],"token":"` + token + `","new":null}` },
		Bad:       badRecords,
		NotFormat: notFormat,
		Sign:      signer.GitHubHeader,
		Proof:     []string{"Github-Public-Key-Identifier", "Github-Public-Key-Signature"},
		Forged: map[string]func([]byte) http.Header{
			"signed with another key": stranger.GitHubHeader,
			"another key under the published id": func(body []byte) http.Header {
				_, signature := stranger.Sign(body)
				return header(signer.ID(), signature)
			},
			"two signatures": func(body []byte) http.Header {
				h := signer.GitHubHeader(body)
				h.Add("Github-Public-Key-Signature", h.Get("Github-Public-Key-Signature"))
				return h
			},
			"not base64":       func([]byte) http.Header { return header(signer.ID(), "fakesignature") },
			"not DER":          func([]byte) http.Header { return header(signer.ID(), "YmFkIHNpZ25hdHVyZQ==") },
			"bytes behind DER": func(body []byte) http.Header { return appended(signer, body) },
			"r and s are zero": func([]byte) http.Header { return header(signer.ID(), "MAYCAQACAQA=") },
			"empty signature":  func([]byte) http.Header { return header(signer.ID(), "") },
			"key id too long": func(body []byte) http.Header {
				_, signature := signer.Sign(body)
				return header(strings.Repeat("a", 10_000), signature)
			},
		},
	})
}

var badRecords = map[string]string{
	"a string":              `"planted-token-4f1c"`,
	"an array":              `["planted-token-4f1c"]`,
	"null":                  `null`,
	"token missing":         `{"url":"planted-token-4f1c"}`,
	"token empty":           `{"token":"","url":"planted-token-4f1c"}`,
	"token null":            `{"token":null,"url":"planted-token-4f1c"}`,
	"token of another type": `{"token":["planted-token-4f1c"]}`,
	"url of another type":   `{"token":"planted-token-4f1c","url":7}`,
	"token twice":           `{"token":"planted-token-4f1c","token":"other"}`,
	"type twice":            `{"token":"planted-token-4f1c","type":"a","type":"a"}`,
	"token twice, escaped":  `{"token":"planted-token-4f1c","\u0074oken":"other"}`,
	"bad UTF-8":             "{\"token\":\"planted-token-4f1c\xff\"}",
	"half a surrogate":      `{"token":"planted-token-4f1c\ud800"}`,
	"a zero character":      `{"token":"planted-token-4f1c\u0000"}`,
	"another case":          `{"Token":"planted-token-4f1c"}`,
}

var notFormat = map[string][]byte{
	"nothing":           nil,
	"blanks":            []byte(" \n"),
	"null":              []byte("null"),
	"an object":         []byte(`{"token":"planted-token-4f1c"}`),
	"a string":          []byte(`"planted-token-4f1c"`),
	"a form":            []byte("token=planted-token-4f1c"),
	"not closed":        []byte(`[{"token":"planted-token-4f1c"}`),
	"broken off":        []byte(`[{"token":"planted-token-4f1c`),
	"comma at the end":  []byte(`[{"token":"planted-token-4f1c"},]`),
	"no comma":          []byte(`[{"token":"planted-token-4f1c"}{"token":"b"}]`),
	"wrong bracket":     []byte(`[{"token":"planted-token-4f1c"}}`),
	"text behind":       []byte(`[{"token":"planted-token-4f1c"}] planted-token-4f1c`),
	"array behind":      []byte(`[][]`),
	"too deep":          []byte(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)),
	"a byte order mark": []byte("\ufeff[]"),
}

func TestPartnerSamples(t *testing.T) {
	source := open(t, documentServer(t))
	for _, row := range []struct {
		name, id, signature, body string
		want                      error
		token                     string
	}{
		{"GitHub's sample", idNow, signatureNow, bodyNow, nil, "some_token"},
		{"its sample of 2022", id2022, signature2022, body2022, nil, "some_token"},
		{"another body", id2022, signature2022, `[{"token":"nope"}]`, receiver.ErrUnverified, ""},
		{"signature of the other sample", idNow, signature2022, bodyNow, receiver.ErrUnverified, ""},
		{"key of the other sample", id2022, signatureNow, bodyNow, receiver.ErrUnverified, ""},
		{"not base64", idNow, "fakesignature", bodyNow, receiver.ErrUnverified, ""},
		{"base64, but not DER", idNow, "YmFkIHNpZ25hdHVyZQ==", bodyNow, receiver.ErrUnverified, ""},
		{"unknown key id", strings.Repeat("0", 64), signatureNow, bodyNow, receiver.ErrUnverified, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := header(row.id, row.signature)
			if err := source.Verify(t.Context(), h, []byte(row.body)); !errors.Is(err, row.want) {
				t.Fatalf("got %v, want %v", err, row.want)
			}
			if row.want != nil {
				return
			}
			parsed, err := source.Parse(h, []byte(row.body))
			if err != nil || len(parsed.Found) != 1 || parsed.Found[0].Secret.Reveal() != row.token {
				t.Errorf("got %d records and %v, want the token %s", len(parsed.Found), err, row.token)
			}
		})
	}
}

// TestPartnerMalleable shows why a signature must not identify a delivery: anybody can write the same signature in another
// way.
func TestPartnerMalleable(t *testing.T) {
	source := open(t, documentServer(t))
	der, err := base64.StdEncoding.DecodeString(signatureNow)
	if err != nil {
		t.Fatal(err)
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		t.Fatal(err)
	}
	pair.S.Sub(elliptic.P256().Params().N, pair.S)
	if der, err = asn1.Marshal(pair); err != nil {
		t.Fatal(err)
	}
	h := header(idNow, base64.StdEncoding.EncodeToString(der))
	if err := source.Verify(t.Context(), h, []byte(bodyNow)); err != nil {
		t.Errorf("got %v for (r, n-s), want nil", err)
	}
}

func TestPartnerRecords(t *testing.T) {
	source := open(t, documentServer(t))
	body := `[{"token":"nope"},
		{"token":"k\u00e9y\n","type":"swapped","url":"https://example.com/x?y","source":"Pull_Request_TITLE"},
		{"token":"nulls","type":null,"url":null,"source":null},
		{"token":"from the future","source":"Moon_Base"}]`
	parsed, err := source.Parse(http.Header{}, []byte(body))
	if err != nil {
		t.Fatalf("got %v, want nil", err)
	}
	want := [][4]string{
		{"nope", "", "", ""},
		{"kéy\n", "swapped", "https://example.com/x?y", "pull_request_title"},
		{"nulls", "", "", ""},
		{"from the future", "", "", "moon_base"},
	}
	if len(parsed.Found) != len(want) || len(parsed.Bad) != 0 {
		t.Fatalf("got %d records and %d bad ones, want %d", len(parsed.Found), len(parsed.Bad), len(want))
	}
	for i, c := range parsed.Found {
		if got := [4]string{c.Secret.Reveal(), c.Type, c.URL, c.Place}; got != want[i] {
			t.Errorf("record %d: got %q, want %q", i, got, want[i])
		}
	}
}

func TestPartnerRecordsWithoutEnd(t *testing.T) {
	source := open(t, documentServer(t))
	body := "[" + strings.Repeat("0,", receiver.MaxRecords) + "0]"
	if _, err := source.Parse(http.Header{}, []byte(body)); !errors.Is(err, receiver.ErrTooMany) {
		t.Errorf("got %v for one record more than MaxRecords, want ErrTooMany", err)
	}
}

// TestPartnerRuns checks that the source fetches its keys by itself while it is served, and stops when its context ends.
func TestPartnerRuns(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	source := open(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	if err := source.(receiver.Runner).Run(ctx); err != nil {
		t.Errorf("got %v from Run, want nil", err)
	}
}

func appended(signer *feedfake.Signer, body []byte) http.Header {
	_, signature := signer.Sign(body)
	der, _ := base64.StdEncoding.DecodeString(signature) // our own encoding
	return header(signer.ID(), base64.StdEncoding.EncodeToString(append(der, 0)))
}

func newSigner(tb testing.TB) *feedfake.Signer {
	tb.Helper()
	signer, err := feedfake.NewSigner()
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// documentServer publishes the keys of GitHub's samples.
func documentServer(tb testing.TB) *feedfake.KeyServer {
	tb.Helper()
	document, err := json.Marshal(map[string]any{"public_keys": []any{
		map[string]any{"key_identifier": id2022, "key": key2022, "is_current": false},
		map[string]any{"key_identifier": idNow, "key": keyNow, "is_current": true},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	server := feedfake.NewKeyServer()
	server.Publish(document)
	return server
}

// open makes a partner source that asks this key server.
func open(tb testing.TB, keys http.Handler) receiver.Source {
	tb.Helper()
	server := httptest.NewServer(keys)
	tb.Cleanup(server.Close)
	config := github.PartnerConfig{KeysURL: server.URL}
	source, err := config.Open("gh", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	return source
}
