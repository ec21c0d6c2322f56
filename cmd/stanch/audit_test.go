package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"stanch/dispositions/ibmfake"
	"stanch/dispositions/ledger"
	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/soak"
)

// audited runs audit verify, which must end with the code.
func (s *site) audited(code int, args ...string) (a ledger.Audit) {
	s.t.Helper()
	c := s.program(append([]string{"audit", "verify", "-o", "json"}, args...)...)
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if exitCode(err) != code {
		s.t.Fatalf("%q ended with %v, want %d: %s%s", args, err, code, out, errs.String())
	}
	if err := json.Unmarshal(out, &a); err != nil {
		s.t.Fatalf("%v in %.200s", err, out)
	}
	if (len(a.Problems) > 0) != (code == 1) {
		s.t.Errorf("%q: got exit code %d with the problems %+v", args, code, a.Problems)
	}
	wantNot(s.t, "what audit says", string(out)+errs.String())
	return a
}

// archived is a site with a log in which things have happened, stopped, and what it logged in serve.log.
func archived(t *testing.T) *site {
	t.Helper()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
	for n := range 3 {
		s.start()
		keys := s.population(14 * (n + 1))[14*n:]
		s.deliver(keys)
		s.waitSettled(14 * (n + 1))
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
	}
	s.write("serve.log", s.output.String())
	return s
}

// TestAuditVerify verifies the log of a running serve, of a stopped one and of a backup.
func TestAuditVerify(t *testing.T) {
	t.Parallel()
	s := archived(t)
	stopped := s.audited(0)
	if stopped.Entries < 42 || stopped.Incidents != 42 || stopped.Checkpoints != 3 || stopped.Uncovered != 0 || stopped.Logged != 0 {
		t.Errorf("stopped: got %+v", stopped)
	}
	if err := os.CopyFS(filepath.Join(s.dir, "backup"), os.DirFS(filepath.Join(s.dir, "data"))); err != nil {
		t.Fatal(err)
	}
	before := s.files("backup", "")
	backup := s.audited(0, "--store.dir", "backup", "--log", "serve.log", "--expect", stopped.Last.String())
	if backup.Last.String() != stopped.Last.String() || backup.Logged != 3 {
		t.Errorf("backup: got %+v", backup)
	}
	s.wantSame("verified", before, s.files("backup", ""))
	if after := s.files("backup", ""); len(after) != len(before) {
		t.Errorf("%d files became %d", len(before), len(after))
	}
	s.start()
	live := s.audited(0, "--log", "serve.log")
	if live.Last.String() != stopped.Last.String() || live.Logged != 3 || live.Checkpoints != 3 {
		t.Errorf("live: got %+v", live)
	}
	out, err := s.command("audit", "verify")
	if err != nil || !regexp.MustCompile(`problems +0\n`).MatchString(out) || !strings.Contains(out, stopped.Last.String()) {
		t.Errorf("got %v: %s", err, out)
	}
	if strings.Count(s.output.String(), `"msg":"log verified"`) != 2 {
		t.Error("the verifications are not logged")
	}
	s.wantNothingPlanted()
}

// TestAuditUnderLoad verifies the log while it grows.
func TestAuditUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
	s.start()
	keys := s.population(soak.Size(70, 210))
	var sending sync.WaitGroup
	sending.Go(func() {
		for part := range slices.Chunk(keys, 7) {
			s.deliver(part)
		}
	})
	for range 5 {
		s.audited(0)
	}
	sending.Wait()
	s.waitSettled(len(keys))
	if a := s.audited(0); a.Incidents != len(keys) {
		t.Errorf("got %+v", a)
	}
}

// TestAuditAfterKills kills the process again and again under load: the log and every checkpoint that was logged fit.
func TestAuditAfterKills(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
	kills := soak.Size(3, 5)
	keys := s.population(20 * kills)
	for n := range kills {
		s.start()
		s.deliver(keys[n*20 : (n+1)*20])
		s.waitFor("a few more incidents", func() bool { return s.known() > n*20+3 })
		s.kill()
	}
	s.start()
	s.waitSettled(len(keys))
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.write("serve.log", s.output.String())
	if a := s.audited(0, "--log", "serve.log"); a.Incidents != len(keys) || a.Logged == 0 || a.Checkpoints < a.Logged || a.Uncovered != 0 {
		t.Errorf("got %+v", a)
	}
}

