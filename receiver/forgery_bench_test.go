package receiver_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"stanch/receiver/feedfake"
)

// BenchmarkForgery sends forged deliveries (of a key that there is, and of ids that there are not) beside honest ones, and beside
// a bare server that reads the body and refuses it.
//
//	go test -run - -bench Forgery -benchtime 100000x ./receiver
func BenchmarkForgery(b *testing.B) {
	signer, stranger := newSigner(b), newSigner(b)
	const body = `[{"source":"commit","token":"token","type":"ibm_cloud_iam_key","url":"https://example.com/r"}]`
	honest, forged := signer.GitHubHeader([]byte(body)), signer.GitHubHeader([]byte("[]"))
	refusing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusUnauthorized)
	})
	b.Run("bare", func(b *testing.B) { forge(b, refusing, body, forged) })
	for name, header := range map[string]http.Header{
		"honest": honest, "forged": forged, "unknown-id": stranger.GitHubHeader([]byte(body)),
	} {
		b.Run(name, func(b *testing.B) {
			keys := feedfake.NewKeyServer(signer)
			forge(b, stanch(b, newPartner(b, keys)), body, header)
			b.ReportMetric(float64(len(keys.Requests())), "key-fetches")
		})
	}
}

// forge sends one delivery b.N times, and reports how many were answered with each class of status.
func forge(b *testing.B, handler http.Handler, body string, header http.Header) {
	b.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var sent atomic.Int64
	var taken, refused, later atomic.Int64
	var senders sync.WaitGroup
	b.ResetTimer()
	for range connections {
		senders.Go(func() {
			for sent.Add(1) <= int64(b.N) {
				request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/hooks/gh", strings.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				request.Header = header
				response, err := client.Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				_ = response.Body.Close()
				switch response.StatusCode / 100 {
				case 2:
					taken.Add(1)
				case 4:
					refused.Add(1)
				default:
					later.Add(1)
				}
			}
		})
	}
	senders.Wait()
	b.StopTimer()
	b.ReportMetric(float64(taken.Load()), "2xx")
	b.ReportMetric(float64(refused.Load()), "4xx")
	b.ReportMetric(float64(later.Load()), "5xx")
}
