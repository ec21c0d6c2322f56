package receiver_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/gitlab"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

const revocationToken = "a-token-of-the-revocation-api"

// signingToken is of a key of 32 bytes, as GitLab's are.
var signingToken = "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))

// writeToken writes a token into a file.
func writeToken(tb testing.TB, token string) []string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		tb.Fatal(err)
	}
	return []string{path}
}

func newRevocation(tb testing.TB) receiver.Source {
	tb.Helper()
	config := gitlab.RevocationConfig{TokenFiles: writeToken(tb, revocationToken), Types: []string{"gitleaks_rule_id_ibm_cloud_iam_key"}}
	source, err := config.Open("gh", nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

func newGitLabHook(tb testing.TB) receiver.Source {
	tb.Helper()
	config := gitlab.HookConfig{Group: "acme", SigningTokenFiles: writeToken(tb, signingToken)}
	source, err := config.Open("gh", nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

// revocable writes one token of a request of the revocation API.
func revocable(token string) string {
	return `{"type":"gitleaks_rule_id_ibm_cloud_iam_key","token":"` + token + `","location":"https://gitlab.example.org/a"}`
}

// vulnerabilityHook writes a delivery about a vulnerability.
func vulnerabilityHook(number int, state string) string {
	return fmt.Sprintf(`{"object_kind":"vulnerability","object_attributes":{"state":%q,"report_type":"secret_detection","title":%q,`+
		`"url":"https://gitlab.example.org/acme/shop/-/security/vulnerabilities/%d"}}`, state, planted, number)
}

// revoke posts a request of the revocation API.
func (h *house) revoke(tb testing.TB, token, body string) *http.Response {
	tb.Helper()
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {token}}
	return h.send(tb, http.MethodPost, "/hooks/gh/v1/revoke_tokens", header, strings.NewReader(body))
}

// TestRevocationAnswers: the answer to each request. Anything but success makes GitLab send all of it again.
func TestRevocationAnswers(t *testing.T) {
	good := "[" + revocable(planted) + "]"
	for name, row := range map[string]struct {
		token, body  string
		status       int
		result       string
		alerts, dead int
	}{
		"stored":               {revocationToken, good, 204, "stored", 1, 0},
		"nothing":              {revocationToken, "[]", 204, "stored", 0, 0},
		"one bad entry":        {revocationToken, "[" + revocable("a") + `,{"token":7},` + revocable(planted) + "]", 204, "stored", 2, 1},
		"nothing but bad ones": {revocationToken, `[{"token":"` + planted + `","location":1}, 8, null]`, 204, "stored", 0, 3},
		"another type":         {revocationToken, strings.ReplaceAll(good, "ibm", "aws"), 204, "stored", 1, 0},
		"with a scheme":        {"Bearer " + revocationToken, good, 401, "unverified", 0, 0},
		"no token":             {"", good, 401, "unverified", 0, 0},
		"another token":        {planted, good, 401, "unverified", 0, 0},
		"no array":             {revocationToken, revocable(planted), 400, "format", 0, 0},
		"cut":                  {revocationToken, good[:len(good)-1], 400, "format", 0, 0},
		"too many":             {revocationToken, "[1,2,3,4,5,6]", 413, "too_many", 0, 0},
		"too large":            {revocationToken, "[" + strings.Repeat(" ", 4096) + "]", 413, "too_large", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, withSource(newRevocation(t)), func(_ *house, c *receiver.Config) {
				c.Limits = receiver.Limits{Body: 2048, AlertsPerDelivery: 5}
			})
			wantStatus(t, h.revoke(t, row.token, row.body), row.status)
			h.wantStored(t, row.alerts, row.dead)
			h.wantCounted(t, "gh", row.result, 1)
			h.wantNothingPlanted(t)
		})
	}
}

// TestRevocationResends: GitLab repeats the whole set until it succeeds. A store that is full for a while costs nothing, and
// nothing is stored twice.
func TestRevocationResends(t *testing.T) {
	store := &failing{Store: memory.New(), err: queue.ErrFull}
	h := newHouse(t, withSource(newRevocation(t)), func(h *house, c *receiver.Config) { h.store, c.Store = store.Store, store })
	body := "[" + revocable(planted) + `,{"token":"` + planted + `","location":7},` + revocable("second") + "]"
	wantStatus(t, h.revoke(t, revocationToken, body), http.StatusServiceUnavailable)
	wantStatus(t, h.revoke(t, planted, body), http.StatusUnauthorized) // a stranger does not learn that we are full
	h.wantStored(t, 0, 0)
	store.err = nil
	for range 3 {
		wantStatus(t, h.revoke(t, revocationToken, body), http.StatusNoContent)
	}
	h.wantStored(t, 2, 1)
}

// TestRevocationBusy: while bodies use up the memory, only a sender with the token is asked to come back.
func TestRevocationBusy(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	h := newHouse(t, withSource(newRevocation(t)), func(_ *house, c *receiver.Config) {
		c.Sources["slow"] = scripted{verify: func() error { entered <- struct{}{}; <-leave; return nil }}
		c.Limits = receiver.Limits{Body: 1000, InFlightBytes: 1001}
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		wantStatus(t, h.send(t, http.MethodPost, "/hooks/slow", nil, strings.NewReader(strings.Repeat(" ", 950))), 204)
	})
	<-entered
	wantStatus(t, h.revoke(t, revocationToken, "["+revocable(planted)+"]"), http.StatusServiceUnavailable)
	wantStatus(t, h.revoke(t, "another", "["+revocable(planted)+"]"), http.StatusUnauthorized)
	close(leave)
	wg.Wait()
}

// TestRevocationTypes: GitLab asks for the types before it sends anything, and accepts only success.
func TestRevocationTypes(t *testing.T) {
	h := newHouse(t, withSource(newRevocation(t)))
	for token, want := range map[string]string{
		revocationToken: `200 {"types":["gitleaks_rule_id_ibm_cloud_iam_key"]}`,
		planted:         fmt.Sprintln(http.StatusUnauthorized, http.StatusText(http.StatusUnauthorized)),
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/hooks/gh/v1/revocable_token_types", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", token)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if got := fmt.Sprint(response.StatusCode, " ", string(text)); err != nil || got != want {
			t.Errorf("got %q and %v, want %q", got, err, want)
		}
	}
}

