package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/leak"
)

// diagnosis is what doctor printed, and how it ended.
type diagnosis struct {
	t     *testing.T
	code  int
	found []struct {
		Part, Check, Text string
		Result            leak.Result
	}
}

// doctor runs the binary. What it prints must be JSON, hold no secret, and fit how it ends.
func (s *site) doctor(t *testing.T) diagnosis {
	t.Helper()
	d := diagnosis{t: t}
	command := s.program("doctor", "--config.file", "stanch.yaml", "-o", "json")
	out, err := command.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		d.code = exit.ExitCode()
		s.wantNoCredential(t, string(exit.Stderr))
	} else if err != nil {
		t.Fatal(err)
	}
	s.wantNoCredential(t, string(out))
	if err := json.Unmarshal(out, &d.found); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	broken := 0
	for _, f := range d.found {
		if f.Part == "" || f.Check == "" || f.Text == "" {
			t.Errorf("an incomplete finding: %+v", f)
		}
		if f.Result == leak.Broken {
			broken++
		}
	}
	if (broken > 0) != (d.code == 1) || d.code > 1 {
		t.Errorf("it ends with %d after %d failures", d.code, broken)
	}
	return d
}

// wantNoCredential looks for what our own credentials hold.
func (s *site) wantNoCredential(t *testing.T, text string) {
	t.Helper()
	for _, name := range []string{"apikey", "token"} {
		secret, err := os.ReadFile(filepath.Join(s.dir, name))
		if err == nil && strings.Contains(text, strings.TrimSpace(string(secret))) {
			t.Errorf("it prints what the file %s holds", name)
		}
	}
	wantNot(t, "doctor", text)
}

// want looks for a finding with a piece of text, and of a result; empty: of any.
func (d diagnosis) want(part, check string, result leak.Result, text string) {
	d.t.Helper()
	for _, f := range d.found {
		if f.Part == part && f.Check == check && (f.Result == result || result == "") && strings.Contains(f.Text, text) {
			return
		}
	}
	d.t.Errorf("no %s of %s is %s with %q in\n%+v", check, part, result, text, d.found)
}

// wantOnly checks which parts have findings with a result.
func (d diagnosis) wantOnly(result leak.Result, parts ...string) {
	d.t.Helper()
	var got []string
	for _, f := range d.found {
		if f.Result == result && !slices.Contains(got, f.Part) {
			got = append(got, f.Part)
		}
	}
	if !slices.Equal(got, parts) {
		d.t.Errorf("%s: got the parts %q, want %q in\n%+v", result, got, parts, d.found)
	}
}

// edit changes the configuration.
func (s *site) edit(old, replacement string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "stanch.yaml")
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), old) {
		s.t.Fatalf("%q is not in the configuration: %v", old, err)
	}
	s.write("stanch.yaml", strings.Replace(string(data), old, replacement, 1))
}

// runOn makes the site run on another key.
func (s *site) runOn(k ibmfake.Key) {
	k.IAMID = "iam-ServiceId-1"
	_, value := s.iam.AddKey(k)
	s.write("apikey", value.Reveal())
}

func TestDoctorBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.runOn(ibmfake.Key{Administrator: true, Locked: true})
	d := s.doctor(t)
	d.wantOnly(leak.Broken)
	d.wantOnly(leak.Doubt, "store", "serve", "keys", "web")
	d.want("source gh", "key endpoint", leak.Good, "answers 200")
	d.want("source gh", "clock", leak.Good, "agrees")
	d.want("issuer ibm", "credential", leak.Good, "token")
	d.want("issuer ibm", "changing keys", leak.Good, "cannot be proved")
	d.want("issuer ibm", "our own key", leak.Good, "; locked")
	d.want("store", "directory", leak.Doubt, "first start")
	d.want("serve", "ready", leak.Doubt, "nothing takes alerts")
	d.want("keys", "directory", leak.Doubt, "first start")
	d.want("web", "external URL", leak.Doubt, "no link")
	d.want("notifier console", "examination", leak.Good, "nothing to examine")
	if entries, err := os.ReadDir(s.dir); err != nil || len(entries) != 2 {
		t.Errorf("doctor left %v in the directory, %v", entries, err)
	}
}

