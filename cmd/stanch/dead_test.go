package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/soak"
	"stanch/receiver/seal"
)

// deadLetter is what the tests read of a dead letter.
type deadLetter struct {
	ID                             int
	Source, What, Reason, Obstacle string
	Fingerprint                    string
	Size                           int
	Pointer                        *struct{ Ref string }
}

// dead runs a dead command, which must end with the code, and checks that it shows no token.
func (s *site) dead(code int, args ...string) string {
	s.t.Helper()
	out, err := s.command(append([]string{"dead"}, args...)...)
	if exitCode(err) != code {
		s.t.Fatalf("%q ended with %v, want %d: %s", args, err, code, out)
	}
	wantNot(s.t, fmt.Sprint(args), out)
	return out
}

func (s *site) deadList(args ...string) (list []deadLetter) {
	s.t.Helper()
	out := s.dead(0, append([]string{"list", "--limit", "0", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.t.Fatalf("%v in %.200s", err, out)
	}
	return list
}

func (s *site) deadShow(id int) (d deadLetter) {
	s.t.Helper()
	out := s.dead(0, "show", fmt.Sprint(id), "-o", "json")
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		s.t.Fatalf("%v in %.200s", err, out)
	}
	return d
}

// waitDead waits until so many dead letters are there.
func (s *site) waitDead(n int) {
	s.t.Helper()
	s.waitFor(fmt.Sprint(n, " dead letters"), func() bool { return gauge(s.get("/metrics"), "stanch_dead_letters") == n })
}

// want checks what a command printed.
func (s *site) wantText(out string, wanted ...string) {
	s.t.Helper()
	for _, text := range wanted {
		if !strings.Contains(out, text) {
			s.t.Errorf("%q is not in\n%s", text, out)
		}
	}
}

// TestDeadRecords delivers records that cannot be read: they stay what they are, sealed, because this version cannot read
// them either.
func TestDeadRecords(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	body := []byte(`[{"token":["` + plant + `1"]},{"token":"","type":"` + plant + `2"},"` + plant + `3"]`)
	if status, _ := s.postBody(body, s.signer.GitHubHeader(body)); status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	list := s.deadList()
	if len(list) != 3 {
		t.Fatalf("got %+v", list)
	}
	for _, d := range list {
		if d.What != "record" || d.Source != "gh" || d.Reason == "" || len(d.Fingerprint) != 64 || d.Size < 100 {
			t.Errorf("got %+v", d)
		}
		if shown := s.deadShow(d.ID); !strings.HasSuffix(shown.Obstacle, d.Reason) {
			t.Errorf("of %+v the obstacle is %q", d, shown.Obstacle)
		}
		s.wantText(s.dead(1, "replay", fmt.Sprint(d.ID), "--reason", "try"), "reading the record again: "+d.Reason)
	}
	s.wantText(s.dead(0, "list"), "ID  SOURCE  WHAT    AT", "3   gh      record")
	s.wantText(s.dead(0, "show", "1"), "sealed", " bytes", list[2].Fingerprint, "it cannot be put back: ")
	s.wantText(s.dead(0, "replay", "--all", "--reason", "try"), "0 dead letters are on their queues", "1 stay: reading the record again: ")
	if left := s.deadList("--source", "gh"); len(left) != 3 {
		t.Errorf("%d are left", len(left))
	}
	if other := s.deadList("--source", "other"); len(other) != 0 {
		t.Errorf("another source has %+v", other)
	}
	s.wantText(s.dead(1, "show", "99"), "no such dead letter")
	s.wantText(s.dead(1, "replay", "99", "--reason", "try"), "no such dead letter")
	s.wantNothingPlanted()
}

// TestDeadReadableRecord has a record among the dead letters that this version can read, as after an upgrade.
func TestDeadReadableRecord(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	k := leaked{key: ibmfake.Key{Setting: "disable", Value: secret(plant + strings.Repeat("5", 32))}}
	k.id, _ = s.iam.AddKey(k.key)
	s.buryRecords(k.record())
	s.start()
	s.waitDead(1)
	s.wantText(s.dead(0, "show", "1"), "it can be put back now")
	s.wantText(s.dead(0, "replay", "1", "--reason", "a version that reads it"), "the record is on its queue again")
	s.waitContained(1)
	if len(s.deadList()) != 0 {
		t.Error("it is still dead")
	}
	s.wantText(s.dead(1, "replay", "1", "--reason", "again"), "it was put back already")
	s.wantNothingPlanted()
}

// buryRecords puts records into the dead letters of a store that no process has open, as a version does that cannot read
// them.
func (s *site) buryRecords(records ...record) {
	s.t.Helper()
	recipient, err := seal.LoadRecipient(filepath.Join(s.dir, "keys"))
	if err != nil {
		s.t.Fatal(err)
	}
	var messages []queue.Message
	for _, r := range records {
		raw, err := json.Marshal(r)
		if err != nil {
			s.t.Fatal(err)
		}
		alert, err := recipient.Seal("gh", time.Now(), leak.Content{Secret: secret(string(raw))})
		if err != nil {
			s.t.Fatal(err)
		}
		data, err := json.Marshal(leak.DeadLetter{V: 1, Reason: "the record has a new form", Alert: alert, Record: true, At: time.Now()})
		if err != nil {
			s.t.Fatal(err)
		}
		messages = append(messages, queue.Message{Subject: queue.DeadSubject("gh"), Data: data})
	}
	s.withStore(filepath.Join(s.dir, "data"), func(store *embedded.Store) error {
		return store.Append(s.t.Context(), messages...)
	})
}

// TestReplayKilled kills the process while it puts dead letters back, and puts back the rest: none is lost, and the kill
// repeats a call at most.
func TestReplayKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
	s.start()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	var keys []leaked
	var records []record
	for n := range soak.Size(120, 300) {
		k := leaked{key: ibmfake.Key{Setting: "disable", Name: fmt.Sprint("key-", n), Value: secret(fmt.Sprintf("%s%032d", plant, n))}}
		k.id, _ = s.iam.AddKey(k.key)
		keys, records = append(keys, k), append(records, k.record())
	}
	s.buryRecords(records...)
	s.start()
	s.waitDead(len(keys))
	ended := make(chan error, 1)
	go func() {
		_, err := s.command("dead", "replay", "--all", "--reason", "a version that reads them")
		ended <- err
	}()
	s.waitFor("some put back", func() bool { return gauge(s.get("/metrics"), "stanch_dead_letters") < len(keys)-20 })
	s.kill()
	switch code := exitCode(<-ended); code {
	case 0:
		t.Log("it was over before the kill")
	case 1:
	default:
		t.Errorf("the replay that was cut off ended with %d", code)
	}
	s.start()
	s.wantText(s.dead(0, "replay", "--all", "--reason", "the rest"), " dead letters are on their queues again")
	s.waitContained(len(keys))
	s.waitDead(0)
	for _, k := range keys {
		if now, there := s.iam.Key(k.id); !disabled(now, there) || s.iam.Count("disable", k.id) > 2 {
			t.Errorf("key %s: disabled %d times", k.key.Name, s.iam.Count("disable", k.id))
		}
	}
	s.wantNothingPlanted()
}

