package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/queue/soak"
)

// exitCode is that of a command that ended with this error; -1 when it did not end by itself.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return ended.ExitCode()
	}
	return -1
}

// refuses runs a serve that has to end by itself, with code 1, and say why in one line at its end. It returns the line.
func (s *site) refuses(config string) string {
	s.t.Helper()
	c := s.program("serve", "--config.file", config)
	guard := time.AfterFunc(patience, func() { _ = c.Process.Kill() }) // one that serves would do so for ever
	defer guard.Stop()
	out, err := c.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if exitCode(err) != 1 {
		s.t.Fatalf("serve ended with %v\n%s", err, out)
	}
	return lines[len(lines)-1]
}

// rewrite writes a copy of the configuration with something else in it.
func (s *site) rewrite(name, old, replacement string) {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, "stanch.yaml"))
	if err != nil || !strings.Contains(string(data), old) {
		s.t.Fatalf("no %q in the configuration: %v", old, err)
	}
	s.write(name, strings.Replace(string(data), old, replacement, 1))
}

// files reads everything below a directory of the site whose name ends so.
func (s *site) files(dir, suffix string) map[string]string {
	s.t.Helper()
	found := map[string]string{}
	root := filepath.Join(s.dir, dir)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !strings.HasSuffix(path, suffix) {
			return err
		}
		data, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, root)] = string(data)
		return err
	})
	if err != nil || len(found) == 0 {
		s.t.Fatalf("found %d files in %s, %v", len(found), dir, err)
	}
	return found
}

func (s *site) wantSame(what string, before, after map[string]string) {
	s.t.Helper()
	for name, data := range before {
		if now, ok := after[name]; !ok || now != data {
			s.t.Errorf("%s: %s is there: %v, and not as it was", what, name, ok)
		}
	}
}

func (s *site) rename(from, to string) {
	s.t.Helper()
	if err := os.Rename(filepath.Join(s.dir, from), filepath.Join(s.dir, to)); err != nil {
		s.t.Fatal(err)
	}
}

// TestStoreInUse starts a second serve on the store of a first, which goes on as if nothing had been.
func TestStoreInUse(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.deliver(keys)
	s.waitSettled(len(keys))
	s.rewrite("second.yaml", s.public, "127.0.0.1:0")
	if got := s.refuses("second.yaml"); got != "stanch: opening the store data: it is in use by another process" {
		t.Errorf("got %q", got)
	}
	s.wantEnds(keys) // asked over the socket
	if err := s.stop(); err != nil {
		t.Errorf("the first serve ended with %v", err)
	}
}

// TestPortTaken starts serve where another program listens already.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(*site) string{
		"public":  func(s *site) string { return s.public },
		"private": func(s *site) string { return s.private },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, ibmfake.Switches{}, "")
			other, err := net.Listen("tcp", address(s))
			if err != nil {
				t.Fatal(err)
			}
			want := "stanch: opening the " + name + " listener: listen tcp " + address(s) + ": bind: address already in use"
			if got := s.refuses("stanch.yaml"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
			s.start()
		})
	}
}

// TestOtherKeys starts serve on a store without the keys that it was made with. Nothing of the store is changed, and with
// the keys put back everything is there.
func TestOtherKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	keys := s.population(7)
	s.start()
	s.deliver(keys)
	s.waitSettled(len(keys))
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.rename("keys", "aside")
	aside, blocks := s.files("aside", ""), s.files("data", ".blk")
	if got := s.refuses("stanch.yaml"); !strings.HasPrefix(got, "stanch: reading key: keys/fingerprint.key is missing: restore it") {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "keys")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("keys were made for a store that has others: %v", err)
	}
	if out, err := s.command("keygen", "keys"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := s.refuses("stanch.yaml"); !strings.HasPrefix(got, "stanch: opening the store data: it belongs to other keys") {
		t.Errorf("got %q", got)
	}
	s.wantSame("keys", aside, s.files("aside", ""))
	s.wantSame("store", blocks, s.files("data", ".blk"))
	if err := os.RemoveAll(filepath.Join(s.dir, "keys")); err != nil {
		t.Fatal(err)
	}
	s.rename("aside", "keys")
	s.start()
	s.waitSettled(len(keys))
	s.wantEnds(keys)
}

// TestDirectoryNotWritable starts serve where it may not write.
func TestDirectoryNotWritable(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	s := newSite(t, ibmfake.Switches{}, "")
	if out, err := s.command("keygen", "keys"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, dir := range []string{"data", "closed"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o500); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.refuses("stanch.yaml"); got != "stanch: opening the store data: locking: open data/lock: permission denied" {
		t.Errorf("got %q", got)
	}
	s.rewrite("keys.yaml", "keys_dir: keys", "keys_dir: closed/keys")
	want := "stanch: making the keys directory: mkdir closed/keys: permission denied"
	if got := s.refuses("keys.yaml"); got != want {
		t.Errorf("got %q", got)
	}
	if out, err := s.command("keygen", "closed/keys"); exitCode(err) != 1 || out != want+"\n" {
		t.Errorf("keygen: got %q, %v", out, err)
	}
}

// TestKeyServerDownAtStart delivers while nobody can tell whether GitHub signed, and again when somebody can.
func TestKeyServerDownAtStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	keys := s.population(7)
	s.keys.Fail(http.StatusBadGateway)
	s.start()
	if status, retryAfter := s.send(keys[:1]); status != http.StatusServiceUnavailable || retryAfter == "" {
		t.Errorf("without public keys: got %d, Retry-After %q", status, retryAfter)
	}
	if len(s.incidents()) != 0 {
		t.Error("an unverified delivery made an incident")
	}
	s.keys.Fail(0)
	s.deliver(keys)
	s.waitSettled(len(keys))
	s.wantEnds(keys)
}

