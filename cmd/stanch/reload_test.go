package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
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

	"stanch/dispositions/ibmfake"
	"stanch/receiver/feedfake"
	"stanch/receiver/queue/soak"
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
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
	keys := s.population(soak.Size(70, 210))
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
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.wantPost("new", keys[0], http.StatusNotFound)

	other := httptest.NewServer(feedfake.NewKeyServer(s.signer))
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
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	keys := s.population(7)
	s.start()
	slow := feedfake.NewKeyServer(s.signer)
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
