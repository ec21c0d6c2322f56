package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stanch/dispositions/ibmcloud/ibmtest"
	"stanch/receiver/sourcetest"
)

// plant is the beginning of every token in these tests: it must not be found anywhere in clear.
const plant = "planted-"

// site is what a process of stanch runs in: its directory, the vendors around it, and the sender.
type site struct {
	t       testing.TB
	dir     string
	public  string // host:port
	private string
	iam     *ibmtest.Server
	keys    *sourcetest.KeyServer
	signer  *sourcetest.Signer
	output  *lockedBuffer // what every process so far printed
	process *exec.Cmd
	exited  chan error
}

// lockedBuffer is written by processes and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newSite makes a site. Further lines of configuration are appended as they are.
func newSite(t testing.TB, switches ibmtest.Switches, more string) *site {
	t.Helper()
	signer, err := sourcetest.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	switches.Unset = "absent"
	iam, err := ibmtest.Start(ibmtest.Options{Switches: switches})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iam.Close)
	s := &site{
		t: t, dir: t.TempDir(), iam: iam, signer: signer, keys: sourcetest.NewKeyServer(signer),
		public: freeAddress(t), private: freeAddress(t), output: &lockedBuffer{},
	}
	keyServer := httptest.NewServer(s.keys)
	t.Cleanup(keyServer.Close)
	_, own := iam.AddKey(ibmtest.Key{Name: "stanch", Administrator: true})
	s.write("apikey", own.Reveal())
	s.write("stanch.yaml", fmt.Sprintf(`store: {embedded: {dir: data}}
keys_dir: keys
web: {public: {address: %q}, private: {address: %q}}
sources:
  - {name: gh, type: github_partner, keys_url: %q}
issuers:
  - {name: ibm, type: ibmcloud, url: %q, auth: {apikey_file: apikey}, token_types: [ibm_cloud_iam_key]}
notifiers:
  - {name: console, type: console}
%s`, s.public, s.private, keyServer.URL, iam.URL(), more))
	t.Cleanup(func() { s.kill() })
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// freeAddress finds a port that nobody listens on, below those that the system gives to outgoing connections: a process
// that is killed must find it free again.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)))
		if err == nil {
			defer func() { _ = l.Close() }()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// launch runs the binary.
func (s *site) launch() {
	s.t.Helper()
	s.process = s.program("serve", "--config.file", "stanch.yaml")
	s.process.Stdout, s.process.Stderr = s.output, s.output
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan error, 1)
	go func(p *exec.Cmd, exited chan<- error) { exited <- p.Wait() }(s.process, s.exited)
}

