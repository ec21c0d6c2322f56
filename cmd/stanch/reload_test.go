package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stanch/dispositions/ibmcloud/ibmtest"
	"stanch/receiver/sourcetest"
)

// hangUp has the process read its configuration again. The returned func waits for what it logs of that.
func (s *site) hangUp() (log func() string) {
	s.t.Helper()
	before := len(s.output.String())
	if err := s.process.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	return func() (log string) {
		s.waitFor("an end of the reload", func() bool {
			log = s.output.String()[before:]
			return strings.Contains(log, "configuration reloaded") || strings.Contains(log, "configuration not reloaded")
		})
		return log
	}
}

// reloadsTo puts a configuration in force.
func (s *site) reloadsTo(config string) {
	s.t.Helper()
	s.write("stanch.yaml", config)
	if log := s.hangUp()(); !strings.Contains(log, "configuration reloaded") {
		s.t.Fatalf("a good configuration is not in force:\n%s", log)
	}
	s.wantReload(1)
}

func (s *site) wantReload(successful int) {
	s.t.Helper()
	if metrics := s.get("/metrics"); !strings.Contains(metrics, fmt.Sprintf("\nstanch_config_last_reload_successful %d\n", successful)) {
		s.t.Errorf("stanch_config_last_reload_successful is not %d:\n%s", successful, grep(metrics, "stanch_config"))
	}
}

func (s *site) config() string {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, "stanch.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// postTo delivers one key, signed, to a source and returns the status.
func (s *site) postTo(source string, k leaked) int {
	s.t.Helper()
	body, err := json.Marshal([]record{k.record()})
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+s.public+"/hooks/"+source, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header = s.signer.GitHubHeader(body)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Error(err)
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func (s *site) wantPost(source string, k leaked, want int) {
	s.t.Helper()
	if got := s.postTo(source, k); got != want {
		s.t.Errorf("a delivery to %s was answered %d, want %d\n%.3000s", source, got, want, s.output)
	}
}

// variants are configurations of which each changes everything that a reload can change, and serves /hooks/gh.
func (s *site) variants() []string {
	s.t.Helper()
	first := s.config()
	more := httptest.NewServer(s.keys) // another server of the same keys
	s.t.Cleanup(more.Close)
	_, keysURL, _ := strings.Cut(first, "keys_url: ")
	keysURL, _, _ = strings.Cut(keysURL, "}")
	replaced := strings.NewReplacer(
		keysURL, fmt.Sprintf("%q}\n  - {name: more, type: github_partner, keys_url: %q", more.URL, more.URL),
		"token_types: [ibm_cloud_iam_key]", "token_types: [ibm_cloud_iam_key, another]",
		"- {name: console, type: console}", "- {name: other, type: console}",
	).Replace(first)
	return []string{first, replaced + "retention: 20d\nlimits: {body: 1MiB, alerts_per_delivery: 100}\n"}
}

// TestReloadUnderLoad changes sources, the issuer, the notifiers, limits and retention again and again under
// deliveries: each is answered 204, none is lost, and every key ends as it is configured.
func TestReloadUnderLoad(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "policy: {fuse: {max: 100000}}\n")
	keys := s.population(210)
	s.start()
	variants := s.variants()
	var next, reloads atomic.Int64
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := next.Add(1) - 1; i < int64(len(keys)) || reloads.Load() < 4; i = next.Add(1) - 1 {
					s.wantPost("gh", keys[i%int64(len(keys))], http.StatusNoContent)
				}
			})
		}
		wg.Wait()
	}()
	for over := false; !over; {
		s.reloadsTo(variants[reloads.Add(1)%int64(len(variants))])
		select {
		case <-delivered:
			over = true
		default:
		}
	}
	s.waitSettled(len(keys))
	s.wantEnds(keys)
	if err := s.stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
}

// TestReloadSources: a new source answers, one that is gone does not, one that stays is left alone.
func TestReloadSources(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.wantPost("new", keys[0], http.StatusNotFound)

	other := httptest.NewServer(sourcetest.NewKeyServer(s.signer))
	t.Cleanup(other.Close)
	added := s.withSource("new", other.URL)
	asked := len(s.keys.Requests())
	s.keys.Fail(http.StatusInternalServerError) // what stays needs no keys again
	s.reloadsTo(added)
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.wantPost("new", keys[1], http.StatusNoContent)
	if got := len(s.keys.Requests()); got != asked {
		t.Errorf("the keys of a source that stays were asked for %d times more", got-asked)
	}

	before, after, _ := strings.Cut(added, "  - {name: gh,")
	_, after, _ = strings.Cut(after, "\n")
	s.reloadsTo(before + after)
	s.wantPost("gh", keys[0], http.StatusNotFound)
	s.wantPost("new", keys[2], http.StatusNoContent)
	metrics := s.get("/metrics")
	for source, want := range map[string]bool{"gh": false, "new": true} {
		for _, metric := range []string{"stanch_deliveries_total{result=\"stored\",", "stanch_public_keys_age_seconds{"} {
			if got := strings.Contains(metrics, fmt.Sprintf("%ssource=%q}", metric, source)); got != want {
				t.Errorf("%s of %s is there: %v, want %v", metric, source, got, want)
			}
		}
	}
}

