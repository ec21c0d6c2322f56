package receiver_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"stanch/receiver"
	"stanch/receiver/queue"
	"stanch/receiver/sourcetest"
)

// connections is how many senders there are at once, each on a connection that it keeps.
const connections = 16

// BenchmarkPartnerHandler sends signed deliveries of one alert each, to stanch, which answers when the alert is on
// disk, and to a bare handler that reads the body and verifies it. Both pay for the same senders in the same process.
func BenchmarkPartnerHandler(b *testing.B) {
	signer := newSigner(b)
	b.Run("bare", func(b *testing.B) { load(b, signer, bare(b, signer)) })
	b.Run("stanch", func(b *testing.B) {
		store, err := queue.OpenEmbedded(b.Context(), queue.Config{Dir: b.TempDir(), Keys: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		load(b, signer, stanch(b, signer, store))
	})
}

func stanch(b *testing.B, signer *sourcetest.Signer, store queue.Store) http.Handler {
	b.Helper()
	recipient, _ := newSealing(b)
	return receiver.New(receiver.Config{
		Sources: map[string]receiver.Source{"gh": newPartner(b, sourcetest.NewKeyServer(signer))},
		Seal:    recipient,
		Store:   store,
	})
}

// bare is the least that a partner endpoint does.
func bare(b *testing.B, signer *sourcetest.Signer) http.Handler {
	b.Helper()
	key := publicKey(b, signer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		der, badSignature := base64.StdEncoding.DecodeString(r.Header.Get("Github-Public-Key-Signature"))
		sum := sha256.Sum256(body)
		if err != nil || badSignature != nil || !ecdsa.VerifyASN1(key, sum[:], der) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func publicKey(b *testing.B, signer *sourcetest.Signer) *ecdsa.PublicKey {
	b.Helper()
	var document struct {
		Keys []struct{ Key string } `json:"public_keys"`
	}
	if err := json.Unmarshal(sourcetest.Document(signer), &document); err != nil {
		b.Fatal(err)
	}
	block, _ := pem.Decode([]byte(document.Keys[0].Key))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		b.Fatal(err)
	}
	return key.(*ecdsa.PublicKey)
}

// load sends b.N deliveries, signed beforehand, and reports how many a second were answered.
func load(b *testing.B, signer *sourcetest.Signer, handler http.Handler) {
	b.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	requests := make([]*http.Request, b.N)
	for i := range requests {
		requests[i] = signed(b, signer, server.URL, fmt.Sprintf("token-%d", i))
	}
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				post(b, client, requests[i-1])
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func signed(b *testing.B, signer *sourcetest.Signer, url, token string) *http.Request {
	b.Helper()
	body := fmt.Sprintf(`[{"source":"commit","token":%q,"type":"ibm_cloud_iam_key","url":"https://example.com/r/%s"}]`, token, token)
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/hooks/gh", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	request.Header = signer.GitHubHeader([]byte(body))
	return request
}

func post(b *testing.B, client *http.Client, request *http.Request) {
	b.Helper()
	response, err := client.Do(request)
	if err != nil {
		b.Error(err)
		return
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		b.Errorf("got the status %d, want 204", response.StatusCode)
	}
}