// send delivers keys that leaked, once.
func (s *site) send(keys []leaked) (status int, retryAfter string) {
	s.t.Helper()
	var records []record
	for _, k := range keys {
		records = append(records, k.record())
	}
	body, err := json.Marshal(records)
	if err != nil {
		s.t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+s.public+"/hooks/gh", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header = s.signer.GitHubHeader(body)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode, response.Header.Get("Retry-After")
}

// deliver delivers keys that leaked until they are stored: again while the answer is 503, as sources do.
func (s *site) deliver(keys []leaked) {
	s.t.Helper()
	for {
		switch status, _ := s.send(keys); status {
		case http.StatusNoContent:
			return
		case http.StatusServiceUnavailable:
			time.Sleep(50 * time.Millisecond)
		default:
			s.t.Fatalf("the delivery was answered %d\n%s", status, s.output)
		}
	}
}

// TestRotatedKeysOpenWhatWasSealedBefore leaves one alert in the queue and another's secret kept, rotates, and starts again.
func TestRotatedKeysOpenWhatWasSealedBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	late := leaked{key: ibmfake.Key{Name: "late", Value: secret(plant + "late"), Setting: "disable"}, state: "contained", dead: disabled}
	queued := leaked{key: ibmfake.Key{Name: "queued", Value: secret(plant + "queued"), Setting: "delete"}, state: "contained", dead: gone}
	after := leaked{key: ibmfake.Key{Name: "after", Value: secret(plant + "after"), Setting: "disable"}, state: "contained", dead: disabled}
	s.start()
	s.deliver([]leaked{late}) // no issuer knows it yet, so its secret is kept
	s.waitSettled(1)
	s.iam.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Delay: time.Hour})
	s.deliver([]leaked{queued})
	s.kill()
	s.iam.ClearFaults()
	late.id, _ = s.iam.AddKey(late.key)
	queued.id, _ = s.iam.AddKey(queued.key)
	after.id, _ = s.iam.AddKey(after.key)

	if out, err := s.command("keygen", "--rotate", "keys"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.start()
	s.deliver([]leaked{after})
	s.waitContained(3)
	if n := gauge(s.get("/metrics"), "stanch_dead_letters"); n != 0 {
		t.Errorf("%d alerts could not be opened", n)
	}
	for _, k := range []leaked{late, queued, after} {
		if now, there := s.iam.Key(k.id); !k.dead(now, there) {
			t.Errorf("key %s ended there %v, disabled %v", k.key.Name, there, now.Disabled)
		}
	}
}

// waitContained waits until so many incidents are contained.
func (s *site) waitContained(n int) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for gauge(s.get("/metrics"), `stanch_incidents{state="contained"}`) < n {
		if time.Now().After(deadline) {
			s.t.Fatalf("not contained in %s:\n%s\n%.3000s", patience, grep(s.get("/metrics"), "stanch_incidents"), s.output)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// lengthen lets keys leak at places whose addresses fill the store, if there are not keys enough for that.
func lengthen(keys []leaked) {
	if soak.On() {
		return
	}
	for n := range keys {
		keys[n].url = fmt.Sprintf("https://example.com/%d/%s", n, strings.Repeat("x", 4000))
	}
}

// TestFullStore delivers into a small store until it refuses, makes it larger, and finds all that it took.
func TestFullStore(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
	s.rewrite("stanch.yaml", "{dir: data}", "{dir: data, max_bytes: 16MiB}")
	keys := s.population(7 * soak.Size(60, 200))
	lengthen(keys)
	s.start()
	s.iam.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Delay: time.Minute}) // so that alerts pile up
	const batch = 10
	taken := 0
	for ; taken < len(keys); taken += batch {
		status, retryAfter := s.send(keys[taken : taken+batch])
		if status == http.StatusServiceUnavailable && retryAfter != "" {
			break
		}
		if status != http.StatusNoContent {
			t.Fatalf("got %d with Retry-After %q", status, retryAfter)
		}
	}
	if taken == len(keys) {
		t.Fatal("the store is never full, so this shows nothing")
	}
	if s.get("/-/healthy") == "" || s.get("/-/ready") == "" {
		t.Errorf("with a full store the service is not there any more\n%.2000s", s.output)
	}
	if err := s.stop(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	s.iam.ClearFaults()
	s.rewrite("stanch.yaml", "16MiB", "64MiB")
	s.start()
	s.deliver(keys[taken:])
	s.waitSettled(len(keys))
	s.wantEnds(keys)
}