// start runs the binary and waits until it serves.
func (s *site) start() {
	s.t.Helper()
	s.launch()
	for {
		if s.get("/-/ready") != "" {
			return
		}
		select {
		case err := <-s.exited:
			s.t.Fatalf("serve ended: %v\n%s", err, s.output)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// kill ends the process as a power cut does.
func (s *site) kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	_ = s.wait()
	s.process = nil
}

// wait returns how the process ended, once it has.
func (s *site) wait() error { return <-s.exited }

// stop ends the process as a supervisor does, and returns how it ended.
func (s *site) stop() error {
	_ = s.process.Process.Signal(syscall.SIGTERM)
	err := <-s.exited
	s.process = nil
	return err
}

// get asks the private listener; empty when there is no good answer.
func (s *site) get(path string) string {
	response, err := http.Get("http://" + s.private + path)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

type record struct {
	Token  string `json:"token"`
	Type   string `json:"type"`
	URL    string `json:"url"`
	Source string `json:"source"`
}

// post delivers records, signed, and returns the status; 0 when there was no answer.
func (s *site) post(records []record) int {
	s.t.Helper()
	body, err := json.Marshal(records)
	if err != nil {
		s.t.Fatal(err)
	}
	status, _ := s.postBody(body, s.signer.GitHubHeader(body))
	return status
}

func (s *site) postBody(body []byte, header http.Header) (status int, answer string) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+s.public+"/hooks/gh", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// command runs the binary beside serve.
func (s *site) command(args ...string) (string, error) {
	out, err := s.program(args...).CombinedOutput()
	return string(out), err
}

// program is the binary, about to run in the site. The race detector would let each wait a second before it ends.
func (s *site) program(args ...string) *exec.Cmd {
	c := exec.Command("stanch", args...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return c
}

// incident is what the test reads of the API's answer.
type incident struct {
	ID    string `json:"id"`
	State string `json:"state"`
	Key   struct {
		ID string `json:"id"`
	} `json:"key"`
	Steps []struct {
		Step string `json:"step"`
	} `json:"steps"`
}

func (s *site) incidents() []incident {
	s.t.Helper()
	out, err := s.command("incidents", "list", "--limit", "0", "-o", "json")
	if err != nil {
		s.t.Fatalf("listing incidents: %v\n%s", err, out)
	}
	var list []incident
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.t.Fatalf("%v in %.200s", err, out)
	}
	return list
}

// leaked is a key that leaked, and how it has to end.
type leaked struct {
	key   ibmtest.Key
	id    string
	state string
	dead  func(k ibmtest.Key, there bool) bool // what the issuer has to say of it
}

func alive(k ibmtest.Key, there bool) bool    { return there && !k.Disabled }
func disabled(k ibmtest.Key, there bool) bool { return there && k.Disabled }
func gone(_ ibmtest.Key, there bool) bool     { return !there }

// population makes n keys of every kind, and adds them to the fake.
func (s *site) population(n int) []leaked {
	kinds := []leaked{
		{key: ibmtest.Key{Setting: "disable"}, state: "contained", dead: disabled},
		{key: ibmtest.Key{Setting: "delete"}, state: "contained", dead: gone},
		{key: ibmtest.Key{Setting: "none"}, state: "left", dead: alive},
		{key: ibmtest.Key{}, state: "contained", dead: disabled},
		{key: ibmtest.Key{Setting: "disable", Disabled: true}, state: "contained", dead: disabled},
		{key: ibmtest.Key{Setting: "delete", Locked: true}, state: "failed", dead: alive},
		{state: "unknown", dead: gone},
	}
	keys := make([]leaked, n)
	for i := range keys {
		keys[i] = kinds[i%len(kinds)]
		keys[i].key.Name = fmt.Sprintf("key-%d", i)
		keys[i].key.Value = secret(fmt.Sprintf("%s%032d", plant, i))
		if keys[i].state != "unknown" {
			keys[i].id, _ = s.iam.AddKey(keys[i].key)
		}
	}
	return keys
}

func (k leaked) record() record {
	return record{k.key.Value.Reveal(), "ibm_cloud_iam_key", "https://example.com/" + k.key.Name, "commit"}
}

// TestKilledFiveTimes posts 1,000 alerts and kills the process five times on the way, at every position of the switches
// of the fake IAM: no acknowledged alert is lost, every key ends as it is configured, none is acted on against it.
func TestKilledFiveTimes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	for i, switches := range ibmtest.Positions() {
		t.Run(fmt.Sprintf("%+v", switches), func(t *testing.T) {
			s := newSite(t, switches, "policy: {fuse: {max: 100000}}\n")
			keys := s.population(1000)
			s.start()
			s.postAndKill(keys, rand.New(rand.NewPCG(uint64(i), 1)))
			s.waitSettled(len(keys))
			s.wantEnds(keys)
			s.wantNothingPlanted()
			if err := s.stop(); err != nil {
				t.Errorf("serve ended with %v on SIGTERM\n%.2000s", err, s.output)
			}
		})
	}
}

// postAndKill delivers every key in batches, each again until it is acknowledged, as GitHub does, and some of them twice;
// now and then, while work is under way, it kills the process.
func (s *site) postAndKill(keys []leaked, random *rand.Rand) {
	s.t.Helper()
	const batch, kills = 20, 5
	batches := len(keys) / batch
	for n := range batches {
		var records []record
		for _, k := range keys[n*batch : (n+1)*batch] {
			records = append(records, k.record())
		}
		if n%(batches/kills) == batches/kills-1 {
			go func(p *os.Process, after time.Duration) {
				time.Sleep(after)
				_ = p.Kill()
			}(s.process.Process, time.Duration(random.IntN(30))*time.Millisecond)
			s.post(records) // with or without an answer
			_ = s.wait()
			s.start()
		}
		for s.post(records) != http.StatusNoContent {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// waitSettled waits until as many incidents are there and none is open, and nothing is queued.
func (s *site) waitSettled(n int) {
	s.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		metrics := s.get("/metrics")
		settled := 0
		for _, state := range []string{"contained", "left", "failed", "unknown"} {
			settled += gauge(metrics, fmt.Sprintf("stanch_incidents{state=%q}", state))
		}
		if settled == n && gauge(metrics, `stanch_queue_pending{stream="ALERTS"}`) == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d incidents are settled:\n%s\n%.3000s", settled, n, grep(metrics, "stanch_"), s.output)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// gauge reads one sample of a scrape; 0 when it is not there.
func gauge(metrics, series string) int {
	_, rest, found := strings.Cut(metrics, "\n"+series+" ")
	var n float64
	if found {
		_, _ = fmt.Sscan(rest, &n)
	}
	return int(n)
}

func grep(text, prefix string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func (s *site) wantEnds(keys []leaked) {
	s.t.Helper()
	byKey := map[string]incident{}
	unknown := 0
	for _, i := range s.incidents() {
		byKey[i.Key.ID] = i
		if i.State == "unknown" {
			unknown++
		}
	}
	for _, k := range keys {
		now, there := s.iam.Key(k.id)
		if !k.dead(now, there) {
			s.t.Errorf("key %s, set to %q, ended there %v, disabled %v", k.key.Name, k.key.Setting, there, now.Disabled)
		}
		if k.state == "unknown" {
			unknown--
			continue
		}
		i := byKey[k.id]
		if outcomes := i.outcomes(); i.State != k.state || outcomes != 1 {
			s.t.Errorf("incident of key %s is %q with %d outcomes, want %s with one", k.key.Name, i.State, outcomes, k.state)
		}
		if n := s.iam.Count("disable", k.id) + s.iam.Count("delete", k.id); n > 6 {
			s.t.Errorf("key %s was acted on %d times", k.key.Name, n)
		}
	}
	if unknown != 0 {
		s.t.Errorf("%d more unknown incidents than unknown keys", unknown)
	}
	for _, e := range s.iam.Journal() {
		if e.Op == "unlock" {
			s.t.Errorf("key %s was unlocked against policy", e.Key)
		}
	}
}

func (i incident) outcomes() int {
	n := 0
	for _, step := range i.Steps {
		switch step.Step {
		case "proved", "left", "failed", "unknown":
			n++
		}
	}
	return n
}

// TestStopsInOrder ends a serve under load with SIGTERM.
func TestStopsInOrder(t *testing.T) {
	s := newSite(t, ibmtest.Switches{}, "policy: {fuse: {max: 100000}}\n")
	keys := s.population(70)
	s.start()
	for _, k := range keys {
		if status := s.post([]record{k.record()}); status != http.StatusNoContent {
			t.Fatalf("got %d", status)
		}
	}
	if err := s.stop(); err != nil {
		t.Errorf("serve ended with %v\n%s", err, s.output)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "data", "stanch.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	s.start()
	s.waitSettled(len(keys))
	s.wantEnds(keys)
}
