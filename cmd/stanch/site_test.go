package main_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/feedfake"
	"stanch/receiver/outbound/vendorfake"
)

// site is what a process of stanch runs in: its directory, the vendors around it, and the sender.
type site struct {
	t       testing.TB
	dir     string
	public  string // host:port
	private string
	iam     *ibmfake.Server
	keys    *feedfake.KeyServer
	signer  *feedfake.Signer
	output  *lockedBuffer // what every process so far printed
	work    string        // the working directory of the binary; empty: dir
	env     []string      // of the binary, beside the test's own
	role    string        // of the process; empty: every one
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
func newSite(t testing.TB, switches ibmfake.Switches, more string) *site {
	t.Helper()
	signer, err := feedfake.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	switches.Unset = "absent"
	iam, err := ibmfake.Start(ibmfake.Options{Switches: switches})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iam.Close)
	s := &site{
		t: t, dir: t.TempDir(), iam: iam, signer: signer, keys: feedfake.NewKeyServer(signer),
		public: freeAddress(t), private: freeAddress(t), output: &lockedBuffer{},
	}
	keyServer := httptest.NewServer(s.keys)
	t.Cleanup(keyServer.Close)
	_, own := iam.AddKey(ibmfake.Key{Name: "stanch", Administrator: true})
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

// freeAddress is one that nobody listens on, nor will until it is used.
func freeAddress(t testing.TB) string {
	t.Helper()
	ports, err := vendorfake.Ports(1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", ports[0])
}

// launch runs the binary.
func (s *site) launch() {
	s.t.Helper()
	s.process = s.program(append([]string{"serve", "--config.file", s.configFile()}, s.roles()...)...)
	s.process.Stdout, s.process.Stderr = s.output, s.output
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan error, 1)
	go func(p *exec.Cmd, exited chan<- error) { exited <- p.Wait() }(s.process, s.exited)
}

// configFile is the configuration as the binary finds it.
func (s *site) configFile() string {
	if s.work == "" {
		return "stanch.yaml"
	}
	return filepath.Join(s.dir, "stanch.yaml")
}

func (s *site) roles() []string {
	if s.role == "" {
		return nil
	}
	return []string{"--role", s.role}
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
	c.Dir = cmp.Or(s.work, s.dir)
	c.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), s.env...)
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