// withStore opens a store that belongs to the site's keys.
func (s *site) withStore(dir string, use func(*embedded.Store) error) {
	s.t.Helper()
	key, err := seal.LoadFingerprintKey(filepath.Join(s.dir, "keys"))
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := embedded.Open(s.t.Context(), embedded.Config{Dir: dir, Keys: key.ID()})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := use(store); err != nil {
		s.t.Error(err)
	}
	if err := store.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// TestDeadAlerts loses the sealing key while alerts wait: they become dead letters, and act when the key is back.
func TestDeadAlerts(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
	s.iam.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Status: http.StatusInternalServerError})
	s.start()
	var keys []leaked
	var records []record
	for n := range 20 {
		k := leaked{key: ibmfake.Key{Setting: "disable", Name: fmt.Sprint("key-", n), Value: secret(fmt.Sprintf("%s%032d", plant, n))}}
		k.id, _ = s.iam.AddKey(k.key)
		keys, records = append(keys, k), append(records, k.record())
	}
	if status := s.post(records); status != http.StatusNoContent {
		t.Fatalf("got %d", status)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.iam.ClearFaults()
	identity := s.loseIdentity()
	s.start()
	s.waitDead(len(keys))
	s.wantText(s.dead(1, "replay", "1", "--reason", "try"), "not among our keys")
	s.wantText(s.dead(0, "replay", "--all", "--reason", "try"), "0 dead letters are", "20 stay: ")
	s.wantText(s.dead(1, "replay", "1", "--reason", "the key was "+keys[0].key.Value.Reveal()), "holds a leaked secret")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.rename(identity, strings.TrimSuffix(identity, ".lost"))
	s.start()
	s.wantText(s.dead(0, "show", "1"), "alert", "it can be put back now")
	s.wantText(s.dead(0, "replay", "1", "--reason", "the identity is restored"), "the alert is on its queue again")
	s.waitContained(1)
	var done struct{ Replayed int }
	out := s.dead(0, "replay", "--all", "--source", "gh", "--reason", "the identity is restored", "-o", "json")
	if err := json.Unmarshal([]byte(out), &done); err != nil || done.Replayed != len(keys)-1 {
		t.Errorf("got %s, %v", out, err)
	}
	s.waitContained(len(keys))
	for _, k := range keys {
		if now, there := s.iam.Key(k.id); !disabled(now, there) || s.iam.Count("disable", k.id) != 1 {
			t.Errorf("key %s: disabled %d times", k.key.Name, s.iam.Count("disable", k.id))
		}
	}
	s.waitDead(0)
	if n := strings.Count(s.output.String(), `"msg":"dead letter replayed"`); n != len(keys) {
		t.Errorf("%d of %d were logged", n, len(keys))
	}
	s.wantText(s.output.String(), `"reason":"the identity is restored"`, `"by":"uid `)
	s.wantNothingPlanted()
}

