package receiver_test

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
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
	"stanch/receiver/feedfake"
	"stanch/receiver/queue/embedded"
)

// connections is how many senders there are at once, each on a connection that it keeps.
const connections = 16

// BenchmarkPartnerHandler sends signed deliveries of one alert each, to stanch, which answers when the alert is on
// disk, and to a bare handler that reads the body and verifies it. Both pay for the same senders in the same process.
func BenchmarkPartnerHandler(b *testing.B) {
	signer := newSigner(b)
	delivery := func(i int) (string, http.Header) {
		const form = `[{"source":"commit","token":"token-%d","type":"ibm_cloud_iam_key","url":"https://example.com/r/token-%d"}]`
		body := fmt.Sprintf(form, i, i)
		return body, signer.GitHubHeader([]byte(body))
	}
	b.Run("bare", func(b *testing.B) { load(b, bare(b, signer), delivery) })
	b.Run("stanch", func(b *testing.B) {
		load(b, stanch(b, newPartner(b, feedfake.NewKeyServer(signer))), delivery)
	})
}

// stanch is a Handler of one source with a store on disk.
func stanch(b *testing.B, source receiver.Source) http.Handler {
	b.Helper()
	store, err := embedded.Open(b.Context(), embedded.Config{Dir: b.TempDir(), Keys: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	recipient, _ := newSealing(b)
	return receiver.New(receiver.Config{
		Sources: map[string]receiver.Source{"gh": source},
		Seal:    recipient,
		Store:   store,
	})
}

// BenchmarkHookHandler does the same with a hook, whose body is as large as GitHub's are: about ten thousand bytes.
func BenchmarkHookHandler(b *testing.B) {
	delivery := func(i int) (string, http.Header) {
		body := strings.TrimSuffix(alertHook(i+1, "created", "now"), "}") + `,"x":"` + strings.Repeat("https://", 1200) + `"}`
		return body, feedfake.GitHubHook(hookSecret, []byte(body))
	}
	b.Run("bare", func(b *testing.B) { load(b, http.HandlerFunc(bareHook), delivery) })
	b.Run("stanch", func(b *testing.B) { load(b, stanch(b, newHook(b)), delivery) })
}

// bareHook is the least that the endpoint of a hook does.
func bareHook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	given, badSignature := hex.DecodeString(strings.TrimPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256="))
	if err != nil || badSignature != nil || !hmac.Equal(mac.Sum(nil), given) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// bare is the least that a partner endpoint does.
func bare(b *testing.B, signer *feedfake.Signer) http.Handler {
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

func publicKey(b *testing.B, signer *feedfake.Signer) *ecdsa.PublicKey {
	b.Helper()
	var document struct {
		Keys []struct{ Key string } `json:"public_keys"`
	}
	if err := json.Unmarshal(feedfake.Document(signer), &document); err != nil {
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
func load(b *testing.B, handler http.Handler, delivery func(i int) (body string, header http.Header)) {
	b.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	requests := make([]*http.Request, b.N)
	for i := range requests {
		body, header := delivery(i)
		request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/hooks/gh", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		request.Header = header
		requests[i] = request
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
