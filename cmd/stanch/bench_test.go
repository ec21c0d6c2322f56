package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/seal"
)

// BenchmarkContain measures, one alert at a time, how long it takes from the receipt of an alert until its key is proved
// disabled, with the fake IAM answering at once; beside it the three calls to IAM that this needs, alone.
func BenchmarkContain(b *testing.B) {
	b.Run("stanch", func(b *testing.B) {
		s := newSite(b, ibmfake.Switches{}, "policy: {fuse: {max: 1000000}}\n")
		s.start()
		s.contain(0) // the first alert fetches the public keys and our token
		b.ResetTimer()
		for n := range b.N {
			s.contain(n + 1)
		}
		b.StopTimer()
		report(b, s.containTimes(b.N))
	})
	b.Run("bare-calls", func(b *testing.B) {
		s := newSite(b, ibmfake.Switches{}, "")
		c := newCaller(s)
		times := make([]time.Duration, 0, b.N)
		for n := range b.N {
			id, value := s.iam.AddKey(ibmfake.Key{Setting: "disable", Name: strconv.Itoa(n)})
			begun := time.Now()
			c.call(http.MethodGet, "/v1/apikeys/details", value.Reveal())
			c.call(http.MethodPost, "/v1/apikeys/"+id+"/disable", "")
			c.call(http.MethodGet, "/v1/apikeys/"+id, "")
			times = append(times, time.Since(begun))
			time.Sleep(pause)
		}
		report(b, times)
	})
}

// pause keeps the machine idle between two alerts.
const pause = 5 * time.Millisecond

// contain leaks one key and waits until it is dead at the issuer.
func (s *site) contain(n int) {
	id, value := s.iam.AddKey(ibmfake.Key{Setting: "disable", Name: strconv.Itoa(n)})
	if status := s.post([]record{{value.Reveal(), "ibm_cloud_iam_key", "https://example.com/", "commit"}}); status != http.StatusNoContent {
		s.t.Fatalf("got %d", status)
	}
	for k, _ := s.iam.Key(id); !k.Disabled; k, _ = s.iam.Key(id) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(pause)
}

// containTimes asks for the newest n incidents, each from receipt to proof.
func (s *site) containTimes(n int) []time.Duration {
	s.t.Helper()
	out, err := s.command("incidents", "list", "--limit", strconv.Itoa(n), "-o", "json")
	if err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	var list []leak.Incident
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.t.Fatal(err)
	}
	var times []time.Duration
	for _, i := range list {
		if i.State != leak.Contained {
			s.t.Fatalf("an incident is %s", i.State)
		}
		times = append(times, i.ContainedAt.Sub(i.ReceivedAt))
	}
	return times
}

func report(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	milliseconds := func(q float64) float64 {
		return float64(times[min(len(times)-1, int(q*float64(len(times))))].Microseconds()) / 1000
	}
	b.ReportMetric(milliseconds(.5), "p50-ms")
	b.ReportMetric(milliseconds(.99), "p99-ms")
}

// caller calls IAM as plainly as possible.
type caller struct {
	*site
	token string
}

func newCaller(s *site) *caller {
	key, err := os.ReadFile(filepath.Join(s.dir, "apikey"))
	if err != nil {
		s.t.Fatal(err)
	}
	form := url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {string(key)}}
	response, err := http.PostForm(s.iam.URL()+"/identity/token", form)
	if err != nil {
		s.t.Fatal(err)
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil {
		s.t.Fatal(err)
	}
	return &caller{s, token.AccessToken}
}

func (c *caller) call(method, path, value string) {
	request, err := http.NewRequest(method, c.iam.URL()+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	if value != "" {
		request.Header.Set("IAM-ApiKey", value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	var any json.RawMessage
	_ = json.NewDecoder(response.Body).Decode(&any)
	_ = response.Body.Close()
	if response.StatusCode >= 300 {
		c.t.Fatalf("%s %s: %d", method, path, response.StatusCode)
	}
}

// BenchmarkServeMemory posts single alerts over 16 connections, each a key that is disabled, and reports the peak memory
// of the process; beside it the same process with nothing to do.
func BenchmarkServeMemory(b *testing.B) {
	for name, busy := range map[string]bool{"load": true, "idle": false} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, ibmfake.Switches{}, "policy: {fuse: {max: 1000000}}\n")
			s.start()
			b.ResetTimer()
			if busy {
				s.load(b.N)
				s.waitSettled(b.N)
			}
			b.ReportMetric(s.peak(), "peak-MiB")
		})
	}
}