// loseIdentity makes a new sealing identity and takes the old one away, and returns where to.
func (s *site) loseIdentity() string {
	s.t.Helper()
	before, err := filepath.Glob(filepath.Join(s.dir, "keys", "*.identity"))
	if err != nil || len(before) != 1 {
		s.t.Fatalf("found %v, %v", before, err)
	}
	if err := seal.Rotate(filepath.Join(s.dir, "keys")); err != nil {
		s.t.Fatal(err)
	}
	name := filepath.Join("keys", filepath.Base(before[0]))
	s.rename(name, name+".lost")
	return name + ".lost"
}

// TestDeadPointers takes a source out of the configuration while its pointers wait, and puts it back.
func TestDeadPointers(t *testing.T) {
	t.Parallel()
	h := newHooked(t, "")
	token, err := os.ReadFile(filepath.Join(h.dir, "github-token"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("github-token", "not-the-token")
	h.start()
	for n := 1; n <= 3; n++ {
		h.raise(n)
	}
	h.github.Wait()
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	with, err := os.ReadFile(filepath.Join(h.dir, "stanch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("stanch.yaml", withoutLine(string(with), "name: acme"))
	h.start()
	h.waitDead(6) // each alert is told of, and so is its place
	list := h.deadList()
	if list[0].What != "pointer" || list[0].Source != "acme" || list[0].Pointer == nil || !strings.Contains(list[0].Pointer.Ref, "acme/app-") {
		t.Errorf("got %+v", list[0])
	}
	h.wantText(h.dead(0, "show", "1"), "points to", "acme/app-", "it cannot be put back: source acme has no API")
	h.wantText(h.dead(1, "replay", "1", "--reason", "try"), "source acme has no API that is configured")
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	h.write("stanch.yaml", string(with))
	h.write("github-token", string(token))
	h.start()
	h.wantText(h.dead(0, "replay", "--all", "--source", "acme", "--reason", "the source is back"), "6 dead letters are on their queues again")
	h.waitFor("every alert resolved", func() bool { return h.resolved() == 3 })
	h.wantDead()
	h.waitDead(0)
	h.wantNothingPlanted()
}

func withoutLine(text, part string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, part) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// TestDeadNeedsAnActor asks over TCP, as nobody: reading is free, and nothing is put back.
func TestDeadNeedsAnActor(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.start()
	s.post([]record{{Token: "", Type: plant}})
	s.waitDead(1)
	if text := s.get("/api/v1/dead"); !strings.Contains(text, `"what": "record"`) {
		t.Errorf("got %q", text)
	}
	for _, path := range []string{"/api/v1/dead/1/replay", "/api/v1/dead/replay", "/api/v1/audit/verify"} {
		if status, _ := s.act(path, "", "", `{"reason":"x"}`, nil); status != http.StatusUnauthorized {
			t.Errorf("%s: got %d", path, status)
		}
	}
	for path, want := range map[string]int{
		"/api/v1/dead?limit=x": 400, "/api/v1/dead/x": 400, "/api/v1/dead/2": 404, "/api/v1/dead/1": 200, "/api/v1/dead?limit=1": 200,
	} {
		response, err := http.Get("http://" + s.private + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, response.StatusCode, want)
		}
	}
}
