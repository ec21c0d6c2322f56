package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"stanch/dispositions/ibmfake"
)

// TestRestoredFromABackup copies the store and the keys of a process that was killed, as a snapshot of its disk does, and
// starts another on the copy: every incident is as it was, and what a person undid stays undone when its alert comes again.
func TestRestoredFromABackup(t *testing.T) {
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "")
	keys := s.population(14)
	s.start()
	s.deliver(keys)
	s.waitSettled(len(keys))
	undone := keys[0]
	s.order("undo", s.incidentOf(undone), "--reason", "it is the public demo key")
	s.waitFor("the key enabled", func() bool { return alive(s.iam.Key(undone.id)) })
	s.waitFor("that in the log", func() bool { return gauge(s.get("/metrics"), `stanch_incidents{state="closed"}`) == 1 })
	before := s.list()
	s.kill()

	for _, dir := range []string{"data", "keys"} {
		s.copyDir(dir, filepath.Join("restored", dir))
		if err := os.RemoveAll(filepath.Join(s.dir, dir)); err != nil {
			t.Fatal(err)
		}
	}
	s.rewrite("stanch.yaml", "{dir: data}", "{dir: restored/data}")
	s.rewrite("stanch.yaml", "keys_dir: keys", "keys_dir: restored/keys")
	s.start()
	if after := s.list(); after != before {
		t.Errorf("restored:\n%s\nwant\n%s", after, before)
	}
	s.deliver(keys[:1])
	s.waitFor("the alert known", func() bool {
		metrics := s.get("/metrics")
		return gauge(metrics, `stanch_alerts_total{source="gh"}`) == 1 && gauge(metrics, `stanch_queue_pending{stream="ALERTS"}`) == 0
	})
	if !alive(s.iam.Key(undone.id)) {
		t.Error("the key that a person enabled was disabled again")
	}
	s.wantNothingPlanted()
}

// incidentOf finds the incident of a key.
func (s *site) incidentOf(k leaked) string {
	s.t.Helper()
	for _, i := range s.incidents() {
		if i.Key.ID == k.id {
			return i.ID
		}
	}
	s.t.Fatalf("no incident of key %s", k.key.Name)
	return ""
}

// list is every incident, with everything that is known of it.
func (s *site) list() string {
	s.t.Helper()
	out, err := s.command("incidents", "list", "--limit", "0", "-o", "json")
	if err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return out
}

// copyDir copies a directory of the site as a backup does, with the modes of its files.
func (s *site) copyDir(from, to string) {
	s.t.Helper()
	for name, data := range s.files(from, "") {
		path := filepath.Join(s.dir, to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}