// TestGitLabHookAnswers: GitLab switches off a hook that fails, so events that we ignore are answered with success.
func TestGitLabHookAnswers(t *testing.T) {
	signed := func(body string) http.Header { return feedfake.GitLabHook(signingToken, []byte(body)) }
	for name, row := range map[string]struct {
		body           string
		header         func(string) http.Header
		status         int
		result         string
		pointers, dead int
	}{
		"detected":      {vulnerabilityHook(7, "detected"), signed, 204, "stored", 1, 0},
		"a push":        {`{"object_kind":"push","x":"` + planted + `"}`, signed, 204, "ignored", 0, 0},
		"another group": {strings.Replace(vulnerabilityHook(7, "detected"), "/acme/", "/other/", 1), signed, 204, "ignored", 0, 0},
		"unusable":      {vulnerabilityHook(0, "detected"), signed, 204, "stored", 0, 1},
		"no object":     {`["` + planted + `"]`, signed, 400, "format", 0, 0},
		"unsigned": {vulnerabilityHook(7, "detected"), func(string) http.Header {
			return http.Header{"X-Gitlab-Token": {planted}}
		}, 401, "unverified", 0, 0},
		"of another body": {vulnerabilityHook(7, "detected"), func(string) http.Header { return signed("{}") }, 401, "unverified", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, withSource(newGitLabHook(t)))
			wantStatus(t, h.send(t, http.MethodPost, "/hooks/gh", row.header(row.body), strings.NewReader(row.body)), row.status)
			if _, pointers := h.pointers(t); len(pointers) != row.pointers {
				t.Errorf("got %d pointers, want %d", len(pointers), row.pointers)
			}
			h.wantStored(t, 0, row.dead)
			h.wantCounted(t, "gh", row.result, 1)
			h.wantNothingPlanted(t)
		})
	}
}

