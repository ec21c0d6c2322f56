package publickeys_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/publickeys"
)

// TestKeyDocumentNotUsable checks that an answer without a usable key never replaces good keys.
func TestKeyDocumentNotUsable(t *testing.T) {
	signer := newSigner(t)
	for name, document := range notUsable(t) {
		t.Run(name, func(t *testing.T) {
			server := feedfake.NewKeyServer(signer)
			keys := newKeys(t, server)
			refresh(t, keys)
			server.Publish([]byte(document))
			err := keys.Refresh(t.Context())
			if err == nil || strings.Contains(err.Error(), "planted") {
				t.Errorf("got %v, want an error that holds nothing of the document", err)
			}
			wantVerify(t, keys, signer, nil)
		})
	}
}

// TestKeyDocumentBrokenEntries checks that broken entries do not cost the good ones.
func TestKeyDocumentBrokenEntries(t *testing.T) {
	signer := newSigner(t)
	good := goodEntry(t, signer)
	for name, entry := range brokenEntries(t, signer) {
		server := feedfake.NewKeyServer()
		server.Publish([]byte(`{"public_keys":[` + entry + "," + good + "," + entry + `]}`))
		keys := newKeys(t, server)
		if err := keys.Refresh(t.Context()); err != nil {
			t.Errorf("%s: got %v, want nil", name, err)
		}
		wantVerify(t, keys, signer, nil)
	}
}

func TestKeyServerAnswers(t *testing.T) {
	signer := newSigner(t)
	for _, status := range []int{204, 304, 403, 404, 429, 500} {
		keys := newKeys(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if err := keys.Refresh(t.Context()); err == nil {
			t.Errorf("got no error for the status %d", status)
		}
		wantVerify(t, keys, signer, receiver.ErrUnavailable)
	}
}

// FuzzDocument checks that no document breaks the keys that were there, and that none is trusted in part.
func FuzzDocument(f *testing.F) {
	signer, err := feedfake.NewSigner()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"public_keys":[]}`))
	f.Add(feedfake.Document(signer))
	for _, document := range notUsable(f) {
		f.Add([]byte(document[:min(len(document), 4096)]))
	}
	for _, entry := range brokenEntries(f, signer) {
		f.Add([]byte(`{"public_keys":[` + entry + `]}`))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		server := feedfake.NewKeyServer(signer)
		keys := newKeysWith(t, publickeys.Config{Transport: inProcess(server)})
		refresh(t, keys)
		server.Publish(document)
		refreshed := keys.Refresh(t.Context())
		id, signature := signer.Sign(body)
		err := keys.Verify(t.Context(), id, signature, body)
		if refreshed != nil && err != nil {
			t.Errorf("a document that was refused (%v) cost the good key: %v", refreshed, err)
		}
		if err != nil && !errors.Is(err, receiver.ErrUnverified) {
			t.Errorf("got %v with a fresh document, want receiver.ErrUnverified", err)
		}
	})
}

func notUsable(tb testing.TB) map[string]string {
	tb.Helper()
	return map[string]string{
		"empty":         "",
		"no JSON":       "<html>planted</html>",
		"null":          "null",
		"an array":      `["planted"]`,
		"no list":       `{}`,
		"an empty list": `{"public_keys":[]}`,
		"another type":  `{"public_keys":"planted"}`,
		"only broken":   `{"public_keys":[{"key_identifier":"planted","key":"planted","is_current":true}]}`,
		"too large":     `{"public_keys":[` + goodEntry(tb, newSigner(tb)) + `],"x":"` + strings.Repeat("x", 1<<20) + `"}`,
	}
}

func brokenEntries(tb testing.TB, signer *feedfake.Signer) map[string]string {
	tb.Helper()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]string{
		"null":            `null`,
		"a string":        `"x"`,
		"no id":           strings.Replace(goodEntry(tb, signer), signer.ID(), "", 1),
		"id no string":    `{"key_identifier":7,"key":""}`,
		"no PEM":          entry(tb, "x", "MFkw"),
		"PEM of no key":   entry(tb, "x", encode([]byte("nothing"))),
		"another curve":   entry(tb, signer.ID(), encodeKey(tb, p384.Public())),
		"another kind":    entry(tb, signer.ID(), encodeKey(tb, edwards)),
		"current no bool": `{"key_identifier":"x","key":"y","is_current":"yes"}`,
	}
}

func goodEntry(tb testing.TB, signer *feedfake.Signer) string {
	tb.Helper()
	var list struct {
		Keys []json.RawMessage `json:"public_keys"`
	}
	if err := json.Unmarshal(feedfake.Document(signer), &list); err != nil {
		tb.Fatal(err)
	}
	return string(list.Keys[0])
}

func entry(tb testing.TB, id, key string) string {
	tb.Helper()
	quoted, err := json.Marshal(key)
	if err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf(`{"key_identifier":%q,"key":%s}`, id, quoted)
}

func encodeKey(tb testing.TB, public any) string {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return encode(der)
}

func encode(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
