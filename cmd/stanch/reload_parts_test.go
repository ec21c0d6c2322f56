package main_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stanch/dispositions/ibmfake"
)

// TestReloadKeepsTheOld: a file that is wrong, or is gone, or changes what needs a restart, changes nothing and is told
// in full, without a value.
func TestReloadKeepsTheOld(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
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
		{
			"a rule", "notifiers:", "policy: {rules: [{name: r, when: 'key.nme == \"" + plant + "\"', action: nothing}]}\nnotifiers:",
			[]string{"stanch.yaml:8:38: policy.rules[0].when: "},
		},
		{"no key file", "apikey}", plant + "apikey}", []string{"stanch.yaml:7: issuers[0].auth.apikey_file: no such file"}},
		{"another store", "{dir: data}", "{dir: elsewhere}", []string{"stanch.yaml:1: store: cannot change while stanch runs"}},
		{"other keys", "keys_dir: keys", "keys_dir: other", []string{"keys_dir: cannot change while stanch runs"}},
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
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
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
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.waitFor("a notice of console", func() bool {
		return gauge(s.get("/metrics"), `stanch_notices_total{notifier="console",result="delivered"}`) == 1
	})
	changed := strings.Replace(s.config(), "{name: console,", "{name: other,", 1)
	s.reloadsTo(strings.Replace(changed, "web: {", "web: {external_url: \"https://new.example\", ", 1))
	s.wantPost("gh", keys[1], http.StatusNoContent)
	s.waitFor("a notice of other", func() bool {
		return gauge(s.get("/metrics"), `stanch_notices_total{notifier="other",result="delivered"}`) == 1
	})
	if strings.Contains(s.get("/metrics"), `notifier="console"`) {
		t.Error("the metrics still tell of the notifier that is gone")
	}
	if n := strings.Count(s.output.String(), "https://new.example/"); n != 1 {
		t.Errorf("got %d notices that link to the new URL, want 1:\n%s", n, s.output)
	}
}

// TestReloadRetention: what is older than the new retention is forgotten at once.
func TestReloadRetention(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.waitSettled(1)
	where := `"url": "https://` // as a sighting has it
	if !strings.Contains(s.get("/api/v1/incidents"), where) {
		t.Fatal("the incident does not say where the key was seen")
	}
	s.reloadsTo(s.config() + "retention: 1ms\n")
	s.waitFor("nothing is left of the day", func() bool { return !strings.Contains(s.get("/api/v1/incidents"), where) })
}

// TestReloadWithoutPublicKeys: a new source whose key server is down does not keep the rest waiting for ever.
func TestReloadWithoutPublicKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
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
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.wantPost("gh", keys[0], http.StatusNoContent)
	s.waitSettled(1)
	tokens := s.iam.Requests()["POST /identity/token"]
	s.reloadsTo(s.config())
	s.wantPost("gh", keys[3], http.StatusNoContent)
	s.waitSettled(2)
	const tried = 1 // the value that leaked after the reload
	if now := s.iam.Requests()["POST /identity/token"]; tokens == 0 || now != tokens+tried {
		t.Errorf("a token was asked for %d times before the reload and %d after: the same credential was exchanged again", tokens, now)
	}

	var old string
	for _, k := range s.iam.Keys() {
		if k.Name == "stanch" {
			old = k.ID
		}
	}
	_, own := s.iam.AddKey(ibmfake.Key{Name: "stanch-2", Administrator: true})
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
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
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