// TestReloadWaitsForPublicKeys: until a new source can verify deliveries the old configuration is in force.
func TestReloadWaitsForPublicKeys(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "")
	keys := s.population(7)
	s.start()
	slow := sourcetest.NewKeyServer(s.signer)
	server := httptest.NewServer(slow)
	t.Cleanup(server.Close)
	release := slow.Hold()
	s.write("stanch.yaml", s.withSource("new", server.URL))
	reloaded := s.hangUp()
	for len(slow.Requests()) == 0 {
		time.Sleep(time.Millisecond)
	}
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.wantPost("new", keys[1], http.StatusNotFound)
	release()
	if log := reloaded(); !strings.Contains(log, "configuration reloaded") || strings.Contains(log, "no public keys") {
		t.Errorf("the log says:\n%s", log)
	}
	s.wantPost("new", keys[1], http.StatusNoContent)
}

// withSource is the configuration with one more source.
func (s *site) withSource(name, keysURL string) string {
	s.t.Helper()
	entry := fmt.Sprintf("  - {name: %s, type: github_partner, keys_url: %q}\nissuers:", name, keysURL)
	return strings.Replace(s.config(), "issuers:", entry, 1)
}

// TestReloadKeepsTheOld: a file that is wrong, or is gone, or changes what needs a restart, changes nothing and is told
// in full, without a value.
func TestReloadKeepsTheOld(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "")
	keys := s.population(7)
	s.start()
	first := s.config()
	s.wantReload(1)
	for _, row := range []struct {
		name, old, replacement string
		want                   []string
	}{
		{
			"two faults", "notifiers:", "notifer: [" + plant + "fault]\nretention: " + plant + "x\nnotifiers:",
			[]string{"stanch.yaml:8: notifer: unknown key; did you mean notifiers?", "stanch.yaml:9: retention: must be a duration"},
		},
		{"no key file", "apikey}", plant + "apikey}", []string{"stanch.yaml:7: issuers[0].auth.apikey_file: no such file"}},
		{"another store", "{dir: data}", "{dir: elsewhere}", []string{"stanch.yaml:1: store: cannot change while stanch runs"}},
		{"other keys", "keys_dir: keys", "", []string{"keys_dir: cannot change while stanch runs"}},
		{"another address", s.public, freeAddress(t), []string{"stanch.yaml:3: web.public: cannot change while stanch runs"}},
	} {
		s.write("stanch.yaml", strings.Replace(first, row.old, row.replacement, 1))
		log := s.hangUp()()
		for _, want := range row.want {
			if lines := grep(log, "{"); !strings.Contains(lines, want) {
				t.Errorf("%s: the log lacks %q:\n%s", row.name, want, log)
			}
		}
		if faults := strings.Count(log, "\"err\":"); faults != len(row.want) || strings.Contains(log, plant) {
			t.Errorf("%s: got %d faults logged, want %d and no value of the file:\n%s", row.name, faults, len(row.want), log)
		}
		s.wantReload(0)
		s.wantPost("gh", keys[0], http.StatusNoContent)
	}
	if err := os.Remove(filepath.Join(s.dir, "stanch.yaml")); err != nil {
		t.Fatal(err)
	}
	if log := s.hangUp()(); !strings.Contains(log, "stanch.yaml: cannot be read: no such file") {
		t.Errorf("the file is gone, and the log says:\n%s", log)
	}
	s.wantReload(0)
	s.reloadsTo(first)
	s.waitSettled(1)
}

// TestReloadPolicy: the policy decides from the next alert on.
func TestReloadPolicy(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "")
	keys := s.population(7)
	disable := keys[3] // without a setting of its own
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.waitSettled(1)
	s.reloadsTo(s.config() + "policy: {dry_run: true}\n")
	s.wantPost("gh", disable, http.StatusNoContent)
	s.waitSettled(2)
	if k, _ := s.iam.Key(disable.id); k.Disabled {
		t.Error("a key was disabled in a dry run")
	}
	if k, _ := s.iam.Key(keys[0].id); !k.Disabled {
		t.Error("the key before the dry run is not disabled")
	}
}