func TestDoctorBesideServe(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.edit("web: {", "web: {external_url: \"https://stanch.example\", ")
	s.runOn(ibmfake.Key{Administrator: true})
	s.start()
	d := s.doctor(t)
	d.wantOnly(leak.Broken)
	for _, f := range d.found {
		machine := f.Check == "flush" || f.Check == "space" || f.Check == "disk" // how these are is no fault of ours
		if f.Result == leak.Doubt && !machine {
			t.Errorf("an unexpected doubt: %+v", f)
		}
	}
	d.want("store", "directory", leak.Good, "ours alone")
	d.want("store", "flush", "", "each promise costs one")
	d.want("store", "sync", leak.Good, "always")
	d.want("store", "space", "", "are free")
	d.want("keys", "keys", leak.Good, "open what is sealed")
	d.want("serve", "ready", leak.Good, "is ready")
	d.want("serve", "queue", leak.Good, "0 alerts")
	d.want("serve", "dead letters", leak.Good, "none")
	if left, _ := filepath.Glob(filepath.Join(s.dir, "data", ".doctor*")); len(left) > 0 {
		t.Errorf("doctor left %q in the store", left)
	}
	if n := len(s.iam.Journal()); n > 0 {
		t.Errorf("doctor and serve asked IAM for %d effects", n)
	}
	s.post([]record{{Token: "", Type: "ibm_cloud_iam_key"}})
	s.doctor(t).want("serve", "dead letters", leak.Doubt, "1: ")
	out, err := s.command("doctor", "--config.file", "stanch.yaml")
	if err != nil || !strings.HasPrefix(out, "PART") || !strings.Contains(out, "nothing to examine") || !strings.Contains(out, "\nresults: ") || strings.Count(out, "issuer ibm ") < 5 {
		t.Errorf("got %v and\n%s", err, out)
	}
	s.kill()
	s.doctor(t).want("serve", "ready", leak.Doubt, "nothing takes alerts")
}

func TestDoctorIssuer(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.runOn(ibmfake.Key{Name: "stanch-2", Administrator: true, ExpiresAt: time.Now().Add(10*24*time.Hour + time.Hour)})
	s.iam.AddKey(ibmfake.Key{Setting: "none", Locked: true})
	d := s.doctor(t)
	d.wantOnly(leak.Broken)
	d.want("issuer ibm", "expiry of our own key", leak.Doubt, "10 days")
	d.want("issuer ibm", "keys set to none", leak.Doubt, "1: ")
	d.want("issuer ibm", "locked keys", leak.Doubt, "1: ")

	s.edit("notifiers:", "policy: {key_none: disable, unlock: true, dry_run: true}\nnotifiers:")
	s.edit("token_types:", "accounts: [another], token_types:")
	d = s.doctor(t)
	d.want("issuer ibm", "keys set to none", leak.Good, "1: ")
	d.want("issuer ibm", "locked keys", leak.Good, "1: ")
	d.want("issuer ibm", "accounts", leak.Doubt, ibmfake.Account)
	d.want("policy", "dry run", leak.Doubt, "no key is touched")

	s.iam.SetSwitches(ibmfake.Switches{Skew: 6 * time.Minute})
	s.doctor(t).want("issuer ibm", "clock", leak.Broken, "behind")
	s.iam.SetSwitches(ibmfake.Switches{Skew: -time.Minute})
	s.doctor(t).want("issuer ibm", "clock", leak.Doubt, "ahead of")
	s.iam.SetSwitches(ibmfake.Switches{})

	s.edit("accounts: [another]", "accounts: ["+ibmfake.Account+"]")
	s.runOn(ibmfake.Key{})
	d = s.doctor(t)
	d.wantOnly(leak.Broken, "issuer ibm")
	d.want("issuer ibm", "accounts", leak.Good, "among them")
	d.want("issuer ibm", "keys of the account", leak.Broken, "Administrator on the IAM Identity service is needed")
	s.runOn(ibmfake.Key{Disabled: true})
	d = s.doctor(t)
	d.want("issuer ibm", "credential", leak.Broken, "the key is disabled")
	d.want("issuer ibm", "accounts", leak.Doubt, "cannot be compared")
	s.write("apikey", plant+"which-iam-does-not-know")
	s.doctor(t).want("issuer ibm", "credential", leak.Broken, "no key has this value")
}

