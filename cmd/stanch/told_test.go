package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/queue/soak"
)

// sink is the receiver of a webhook notifier.
type sink struct {
	mu     sync.Mutex
	down   bool
	events map[string]int    // how often each came, by id
	told   map[string]string // the newest state of each incident that was told of
	last   time.Time
}

func newSink(t testing.TB) (s *sink, url string) {
	s = &sink{events: map[string]int{}, told: map[string]string{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// notice is what the sink reads of a CloudEvent.
type notice struct {
	ID   string `json:"id"`
	Data struct {
		Incident incident `json:"incident"`
		Members  []struct {
			Incident incident `json:"incident"`
		} `json:"incidents"`
	} `json:"data"`
}

// ServeHTTP takes a notice, unless the sink is down.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var n notice
	err := json.NewDecoder(r.Body).Decode(&n)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down || err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.events[n.ID]++
	s.last = time.Now()
	if n.Data.Incident.ID != "" {
		s.told[n.Data.Incident.ID] = n.Data.Incident.State
	}
	for _, m := range n.Data.Members {
		s.told[m.Incident.ID] = m.Incident.State
	}
}

func (s *sink) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// contained is how many incidents the sink was told to be contained.
func (s *sink) contained() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, state := range s.told {
		if state == "contained" {
			n++
		}
	}
	return n
}

// repeats is how many notices came again.
func (s *sink) repeats() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, times := range s.events {
		n += times - 1
	}
	return n
}

// newTold makes a site with a webhook notifier to each sink, with more in each entry.
func newTold(t testing.TB, sinks int, more string) (s *site, all []*sink) {
	t.Helper()
	s = newSite(t, ibmfake.Switches{}, "policy: {fuse: {max: 100000}}\n")
	entries := "notifiers:\n"
	s.write("webhook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw0123456789ab")
	for n := range sinks {
		one, url := newSink(t)
		all = append(all, one)
		entries += fmt.Sprintf("  - {name: sink-%d, type: webhook, url: %q, secret_file: webhook-secret%s}\n", n, url, more)
	}
	s.rewrite("stanch.yaml", "notifiers:\n  - {name: console, type: console}\n", entries)
	return s, all
}

// disabling makes n keys that a leak disables.
func (s *site) disabling(n int) (keys []leaked, records []record) {
	for i := range n {
		k := leaked{key: ibmfake.Key{
			Setting: "disable", Name: fmt.Sprintf("key-%d", i), Value: secret(fmt.Sprintf("%s%032d", plant, i)),
		}, dead: disabled}
		k.id, _ = s.iam.AddKey(k.key)
		keys, records = append(keys, k), append(records, k.record())
	}
	return keys, records
}

// TestNoNoticeIsLost kills the process again and again while three channels are told, one of which is dead for a while: each hears
// of every incident, and of little twice.
func TestNoNoticeIsLost(t *testing.T) {
	t.Parallel()
	const batch = 20
	kills, batches := soak.Size(2, 3), soak.Size(6, 15)
	s, sinks := newTold(t, 3, ", gather_after: 100000")
	sinks[2].setDown(true)
	_, records := s.disabling(batches * batch)
	s.start()
	random := rand.New(rand.NewPCG(1, 2))
	for n := range batches {
		for s.post(records[n*batch:(n+1)*batch]) != http.StatusNoContent {
			time.Sleep(10 * time.Millisecond)
		}
		if n%(batches/kills) == batches/kills-1 {
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			s.kill()
			s.start()
		}
	}
	sinks[2].setDown(false)
	for n, one := range sinks {
		s.waitFor(fmt.Sprintf("sink %d told of all", n), func() bool { return one.contained() == len(records) })
		if repeats := one.repeats(); repeats > kills {
			t.Errorf("sink %d was told %d notices again, for %d kills", n, repeats, kills)
		}
	}
	s.wantNothingPlanted()
}

// BenchmarkBurst lets a thousand keys leak at once, and counts in how many notices a channel hears of all of them, and when of
// the last.
func BenchmarkBurst(b *testing.B) {
	for b.Loop() {
		s, sinks := newTold(b, 2, "")
		_, records := s.disabling(1000)
		s.start()
		began := time.Now()
		if status := s.post(records); status != http.StatusNoContent {
			b.Fatalf("got %d", status)
		}
		for _, one := range sinks {
			for one.contained() < len(records) {
				time.Sleep(100 * time.Millisecond)
			}
			b.ReportMetric(float64(len(one.events)), "notices")
			b.ReportMetric(one.last.Sub(began).Seconds(), "s-to-last")
		}
		if err := s.stop(); err != nil {
			b.Error(err)
		}
	}
}