// TestAuditFindsForgery writes the log anew, forged, with checkpoints that fit or those that were, and wants to hear where.
func TestAuditFindsForgery(t *testing.T) {
	t.Parallel()
	s := archived(t)
	middle, head := s.chosen()
	edit := func(seq uint64, from, to string) func([]queue.Message) []queue.Message {
		return func(all []queue.Message) []queue.Message {
			all[seq-1].Data = []byte(strings.Replace(string(all[seq-1].Data), from, to, 1))
			return all
		}
	}
	for name, test := range map[string]struct {
		forge       func([]queue.Message) []queue.Message
		checkpoints func([]queue.Message) []queue.Message // nil: as they were
		args        []string
		want        func(first ledger.Problem) bool
	}{
		"a byte of a step's text": {
			edit(middle, "reported by", "reporteD by"), nil, nil,
			func(p ledger.Problem) bool { return p.Entry == middle && p.Expected != "" && p.Incident != "" },
		},
		"the end cut off": {
			func(all []queue.Message) []queue.Message { return all[:len(all)-3] },
			func(all []queue.Message) []queue.Message { return all[:2] },
			[]string{"--log", "serve.log"},
			func(p ledger.Problem) bool { return strings.Contains(p.Text, "its end was cut off") },
		},
		"an incident left out": {
			func(all []queue.Message) []queue.Message {
				return slices.DeleteFunc(all, func(m queue.Message) bool { return m.Subject == all[head-1].Subject })
			}, nil, nil,
			func(p ledger.Problem) bool {
				return p.Entry <= head && strings.Contains(p.Text, "moved or put in, or is missing")
			},
		},
		"two entries in another order": {
			func(all []queue.Message) []queue.Message {
				all[head-1], all[head] = all[head], all[head-1]
				return all
			}, nil, nil,
			func(p ledger.Problem) bool { return p.Entry <= head && p.To >= head },
		},
		"a checkpoint": {
			func(all []queue.Message) []queue.Message { return all },
			func(all []queue.Message) []queue.Message {
				all[1].Data = regexp.MustCompile(`"hash":"..`).ReplaceAll(all[1].Data, []byte(`"hash":"00`))
				return all
			}, nil,
			func(p ledger.Problem) bool { return strings.Contains(p.Text, "the checkpoint in the store of entry") },
		},
		"no checkpoints at all": {
			edit(head, "reported by", "reporteD by"),
			func([]queue.Message) []queue.Message { return nil },
			[]string{"--log", "serve.log"},
			func(p ledger.Problem) bool {
				return strings.Contains(p.Text, "the checkpoint logged outside the store")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s.forge(dir, queue.AllIncidents, test.forge)
			if test.checkpoints == nil {
				test.checkpoints = func(all []queue.Message) []queue.Message { return all }
			}
			s.forge(dir, queue.CheckpointSubject, test.checkpoints)
			a := s.audited(1, append(test.args, "--store.dir", dir)...)
			if !test.want(a.Problems[0]) {
				t.Errorf("got %+v", a.Problems)
			}
			out, err := s.command(append([]string{"audit", "verify", "--store.dir", dir}, test.args...)...)
			s.wantText(out, "stanch: the log is not as it was written: ", a.Problems[0].Text)
			if exitCode(err) != 1 {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// chosen are two entries of the log of incidents: one that another follows, and one that none does and whose incident has
// no other.
func (s *site) chosen() (middle, head uint64) {
	s.t.Helper()
	count, first := map[string]int{}, map[string]uint64{}
	all := s.stored(queue.AllIncidents)
	for _, m := range all {
		count[m.Subject]++
		if first[m.Subject] == 0 {
			first[m.Subject] = m.Seq
		}
	}
	for _, m := range all[:len(all)/2] {
		if count[m.Subject] > 1 && middle == 0 {
			middle = m.Seq
		}
		if count[m.Subject] == 1 && head == 0 && count[all[m.Seq].Subject] == 1 {
			head = m.Seq
		}
	}
	if middle == 0 || head == 0 {
		s.t.Fatalf("found the entries %d and %d", middle, head)
	}
	return middle, head
}

// stored is what the store of a site that is stopped holds.
func (s *site) stored(filter string) (all []queue.Message) {
	s.t.Helper()
	store, err := embedded.OpenCopy(s.t.Context(), filepath.Join(s.dir, "data"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	for m, err := range store.Scan(s.t.Context(), filter) {
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// forge writes what the site's store holds, changed, into another one.
func (s *site) forge(dir, filter string, change func([]queue.Message) []queue.Message) {
	s.t.Helper()
	all := change(s.stored(filter))
	s.withStore(dir, func(store *embedded.Store) error {
		for _, m := range all {
			if err := store.Append(s.t.Context(), queue.Message{Subject: m.Subject, Data: m.Data}); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestAuditRefuses verifies where nobody can: beside a process that has the store open and does not answer.
func TestAuditRefuses(t *testing.T) {
	t.Parallel()
	s := archived(t)
	s.withStore(filepath.Join(s.dir, "data"), func(*embedded.Store) error {
		out, err := s.command("audit", "verify")
		if exitCode(err) != 1 || !strings.Contains(out, "copying the store data: it is in use by another process") {
			t.Errorf("got %v: %s", err, out)
		}
		return nil
	})
}
