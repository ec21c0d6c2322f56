package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"stanch/dispositions/ibmfake"
)

// patience is how long a test waits for what has to come: only what hangs takes so long, on however busy a machine.
const patience = 10 * time.Minute

// waitFor waits until something is so.
func (s *site) waitFor(what string, so func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not in %s: %s\n%.3000s", patience, what, s.output)
		}
	}
}

// order runs an order, which must succeed.
func (s *site) order(args ...string) string {
	s.t.Helper()
	out, err := s.command(append([]string{"incidents"}, args...)...)
	if err != nil {
		s.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return out
}

// one makes a key, lets it leak, and returns the incident's id.
func (s *site) one(k ibmfake.Key, state string) (key leaked, id string) {
	s.t.Helper()
	k.Name, k.Value = "demo", secret(plant+strings.Repeat("0", 32))
	key.key = k
	key.id, _ = s.iam.AddKey(k)
	if status := s.post([]record{key.record()}); status != http.StatusNoContent {
		s.t.Fatalf("got %d", status)
	}
	s.waitFor("an incident that is "+state, func() bool {
		list := s.incidents()
		return len(list) == 1 && list[0].State == state
	})
	return key, s.incidents()[0].ID
}

// TestUndoAgainstReplays replays a signed body a hundred times after an undo, over restarts: nothing is done, and one
// notice comes. A new sighting acts.
func TestUndoAgainstReplays(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	key, id := s.one(ibmfake.Key{Setting: "disable"}, "contained")
	if out := s.order("undo", id, "--reason", "it is the public demo key"); !strings.Contains(out, "the key is enabled") {
		t.Errorf("got %q", out)
	}
	if now, there := s.iam.Key(key.id); !alive(now, there) {
		t.Error("the key is not enabled again")
	}
	body, err := json.Marshal([]record{key.record()})
	if err != nil {
		t.Fatal(err)
	}
	header := s.signer.GitHubHeader(body)
	for n := range 100 {
		if n == 50 {
			s.kill()
			s.start()
		}
		if status, _ := s.postBody(body, header); status != http.StatusNoContent {
			t.Fatalf("replay %d: got %d", n, status)
		}
	}
	s.waitFor("replays worked off", func() bool {
		return gauge(s.get("/metrics"), `stanch_queue_pending{stream="ALERTS"}`) == 0
	})
	const page = "was seen again and works"
	s.waitFor("a page", func() bool { return strings.Count(s.output.String(), page) > 0 })
	if n := strings.Count(s.output.String(), page); n != 1 {
		t.Errorf("%d pages, want one", n)
	}
	if n := s.iam.Count("disable", key.id); n != 1 {
		t.Errorf("disabled %d times, want once", n)
	}
	again := key.record()
	again.URL = "https://example.com/elsewhere"
	s.post([]record{again})
	s.waitContained(1)
	if now, there := s.iam.Key(key.id); !disabled(now, there) {
		t.Error("a new sighting did not act")
	}
	s.wantNothingPlanted()
}

// TestOrdersOverTheSocket gives orders as people do, wrong ones too.
func TestOrdersOverTheSocket(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	key, id := s.one(ibmfake.Key{Setting: "delete", Locked: true}, "failed")
	secretReason := "look at " + key.key.Value.Reveal() + ", please"
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"close", id}, 2, `required flag(s) "reason" not set`},
		{[]string{"close", id, "--reason", " "}, 1, "give a reason"},
		{[]string{"close", id, "--reason", "two\nlines"}, 1, "one line of text"},
		{[]string{"close", id, "--reason", "\x1b[2J"}, 1, "one line of text"},
		{[]string{"close", id, "--reason", strings.Repeat("x", 501)}, 1, "500 characters at most"},
		{[]string{"close", id, "--reason", secretReason}, 1, "the reason holds a leaked secret"},
		{[]string{"close", "xyz", "--reason", "x"}, 2, "ID must consist of the digits"},
		{[]string{"close", strings.Repeat("0", 64), "--reason", "x"}, 1, "no such incident"},
		{[]string{"approve", id, "--reason", "x"}, 1, "the incident is failed: nothing waits for approval"},
		{[]string{"approve", id, "--issuer", "ibm", "--account", "a", "--reason", "x"}, 2, "not both"},
		{[]string{"approve", "--account", "a", "--reason", "x"}, 2, "issuer"},
		{[]string{"approve", "--issuer", "ibm", "--account", "a", "--reason", "x"}, 0, "approve: 0 incidents"},
		{[]string{"undo", id, "--reason", "x"}, 1, "the key is not disabled"},
		{[]string{"close", id, "--reason", "x", "--user", "alice"}, 1, "are for --server"},
		{[]string{"retry", id, "--reason", "perhaps now"}, 0, "the incident is failed: the key is locked"},
		{[]string{"close", id, "--reason", "its owner knows"}, 0, "the incident is closed"},
		{[]string{"close", id, "--reason", "again"}, 0, "did that at"},
	} {
		out, err := s.command(append([]string{"incidents"}, test.args...)...)
		if code := 0; err != nil {
			code = exitCode(err)
			if code != test.code {
				t.Errorf("%q: exit code %d, want %d", test.args, code, test.code)
			}
		} else if test.code != 0 {
			t.Errorf("%q: it succeeded", test.args)
		}
		if !strings.Contains(out, test.want) {
			t.Errorf("%q: got %q, want %q", test.args, out, test.want)
		}
	}
	out := s.order("show", id)
	for _, want := range []string{"retried", "perhaps now", "its owner knows", "(uid "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if n := strings.Count(out, "its owner knows"); n != 1 {
		t.Errorf("closed %d times", n)
	}
	s.wantNothingPlanted()
}

