package gitlabfake

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

// The header fields of a delivery of the partner programme.
const (
	KeyHeader       = "Gitlab-Public-Key-Identifier"
	SignatureHeader = "Gitlab-Public-Key-Signature"
)

// Reported is one leaked token as GitLab tells the partner whose it is.
type Reported struct {
	Type  string
	Token leak.Secret
	URL   string
}

// Partner is gitlab.com as the sender of the partner programme, and, as an [http.Handler], as the server of its key
// document. Safe for concurrent use.
type Partner struct {
	client *http.Client

	mu   sync.Mutex
	keys []*partnerKey // the last one signs
}

type partnerKey struct {
	id      string
	private *ecdsa.PrivateKey
	pem     string
}

// NewPartner makes a sender with one key.
func NewPartner() (*Partner, error) {
	p := &Partner{client: vendorfake.NewClient(10 * time.Second)}
	return p, p.Rotate()
}

// Rotate makes a new key, which signs from now on. The old ones stay in the document.
func (p *Partner) Rotate() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	sum := sha256.Sum256(der)
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, &partnerKey{hex.EncodeToString(sum[:20]), private, string(public)})
	return nil
}

// ServeHTTP answers the key document.
func (p *Partner) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(p.Document()) // a reader that went away needs no answer
}

// Document is the key document, with every key that there has been.
func (p *Partner) Document() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := make([]object, len(p.keys))
	for i, key := range p.keys {
		keys[i] = object{"key_identifier": key.id, "key": key.pem, "is_current": i == len(p.keys)-1}
	}
	data, _ := json.Marshal(object{"public_keys": keys}) // plain values always marshal
	return data
}

// Body writes the body of a delivery.
func (p *Partner) Body(reported ...Reported) []byte {
	batch := make([]object, len(reported))
	for i, r := range reported {
		batch[i] = object{"type": r.Type, "token": r.Token.Reveal(), "url": r.URL}
	}
	data, _ := json.Marshal(batch) // plain values always marshal
	return data
}

// Header is the header of a delivery with this body: signed with ECDSA over its SHA-256, in standard base64 of DER, which is
// inferred.
func (p *Partner) Header(body []byte) http.Header {
	p.mu.Lock()
	key := p.keys[len(p.keys)-1]
	p.mu.Unlock()
	sum := sha256.Sum256(body)
	der, err := ecdsa.SignASN1(rand.Reader, key.private, sum[:])
	if err != nil {
		panic("signing with a good key does not fail: " + err.Error())
	}
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set(KeyHeader, key.id)
	header.Set(SignatureHeader, base64.StdEncoding.EncodeToString(der))
	return header
}

// Send delivers once and returns the status of the answer. GitLab sends again what is answered 400 or above.
func (p *Partner) Send(ctx context.Context, url string, reported ...Reported) (int, error) {
	body := p.Body(reported...)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the URL is none")
	}
	request.Header = p.Header(body)
	response, err := p.client.Do(request)
	if err != nil {
		return 0, errors.New("nobody answered")
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody)) // the status has been read, and it decides
	return response.StatusCode, nil
}
