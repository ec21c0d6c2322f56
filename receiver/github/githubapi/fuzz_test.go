package githubapi_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/github/githubapi"
	"stanch/receiver/github/githubclient"
	"stanch/receiver/leak"
)

// said is what a server answers to everything.
type said struct {
	status     int
	link, body string
}

// FuzzAnswers: whatever GitHub answers, nothing panics or goes on for ever, no error shows our token or a piece of the answer,
// and the links for people are links.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "", `{"number":1,"secret":"s","state":"open","html_url":"`+alertPage+`"}`)
	f.Add(200, `<https://x/?after=a>; rel="next"`, "["+someAlert+"]")
	f.Add(200, `<https://x/?page=2>; rel="next"`, `[{"type":"commit","details":{"commit_sha":"a","path":"b","start_line":1}}]`)
	f.Add(200, "", `[{"id":1,"guid":"g","status_code":500,"event":"secret_scanning_alert","config":{"url":"/hooks/acme-leaks"}}]`)
	f.Add(403, "", `{"message":"rate limit","errors":[{"code":"invalid"}],"documentation_url":"secondary-rate-limits"}`)
	f.Add(202, "", "{}")
	f.Add(204, "", "")
	var answer atomic.Pointer[said]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a := answer.Load()
		w.Header().Set("Link", a.link)
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.body))
	}))
	f.Cleanup(server.Close)
	token := leak.NewSecret("ghp_planted_token")
	config := githubclient.Config{URL: server.URL, TokenFile: writeFile(f, token.Reveal())}
	vendor, err := githubapi.Open(config, sourceName, "acme", slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, link, body string) {
		if status < 200 || status > 599 || strings.ContainsAny(link, "\r\n\x00") {
			return
		}
		answer.Store(&said{status, link, body})
		found, err := vendor.Fetch(t.Context(), "acme/shop/1")
		for _, c := range found {
			if u, bad := url.Parse(c.URL); c.URL != "" && (bad != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
				t.Errorf("the link %q is none", c.URL)
			}
			if c.Secret.Empty() || c.Ref != "acme/shop/1" {
				t.Errorf("got a content without secret, or of %q", c.Ref)
			}
		}
		for _, err := range []error{err, openAll(t, vendor), vendor.Resolve(t.Context(), "acme/shop/1", body), redeliverAll(t, vendor)} {
			if err != nil && strings.Contains(err.Error(), token.Reveal()) {
				t.Errorf("the error %q shows our token", err)
			}
			if err != nil && len(body) > 40 && strings.Contains(err.Error(), body) {
				t.Errorf("the error %q shows the answer", err)
			}
		}
	})
}

func openAll(t *testing.T, vendor collect.Vendor) error {
	for listed, err := range vendor.Open(t.Context(), time.Time{}) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(listed.Ref, "acme/") {
			t.Errorf("lists %q, which is not ours", listed.Ref)
		}
	}
	return nil
}

func redeliverAll(t *testing.T, vendor collect.Vendor) error {
	_, err := vendor.(collect.Redeliverer).Redeliver(t.Context(), time.Time{})
	return err
}