// TestOrdersOverTCP signs in as a user of the web configuration file, and as nobody.
func TestOrdersOverTCP(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	hash := s.askForPassword()
	s.write("password", "correct\n")
	s.startBehindPassword()
	_, id := s.one(ibmfake.Key{Setting: "none"}, "left")
	path := "/api/v1/incidents/" + id + "/close"
	const good = `{"reason": "because"}`
	for _, test := range []struct {
		name, user, password, body string
		header                     map[string]string
		want                       int
	}{
		{"nobody", "", "", good, nil, 401},
		{"wrong password", "alice", "wrong", good, nil, 401},
		{"a stranger", "mallory", "correct", good, nil, 401},
		{"from another page", "alice", "correct", good, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"from another origin", "alice", "correct", good, map[string]string{"Origin": "https://evil.example"}, 403},
		{"no JSON", "alice", "correct", "reason=because", nil, 400},
		{"another field", "alice", "correct", `{"reason": "x", "by": "bob"}`, nil, 400},
		{"no reason", "alice", "correct", `{}`, nil, 400},
		{"a long body", "alice", "correct", `{"reason": "` + strings.Repeat("x", 20000) + `"}`, nil, 400},
	} {
		if status, answer := s.act(path, test.user, test.password, test.body, test.header); status != test.want {
			t.Errorf("%s: got %d, want %d: %s", test.name, status, test.want, answer)
		}
	}
	if status, _ := s.act("/api/v1/incidents/"+id+"/explode", "alice", "correct", good, nil); status != http.StatusNotFound {
		t.Errorf("an unknown action: got %d", status)
	}
	// Without its users the file lets everybody read. A name that nobody checked must not act.
	s.write("web.yaml", "basic_auth_users: {}\n")
	if status, _ := s.act(path, "alice", "correct", good, nil); status != http.StatusUnauthorized {
		t.Errorf("with no users in the file: got %d, want 401", status)
	}
	s.write("web.yaml", fmt.Sprintf("basic_auth_users: {alice: %q}\n", hash))
	out, err := s.command("incidents", "close", id, "--reason", "because", "--server", "http://"+s.private,
		"--user", "alice", "--password-file", "password")
	if err != nil || !strings.Contains(out, "the incident is closed") {
		t.Errorf("got %q, %v", out, err)
	}
	out, err = s.command("incidents", "show", id, "--server", "http://"+s.private, "--user", "alice", "--password-file", "password")
	if err != nil || !strings.Contains(out, "closed: because  (alice)") {
		t.Errorf("got %q, %v", out, err)
	}
}

// askForPassword lets alice sign in at the private listener, and nobody else. It returns the hash of her password, which is
// correct.
func (s *site) askForPassword() (hash []byte) {
	s.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("correct"), bcrypt.MinCost)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("web.yaml", fmt.Sprintf("basic_auth_users: {alice: %q}\n", hash))
	s.rewrite("stanch.yaml", "private: {", "private: {config_file: web.yaml, ")
	return hash
}

// startBehindPassword starts a serve whose private listener asks for a password: it is ready when the socket answers.
func (s *site) startBehindPassword() {
	s.t.Helper()
	s.launch()
	s.waitFor("an answer over the socket", func() bool {
		_, err := s.command("incidents", "list")
		return err == nil
	})
}

// act posts to the private listener.
func (s *site) act(path, user, password, body string, header map[string]string) (status int, answer string) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+s.private+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// TestFuseHoldsAndIsReleased floods an account past the fuse with the binary, and releases all of it at once.
func TestFuseHoldsAndIsReleased(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 5, per: 1h}}\n")
	s.start()
	var keys []leaked
	var records []record
	for n := range 40 {
		k := leaked{key: ibmfake.Key{Setting: "disable", Name: fmt.Sprintf("key-%d", n), Value: secret(fmt.Sprintf("%s%032d", plant, n))}}
		k.id, _ = s.iam.AddKey(k.key)
		keys = append(keys, k)
		records = append(records, k.record())
	}
	if status := s.post(records); status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	s.waitFor("35 held", func() bool { return gauge(s.get("/metrics"), "stanch_fuse_held") == 35 })
	s.waitContained(5)
	const page = "so disabling it waits for approval"
	s.waitFor("a page", func() bool { return strings.Contains(s.output.String(), page) })
	account, _ := s.iam.Key(keys[0].id)
	if out := s.order("approve", "--issuer", "ibm", "--account", account.Account, "--reason", "all leaked"); !strings.Contains(out, "approve: 35 incidents") {
		t.Errorf("got %q", out)
	}
	s.waitContained(40)
	for _, k := range keys {
		if now, there := s.iam.Key(k.id); !disabled(now, there) || s.iam.Count("disable", k.id) != 1 {
			t.Errorf("key %s: disabled %d times", k.key.Name, s.iam.Count("disable", k.id))
		}
	}
	if n := strings.Count(s.output.String(), page); n != 1 {
		t.Errorf("%d pages of held keys, want one", n)
	}
}
