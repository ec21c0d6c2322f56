// Package feedfake plays the feeds that report leaked keys: a [Signer] signs the deliveries of a partner feed and a
// [KeyServer] publishes its public key; [GitLabPartner] and [Revoker] are GitLab as it reports tokens to a partner and asks
// a service to revoke them; [GitHubHook], [GitLabHook] and [StandardWebhook] sign the deliveries of webhooks.
package feedfake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Signer signs deliveries as a partner feed does: ECDSA on P-256 over the SHA-256 of the body. Safe for concurrent use.
type Signer struct {
	id  string
	key *ecdsa.PrivateKey
	pem string
}

// NewSigner makes a Signer with a new key. Its id is the SHA-256 of the public key, in hex like GitHub's.
func NewSigner() (*Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("making a signing key: %w", err)
	}
	sum := sha256.Sum256(der)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return &Signer{hex.EncodeToString(sum[:]), key, string(public)}, nil
}

// ID is the id under which the public key is published.
func (s *Signer) ID() string { return s.id }

// Sign returns the signature of a body, in standard base64 of ASN.1 DER.
func (s *Signer) Sign(body []byte) (keyID, signature string) {
	sum := sha256.Sum256(body)
	der, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
	if err != nil {
		panic("signing with a good key does not fail: " + err.Error())
	}
	return s.id, base64.StdEncoding.EncodeToString(der)
}

// GitHubHeader returns the header of a GitHub partner delivery with this body.
func (s *Signer) GitHubHeader(body []byte) http.Header {
	id, signature := s.Sign(body)
	return http.Header{
		"Content-Type":                 {"application/json"},
		"Github-Public-Key-Identifier": {id},
		"Github-Public-Key-Signature":  {signature},
	}
}

// GitLabHeader returns the header of a GitLab partner delivery with this body.
func (s *Signer) GitLabHeader(body []byte) http.Header {
	id, signature := s.Sign(body)
	return http.Header{
		"Content-Type":                 {"application/json"},
		"Gitlab-Public-Key-Identifier": {id},
		"Gitlab-Public-Key-Signature":  {signature},
	}
}

// GitHubHook returns the header of a delivery with this body by a GitHub webhook with this secret. Its event is an alert of
// secret scanning; the event is not signed, so callers may set another.
func GitHubHook(secret string, body []byte) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("X-GitHub-Event", "secret_scanning_alert")
	header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return header
}

// GitLabHook returns the header of a delivery with this body, sent now and under a new id, by a GitLab webhook with this
// signing token. It panics when that is not whsec_ and base64.
func GitLabHook(token string, body []byte) http.Header {
	return StandardWebhook(token, rand.Text(), time.Now(), body)
}

// StandardWebhook returns the header of a delivery, signed as Standard Webhooks has it, with this id and time.
func StandardWebhook(token, id string, at time.Time, body []byte) http.Header {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token, "whsec_"))
	if err != nil {
		panic("the signing token of a test is good: " + err.Error())
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("X-Gitlab-Event", "Vulnerability Hook")
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return header
}

// Document returns the key document that publishes these signers, the last one as the current key.
func Document(signers ...*Signer) []byte {
	type entry struct {
		ID      string `json:"key_identifier"`
		PEM     string `json:"key"`
		Current bool   `json:"is_current"`
	}
	entries := make([]entry, len(signers))
	for i, s := range signers {
		entries[i] = entry{s.id, s.pem, i == len(signers)-1}
	}
	data, err := json.Marshal(map[string]any{"public_keys": entries})
	if err != nil {
		panic("encoding strings does not fail: " + err.Error())
	}
	return data
}