func TestDoctorSource(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.keys.Fail(http.StatusServiceUnavailable)
	d := s.doctor(t)
	d.wantOnly(leak.Broken, "source gh")
	d.want("source gh", "key endpoint", leak.Broken, "503")
	s.write("token", plant+"token")
	s.edit("keys_url:", "keys_token_file: token, keys_url:")
	s.keys.Fail(http.StatusUnauthorized)
	s.doctor(t).want("source gh", "key endpoint", leak.Broken, "refuses our token")
	s.keys.Fail(0)
	s.doctor(t).want("source gh", "key endpoint", leak.Good, "takes our token")
}

// TestDoctorServeThatIsIll plays a serve on the socket.
func TestDoctorServeThatIsIll(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	s.mkdir("data", 0o700)
	listener, err := net.Listen("unix", filepath.Join(s.dir, "data", "stanch.sock"))
	if err != nil {
		t.Fatal(err)
	}
	type answers struct {
		ready   int
		metrics string
	}
	var now atomic.Pointer[answers]
	now.Store(&answers{http.StatusServiceUnavailable, "not metrics {{{"})
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			_, _ = fmt.Fprintln(w, now.Load().metrics)
			return
		}
		http.Error(w, "not ready: the disk is full", now.Load().ready)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	d := s.doctor(t)
	d.wantOnly(leak.Broken, "serve")
	d.want("serve", "ready", leak.Broken, "the disk is full")
	d.want("serve", "metrics", leak.Doubt, "not in the format")
	now.Store(&answers{http.StatusOK, `# TYPE stanch_queue_pending gauge
stanch_queue_pending{stream="ALERTS"} 3
stanch_queue_pending{stream="POINTERS"} 4
# TYPE stanch_queue_oldest_age_seconds gauge
stanch_queue_oldest_age_seconds{stream="ALERTS"} 600
stanch_queue_oldest_age_seconds{stream="POINTERS"} 1
# TYPE stanch_fuse_held gauge
stanch_fuse_held 9
# TYPE stanch_config_last_reload_successful gauge
stanch_config_last_reload_successful 0`})
	d = s.doctor(t)
	d.wantOnly(leak.Broken)
	d.want("serve", "queue", leak.Doubt, "7 alerts and pointers wait, the oldest for 10m0s")
	d.want("serve", "held by the fuse", leak.Doubt, "9 incidents")
	d.want("serve", "reload", leak.Doubt, "was refused")
	// A process that is no engine knows nothing of the store, and so nothing is said of it.
	now.Store(&answers{http.StatusOK, "# TYPE stanch_config_last_reload_successful gauge\nstanch_config_last_reload_successful 1"})
	d = s.doctor(t)
	d.want("serve", "reload", leak.Good, "in force")
	for _, f := range d.found {
		if f.Part == "serve" && f.Check != "ready" && f.Check != "reload" {
			t.Errorf("it knows of the store: %+v", f)
		}
	}
}

func TestDoctorFaultyConfiguration(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "polcy: {}\n")
	out, err := s.command("doctor", "--config.file", "stanch.yaml", "-o", "json")
	if err == nil || !strings.Contains(out, "did you mean policy?") || !strings.Contains(out, "stanch.yaml:") {
		t.Errorf("got %v and %q", err, out)
	}
}
