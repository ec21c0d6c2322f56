package main_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/queue/soak"
)

// plant is the beginning of every token in these tests: it must not be found anywhere in clear.
const plant = "planted-"

// leaked is a key that leaked, and how it has to end.
type leaked struct {
	key   ibmfake.Key
	id    string
	url   string // where it leaked; empty: a page of its own
	state string
	dead  func(k ibmfake.Key, there bool) bool // what the issuer has to say of it
}

func alive(k ibmfake.Key, there bool) bool    { return there && !k.Disabled }
func disabled(k ibmfake.Key, there bool) bool { return there && k.Disabled }
func gone(_ ibmfake.Key, there bool) bool     { return !there }

// population makes n keys of every kind, and adds them to the fake.
func (s *site) population(n int) []leaked {
	kinds := []leaked{
		{key: ibmfake.Key{Setting: "disable"}, state: "contained", dead: disabled},
		{key: ibmfake.Key{Setting: "delete"}, state: "contained", dead: gone},
		{key: ibmfake.Key{Setting: "none"}, state: "left", dead: alive},
		{key: ibmfake.Key{}, state: "contained", dead: disabled},
		{key: ibmfake.Key{Setting: "disable", Disabled: true}, state: "contained", dead: disabled},
		{key: ibmfake.Key{Setting: "delete", Locked: true}, state: "failed", dead: alive},
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
	return record{k.key.Value.Reveal(), "ibm_cloud_iam_key", cmp.Or(k.url, "https://example.com/"+k.key.Name), "commit"}
}

// TestKilled posts alerts and kills the process again and again on the way, at every position of the switches of the fake IAM:
// no acknowledged alert is lost, every key ends as it is configured, none is acted on against it.
func TestKilled(t *testing.T) {
	t.Parallel()
	for i, switches := range ibmfake.Positions() {
		t.Run(fmt.Sprintf("%+v", switches), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, switches, "policy: {fuse: {max: 100000}}\n")
			keys := s.population(soak.Size(140, 1000))
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
	const batch = 20
	batches, kills := len(keys)/batch, soak.Size(2, 5)
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
	deadline := time.Now().Add(patience)
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

// known is how many incidents there are.
func (s *site) known() (n int) {
	for line := range strings.Lines(grep(s.get("/metrics"), "stanch_incidents{")) {
		n += gauge("\n"+line, strings.Fields(line)[0])
	}
	return n
}

// idle reports whether nothing waits in a queue.
func (s *site) idle() bool {
	metrics := s.get("/metrics")
	return metrics != "" &&
		gauge(metrics, `stanch_queue_pending{stream="ALERTS"}`)+gauge(metrics, `stanch_queue_pending{stream="POINTERS"}`) == 0
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
			s.t.Errorf("key %s was unlocked against policy", e.Target)
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
	t.Parallel()
	s := newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
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
