package publickeys

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

// maxDocument bounds a key document, in bytes. A real one takes a kilobyte or two.
const maxDocument = 1 << 20

// fetchTimeout leaves enough time to answer a sender that waits 15 seconds.
const fetchTimeout = 5 * time.Second

// document is what a key server answered. It is never changed.
type document struct {
	keys      map[string]*ecdsa.PublicKey // by id
	etag      string
	confirmed time.Time // when the server, asked then, said so; zero: never
}

// fetcher requests the key document of one server.
type fetcher struct {
	client *http.Client
	url    string
	token  leak.Secret
}

func newFetcher(address string, token leak.Secret, transport http.RoundTripper) fetcher {
	client := outbound.NewClient(outbound.Config{Timeout: fetchTimeout, MaxAnswer: maxDocument, Transport: transport})
	client.CheckRedirect = sameServer
	return fetcher{client, address, token}
}

// sameServer follows redirects only within the same server: keys from anywhere else prove nothing.
func sameServer(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if r.URL.Scheme != first.Scheme || r.URL.Host != first.Host || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// fetch returns the server's document; if it has not changed, that is have, confirmed anew.
func (f fetcher) fetch(ctx context.Context, have *document) (*document, error) {
	asked := time.Now()
	response, err := f.ask(ctx, have.etag)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusNotModified && have.etag != "" {
		return &document{have.keys, have.etag, asked}, nil
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the key server answers %d", response.StatusCode)
	}
	data, err := readDocument(ctx, response)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, err
	}
	return &document{keys, response.Header.Get("ETag"), asked}, nil
}

func readDocument(ctx context.Context, response *http.Response) ([]byte, error) {
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the key document: %w", outbound.Cause(ctx, err))
	}
	return data, nil
}

func (f fetcher) ask(ctx context.Context, etag string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, errors.New("the URL of the key document is not valid")
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "stanch") // GitHub refuses requests without one
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	if !f.token.Empty() {
		request.Header.Set("Authorization", "Bearer "+f.token.Reveal())
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, outbound.Cause(ctx, err)
	}
	return response, nil
}

// parseKeys reads a key document. Entries that are not a P-256 key with an id are skipped; a document of nothing else is an
// error, so that it never replaces a good one. Of two keys with the same id the first counts.
func parseKeys(data []byte) (map[string]*ecdsa.PublicKey, error) {
	var list struct {
		Keys []json.RawMessage `json:"public_keys"`
	}
	if json.Unmarshal(data, &list) != nil {
		return nil, errors.New("the key document is not in the format")
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, entry := range list.Keys {
		id, key := parseKey(entry)
		if key != nil && keys[id] == nil {
			keys[id] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the key document holds no usable key")
	}
	return keys, nil
}

// parseKey returns a nil key when the entry is not usable.
func parseKey(data []byte) (string, *ecdsa.PublicKey) {
	var entry struct {
		ID  string `json:"key_identifier"`
		PEM string `json:"key"`
	}
	if json.Unmarshal(data, &entry) != nil || entry.ID == "" {
		return "", nil
	}
	block, _ := pem.Decode([]byte(entry.PEM))
	if block == nil {
		return "", nil
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", nil
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return "", nil
	}
	return entry.ID, key
}