func (s *site) load(n int) {
	bodies := make(chan []record)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for records := range bodies {
				if status := s.post(records); status != http.StatusNoContent {
					s.t.Errorf("got %d", status)
				}
			}
		})
	}
	for i := range n {
		_, value := s.iam.AddKey(ibmfake.Key{Setting: "disable", Name: strconv.Itoa(i)})
		bodies <- []record{{value.Reveal(), "ibm_cloud_iam_key", "https://example.com/", "commit"}}
	}
	close(bodies)
	group.Wait()
}

// peak reads the largest resident size that the process had, in MiB.
func (s *site) peak() float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		s.t.Skip("this system does not tell the peak memory of a process")
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	var kilobytes float64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		s.t.Fatal(err)
	}
	return kilobytes / 1024
}

// BenchmarkRestart measures how long serve takes to be ready, and to know every incident, after a stop with 100,000
// incidents and 10,000 queued alerts; beside it an empty store.
func BenchmarkRestart(b *testing.B) {
	for name, size := range map[string]struct{ incidents, alerts int }{"empty": {}, "full": {100_000, 10_000}} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, ibmfake.Switches{}, "policy: {dry_run: true}\n")
			s.fill(b, size.incidents, size.alerts)
			s.iam.AddFault(ibmfake.Fault{Times: ibmfake.Forever, Delay: time.Hour}) // the queue stays as it is
			b.ResetTimer()
			var ready, known time.Duration
			for range b.N {
				begun := time.Now()
				s.start()
				ready += time.Since(begun)
				for gauge(s.get("/metrics"), `stanch_incidents{state="contained"}`) < size.incidents {
					time.Sleep(10 * time.Millisecond)
				}
				known += time.Since(begun)
				b.ReportMetric(s.peak(), "peak-MiB")
				s.kill()
			}
			b.ReportMetric(float64(ready.Milliseconds())/float64(b.N), "ready-ms")
			b.ReportMetric(float64(known.Milliseconds())/float64(b.N), "all-known-ms")
		})
	}
}

// fill writes a store as a long life leaves it: two entries an incident.
func (s *site) fill(b *testing.B, incidents, alerts int) {
	b.Helper()
	keys := filepath.Join(s.dir, "keys")
	if err := seal.Ensure(keys); err != nil {
		b.Fatal(err)
	}
	fingerprints, err := seal.LoadFingerprintKey(keys)
	if err != nil {
		b.Fatal(err)
	}
	recipient, err := seal.LoadRecipient(keys)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	store, err := embedded.Open(ctx, embedded.Config{Dir: filepath.Join(s.dir, "data"), Keys: fingerprints.ID()})
	if err != nil {
		b.Fatal(err)
	}
	journal := ledger.New(store)
	inParallel(incidents, func(n int) {
		fillIncident(b, journal, fingerprints.Fingerprint(leak.NewSecret(strconv.Itoa(n))))
	})
	inParallel(alerts, func(n int) {
		a, err := recipient.Seal("gh", time.Now(), leak.Content{Secret: leak.NewSecret("x" + strconv.Itoa(n)), Type: "ibm_cloud_iam_key"})
		if err != nil {
			b.Error(err)
		}
		data, _ := json.Marshal(a)
		if err := store.Append(ctx, queue.Message{Subject: queue.AlertSubject("gh"), Data: data}); err != nil {
			b.Error(err)
		}
	})
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}

func fillIncident(b *testing.B, journal *ledger.Ledger, id leak.Fingerprint) {
	ctx := context.Background()
	now := time.Now()
	i := leak.Incident{
		ID: id, State: leak.Open, Severity: leak.Warning, Issuer: "ibm", Action: leak.Disable, Rule: "key",
		Reason: "the key's own setting for a leak is disable", Intended: leak.Disable, Source: "gh", First: "s", Last: "s",
		Key:           leak.Key{ID: "ApiKey-" + string(id[:36]), Name: "bench", Kind: "user", Owner: "IBMid-1", Account: ibmfake.Account},
		SightingCount: 1, ReceivedAt: now,
	}
	step := func(name leak.StepName) leak.Step { return leak.Step{At: now, Step: name, Text: "bench", By: "engine"} }
	head, err := journal.Append(ctx, ledger.Head{}, i, step(leak.Seen), step(leak.Decided), step(leak.Intended))
	if err != nil {
		b.Error(err)
		return
	}
	i.State, i.Intended, i.ContainedAt = leak.Contained, "", now
	if _, err := journal.Append(ctx, head, i, step(leak.Proved)); err != nil {
		b.Error(err)
	}
}

func inParallel(n int, do func(n int)) {
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := worker; i < n; i += 16 {
				do(i)
			}
		})
	}
	group.Wait()
}
