package publickeys_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stanch/receiver/feedfake"
	"stanch/receiver/leak"
	"stanch/receiver/publickeys"
)

func TestExaminePublicKeys(t *testing.T) {
	good := feedfake.Document(newSigner(t), newSigner(t))
	old := []byte(strings.ReplaceAll(string(good), `"is_current":true`, `"is_current":false`))
	for name, row := range map[string]struct {
		status   int
		header   map[string]string
		document []byte
		token    string
		want     string // check, result and a piece of the text of findings, in their order
	}{
		"good": {
			document: good, header: map[string]string{"ETag": `"1"`},
			want: "key endpoint ok without a token|public keys ok 2 usable, 1 of them|etag ok there is one|clock ok agrees",
		},
		"with a token": {
			document: good, token: "planted", header: map[string]string{
				"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "1795000000",
			},
			want: "key endpoint ok takes our token|public keys ok|etag ok none|rate limit ok 4999 of 5000 requests are left until|clock ok",
		},
		"nearly used up": {
			document: good, header: map[string]string{"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "5"},
			want: "key endpoint ok|public keys ok|etag ok|rate limit warning 5 of 60|clock ok",
		},
		"no key is current":     {document: old, want: "key endpoint ok|public keys warning none of them|etag ok|clock ok"},
		"no document":           {document: []byte(`{"public_keys":["planted"]}`), want: "key endpoint failure no usable key|clock ok"},
		"down":                  {status: 503, want: "key endpoint failure answers 503|clock ok"},
		"token refused":         {status: 401, token: "planted", want: "key endpoint failure refuses our token: it answers 401|clock ok"},
		"refused without token": {status: 403, want: "key endpoint failure it answers 403|clock ok"},
		"used up": {
			status: 403, token: "planted", header: map[string]string{"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0"},
			want: "key endpoint failure too many requests|rate limit warning 0 of 60|clock ok",
		},
		"another time": {
			document: good, header: map[string]string{"Date": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)},
			want: "key endpoint ok|public keys ok|etag ok|clock failure behind",
		},
		"from a cache": {
			document: good, header: map[string]string{"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Age": "3600"},
			want: "key endpoint ok|public keys ok|etag ok",
		},
	} {
		keys := newKeysWith(t, publickeys.Config{
			Token: leak.NewSecret(row.token), URL: serve(t, row.status, row.header, row.document) + "/?q=planted",
		})
		wantFindings(t, name, keys.Examine(t.Context()), row.want)
	}
}

// TestExamineOneOfTwo counts the current keys, whatever else the document holds.
func TestExamineOneOfTwo(t *testing.T) {
	first, second := feedfake.Document(newSigner(t)), feedfake.Document(newSigner(t))
	entry := func(document []byte, current string) string {
		text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(document)), `{"public_keys":[`), "]}")
		return strings.ReplaceAll(text, `"is_current":true`, `"is_current":`+current)
	}
	document := fmt.Sprintf(`{"public_keys":[7,%s,{"is_current":true},%s]}`, entry(first, "true"), entry(second, "false"))
	keys := newKeysWith(t, publickeys.Config{URL: serve(t, 0, nil, []byte(document))})
	wantFindings(t, "mixed", keys.Examine(t.Context()), "key endpoint ok|public keys ok 2 usable, 1 of them|etag ok|clock ok")
}

func TestExamineNobody(t *testing.T) {
	keys := newKeysWith(t, publickeys.Config{URL: "http://127.0.0.1:1/?q=planted", Token: leak.NewSecret("planted")})
	wantFindings(t, "nobody", keys.Examine(t.Context()), "key endpoint failure does not answer")
}

func serve(t *testing.T, status int, header map[string]string, document []byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		_, _ = w.Write(document)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func wantFindings(t *testing.T, name string, found []leak.Finding, want string) {
	t.Helper()
	rows := strings.Split(want, "|")
	if len(found) != len(rows) {
		t.Errorf("%s: got %+v, want %s", name, found, want)
		return
	}
	for i, f := range found {
		head := f.Check + " " + string(f.Result)
		piece, ok := strings.CutPrefix(rows[i], head)
		if !ok || !strings.Contains(f.Text, strings.TrimSpace(piece)) || strings.Contains(f.Text, "planted") {
			t.Errorf("%s: got %+v, want %s", name, f, rows[i])
		}
	}
}