// TestReloadNotifiers: a new notifier is told of the next incident and links to the new URL, one that is gone is not told.
func TestReloadNotifiers(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.waitFor("a notice of console", func() bool { return gauge(s.get("/metrics"), `stanch_notices_total{notifier="console",result="delivered"}`) == 1 })
	changed := strings.Replace(s.config(), "{name: console,", "{name: other,", 1)
	s.reloadsTo(strings.Replace(changed, "web: {", "web: {external_url: \"https://new.example\", ", 1))
	s.wantPost("gh", keys[1], http.StatusNoContent)
	s.waitFor("a notice of other", func() bool { return gauge(s.get("/metrics"), `stanch_notices_total{notifier="other",result="delivered"}`) == 1 })
	if strings.Contains(s.get("/metrics"), `notifier="console"`) {
		t.Error("the metrics still tell of the notifier that is gone")
	}
	if n := strings.Count(s.output.String(), "https://new.example/"); n != 1 {
		t.Errorf("got %d notices that link to the new URL, want 1:\n%s", n, s.output)
	}
}

// TestReloadRetention: what is older than the new retention is forgotten at once.
func TestReloadRetention(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.waitSettled(1)
	days := filepath.Join(s.dir, "keys", "*", "*.day")
	if found, err := filepath.Glob(days); err != nil || len(found) == 0 {
		t.Fatalf("got the keys of days %v, %v", found, err)
	}
	s.reloadsTo(s.config() + "retention: 1ms\n")
	s.waitFor("nothing is left of the day", func() bool {
		found, _ := filepath.Glob(days)
		return len(found) == 0
	})
}

// TestReloadWithoutPublicKeys: a new source whose key server is down does not keep the rest waiting for ever.
func TestReloadWithoutPublicKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for ten seconds")
	}
	s := newSite(t, ibmtest.Switches{}, "")
	keys := s.population(7)
	s.start()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	s.write("stanch.yaml", s.withSource("new", server.URL)+"policy: {dry_run: true}\n")
	if log := s.hangUp()(); !strings.Contains(log, "configuration reloaded") || !strings.Contains(log, "no public keys") {
		t.Errorf("the log says:\n%s", log)
	}
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.wantPost("new", keys[0], http.StatusServiceUnavailable)
	s.waitSettled(1)
	if k, _ := s.iam.Key(keys[0].id); k.Disabled {
		t.Error("a key was disabled in a dry run")
	}
}

// TestReloadCredential: an issuer whose key file holds another key is opened again; one that is the same keeps its token.
func TestReloadCredential(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.waitSettled(1)
	tokens := s.iam.Requests()["POST /identity/token"]
	s.reloadsTo(s.config())
	s.wantPost("gh", keys[3], http.StatusNoContent)
	s.waitSettled(2)
	if now := s.iam.Requests()["POST /identity/token"]; tokens == 0 || now != tokens {
		t.Errorf("the same credential was exchanged for a token %d times before the reload and %d after", tokens, now)
	}

	var old string
	for _, k := range s.iam.Keys() {
		if k.Name == "stanch" {
			old = k.ID
		}
	}
	_, own := s.iam.AddKey(ibmtest.Key{Name: "stanch-2", Administrator: true})
	s.write("apikey", own.Reveal())
	s.reloadsTo(s.config())
	s.iam.RevokeTokens()
	if !s.iam.Act("delete", old) {
		t.Fatal("there is no old key")
	}
	s.wantPost("gh", keys[1], http.StatusNoContent)
	s.waitSettled(3)
	if _, there := s.iam.Key(keys[1].id); there {
		t.Error("the key is there, so the new credential is not in use")
	}
	s.wantNothingPlanted()
}

// TestReloadOverHTTP: whoever may act can have the configuration read again, and is told what is wrong with it; who is
// not known cannot.
func TestReloadOverHTTP(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "")
	s.start()
	first := s.config()
	if status, text := s.asksSocket("/-/reload"); status != http.StatusOK {
		t.Errorf("a good file was answered %d: %s", status, text)
	}
	s.write("stanch.yaml", first+"polcy: {}\n")
	if status, text := s.asksSocket("/-/reload"); status != http.StatusConflict || !strings.Contains(text, "did you mean policy?") {
		t.Errorf("a wrong file was answered %d: %s", status, text)
	}
	s.wantReload(0)
	response, err := http.Post("http://"+s.private+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger was answered %d, want 401", response.StatusCode)
	}
}

// asksSocket posts to the unix socket.
func (s *site) asksSocket(path string) (status int, text string) {
	s.t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.dir, "data", "stanch.sock"))
	}}}
	defer client.CloseIdleConnections()
	response, err := client.Post("http://localhost"+path, "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
