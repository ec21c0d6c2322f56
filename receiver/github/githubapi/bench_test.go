package githubapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"stanch/receiver/github/githubapi"
	"stanch/receiver/github/githubclient"
	"stanch/receiver/leak"
)

// manyAlerts lists a hundred thousand alerts without keeping them. Each is about as long as GitHub's.
func manyAlerts(w http.ResponseWriter, r *http.Request) {
	const alerts, size = 100_000, 100
	from, _ := strconv.Atoi(r.URL.Query().Get("after"))
	if from+size < alerts {
		w.Header().Set("Link", fmt.Sprintf(`<https://x/?after=%d>; rel="next"`, from+size))
	}
	_, _ = w.Write([]byte("["))
	filling := strings.Repeat(`"assignee_url":"https://api.github.example/users/somebody",`, 80)
	for n := from; n < from+size; n++ {
		if n > from {
			_, _ = w.Write([]byte(","))
		}
		_, _ = fmt.Fprintf(w, `{%s"number":%d,"state":"open","updated_at":"2026-01-02T03:04:05Z","repository":{"full_name":"acme/shop"}}`,
			filling, n+1)
	}
	_, _ = w.Write([]byte("]"))
}

// BenchmarkOpen lists a hundred thousand open alerts; MB-peak is the most of heap in use that was seen.
func BenchmarkOpen(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(manyAlerts))
	defer server.Close()
	config := githubclient.Config{URL: server.URL, TokenFile: writeFile(b, leak.NewSecret("ghp_x").Reveal())}
	vendor, err := githubapi.Open(config, sourceName, "acme", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	var peak uint64
	for b.Loop() {
		n := 0
		for _, err := range vendor.Open(b.Context(), time.Time{}) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n%1000 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse)
			}
		}
		if n != 100_000 {
			b.Fatalf("listed %d alerts, want 100000", n)
		}
	}
	b.ReportMetric(float64(peak)/1e6, "MB-peak")
}