// TestGitLabHookReplay: a copy is refused, but only of a stored delivery; hooks of a group and of its project report the same
// thing under different ids, and that makes one pointer.
func TestGitLabHookReplay(t *testing.T) {
	store := &failing{Store: memory.New(), err: queue.ErrFull}
	h := newHouse(t, withSource(newGitLabHook(t)), func(h *house, c *receiver.Config) { h.store, c.Store = store.Store, store })
	body := vulnerabilityHook(7, "detected")
	deliver := func(header http.Header) *http.Response {
		return h.send(t, http.MethodPost, "/hooks/gh", header, strings.NewReader(body))
	}
	first := feedfake.GitLabHook(signingToken, []byte(body))
	wantStatus(t, deliver(first.Clone()), http.StatusServiceUnavailable)
	store.err = nil
	wantStatus(t, deliver(first.Clone()), http.StatusNoContent)
	wantStatus(t, deliver(first.Clone()), http.StatusUnauthorized)
	first.Set("X-Gitlab-Event-UUID", "9cebe914-4827-408f-b014-cfa23a47a35f")
	wantStatus(t, deliver(first.Clone()), http.StatusUnauthorized)
	wantStatus(t, deliver(feedfake.GitLabHook(signingToken, []byte(body))), http.StatusNoContent)
	if _, pointers := h.pointers(t); len(pointers) != 1 {
		t.Errorf("got %d pointers, want 1", len(pointers))
	}
}

// TestGitLabHookCopiesAtOnce sends copies at the same time, before any of them is stored: they make one pointer.
func TestGitLabHookCopiesAtOnce(t *testing.T) {
	h := newHouse(t, withSource(newGitLabHook(t)))
	body := vulnerabilityHook(7, "detected")
	header := feedfake.GitLabHook(signingToken, []byte(body))
	statuses := make(chan int, 32)
	var wg sync.WaitGroup
	for range cap(statuses) {
		wg.Go(func() {
			request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/hooks/gh", strings.NewReader(body))
			request.Header = header.Clone()
			recorder := httptest.NewRecorder()
			h.handler.ServeHTTP(recorder, request)
			statuses <- recorder.Code
		})
	}
	wg.Wait()
	close(statuses)
	taken := 0
	for status := range statuses {
		switch status {
		case http.StatusNoContent:
			taken++
		case http.StatusUnauthorized, http.StatusTooManyRequests:
		default:
			t.Errorf("got the status %d, want that a copy is taken or refused", status)
		}
	}
	if _, pointers := h.pointers(t); len(pointers) != 1 || taken == 0 {
		t.Errorf("got %d pointers of %d copies that were taken, want 1", len(pointers), taken)
	}
}

// BenchmarkRevocationHandler sends requests of the revocation API with one token each, to stanch, which answers when the
// alert is on disk, and to a bare handler that compares the token and reads the body.
func BenchmarkRevocationHandler(b *testing.B) {
	delivery := func(i int) (string, http.Header) {
		return "[" + revocable(fmt.Sprint("token-", i)) + "]", http.Header{"Authorization": {revocationToken}}
	}
	b.Run("bare", func(b *testing.B) {
		load(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			answerBare(w, err == nil && hmac.Equal([]byte(r.Header.Get("Authorization")), []byte(revocationToken)))
		}), delivery)
	})
	b.Run("stanch", func(b *testing.B) { load(b, stanch(b, newRevocation(b)), delivery) })
}

// BenchmarkGitLabHookHandler does the same with a signed hook.
func BenchmarkGitLabHookHandler(b *testing.B) {
	delivery := func(i int) (string, http.Header) {
		body := strings.TrimSuffix(vulnerabilityHook(i+1, "detected"), "}") + `,"x":"` + strings.Repeat("https://", 200) + `"}`
		return body, feedfake.GitLabHook(signingToken, []byte(body))
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signingToken, "whsec_"))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bare", func(b *testing.B) {
		load(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			mac := hmac.New(sha256.New, key)
			fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), body)
			given, bad := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Webhook-Signature"), "v1,"))
			answerBare(w, errors.Join(err, bad) == nil && hmac.Equal(mac.Sum(nil), given))
		}), delivery)
	})
	b.Run("stanch", func(b *testing.B) { load(b, stanch(b, newGitLabHook(b)), delivery) })
}

func answerBare(w http.ResponseWriter, good bool) {
	if !good {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
