package feedfake_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"stanch/receiver/feedfake"
	"stanch/receiver/leak"
)

// published reads the key document of a partner's server.
func published(t *testing.T, p *feedfake.GitLabPartner) map[string]*ecdsa.PublicKey {
	t.Helper()
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	var document struct {
		Keys []struct {
			ID      string `json:"key_identifier"`
			PEM     string `json:"key"`
			Current bool   `json:"is_current"`
		} `json:"public_keys"`
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	keys := map[string]*ecdsa.PublicKey{}
	for i, key := range document.Keys {
		block, _ := pem.Decode([]byte(key.PEM))
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil || len(key.ID) != 40 || key.Current != (i == len(document.Keys)-1) {
			t.Fatalf("key %d: %v", i, err)
		}
		keys[key.ID] = parsed.(*ecdsa.PublicKey)
	}
	return keys
}

func TestPartner(t *testing.T) {
	partner, err := feedfake.NewGitLabPartner()
	if err != nil {
		t.Fatal(err)
	}
	var signers []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := r.Header.Get("Gitlab-Public-Key-Identifier")
		key := published(t, partner)[id]
		signature, err := base64.StdEncoding.DecodeString(r.Header.Get("Gitlab-Public-Key-Signature"))
		sum := sha256.Sum256(body)
		if err != nil || key == nil || !ecdsa.VerifyASN1(key, sum[:], signature) {
			t.Errorf("the signature by %q does not verify: %v", id, err)
		}
		signers = append(signers, id)
		if want := `[{"token":"acme_1","type":"my_api_token","url":"https://x/1"}]`; string(body) != want {
			t.Errorf("got %s, want %s", body, want)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	reported := feedfake.Reported{Type: "my_api_token", Token: leak.NewSecret("acme_1"), URL: "https://x/1"}
	for range 2 {
		status, err := partner.Send(t.Context(), server.URL, reported)
		if err != nil || status != http.StatusAccepted {
			t.Fatalf("answer %d: %v", status, err)
		}
		if err := partner.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	if len(signers) != 2 || signers[0] == signers[1] || len(published(t, partner)) != 3 {
		t.Errorf("signed by %q, %d keys", signers, len(published(t, partner)))
	}
	server.Close()
	for _, url := range []string{server.URL, ":"} {
		if _, err := partner.Send(t.Context(), url, reported); err == nil {
			t.Errorf("%s: somebody answered", url)
		}
	}
}
