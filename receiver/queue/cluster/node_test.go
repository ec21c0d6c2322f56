package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"stanch/receiver/queue"
	"stanch/receiver/queue/cluster"
	"stanch/receiver/queue/natstest"
	"stanch/receiver/queue/soak"
)

// TestClusterNodeKilled: two processes append and work while a node is killed and comes back; make soak kills all three, one
// after the other. Nothing acknowledged is lost, an entry that conflicts is there once at most, and work and reading go on.
func TestClusterNodeKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills nodes for some seconds")
	}
	const workers = 8
	kills, alerts := soak.Size(1, 3), soak.Size(500, 2000)
	nodes := natstest.New(t, natstest.Options{Processes: true})
	c := cluster.Config{URL: nodes.URLs()}
	writer, worker := openCluster(t, c), openCluster(t, c)
	handled, followed := newCount(), newCount()
	working := inBackground(t, func(ctx context.Context) error {
		return worker.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "engine", Workers: workers},
			func(_ context.Context, m queue.Message) error {
				handled.note(string(m.Data))
				return nil
			})
	})
	following := inBackground(t, func(ctx context.Context) error {
		return worker.Follow(ctx, queue.AllIncidents, time.Time{}, func() {}, func(m queue.Message) error {
			followed.note(string(m.Data))
			return nil
		})
	})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		for i := range kills {
			nodes.Stop(i)
			if !handled.await(t, alerts*(i+1)/4) {
				return
			}
			nodes.Start(t, i)
			if err := nodes.Ready(); err != nil {
				t.Error(err)
			}
		}
	}()
	acknowledged, steps := appendThrough(t, writer, alerts)
	<-killed
	handled.want(t, "alerts", acknowledged)
	followed.want(t, "steps", steps)
	working()
	following()
}

// appendThrough appends alerts and steps whatever becomes of the nodes, as the receiver and the engine do: again when it was
// not acknowledged. It returns what was acknowledged.
func appendThrough(t *testing.T, s queue.Store, n int) (alerts, steps []string) {
	t.Helper()
	for i := range n {
		data := fmt.Sprint(i)
		for {
			err := s.Append(t.Context(), queue.Message{Subject: "alerts.gh", ID: data, Data: []byte(data)})
			if err == nil {
				break
			}
			t.Logf("alert %d again: %v", i, err)
		}
		alerts = append(alerts, data)
		if i%10 == 0 {
			steps = append(steps, stepThrough(t, s, data))
		}
	}
	return alerts, steps
}

// stepThrough appends the first step of an incident by compare-and-swap, and after a conflict looks whether it is there.
func stepThrough(t *testing.T, s queue.Store, incident string) string {
	t.Helper()
	step := queue.Message{Subject: "incidents." + incident, Data: []byte(incident)}
	for {
		_, err := s.AppendAfter(t.Context(), step, 0)
		if err == nil {
			return incident
		}
		if !errors.Is(err, queue.ErrConflict) {
			t.Logf("step %s again: %v", incident, err)
			continue
		}
		if _, err := s.Last(t.Context(), step.Subject); err == nil {
			return incident
		}
	}
}

// count is how often each message was seen.
type count struct {
	mu   sync.Mutex
	seen map[string]int
	grew chan struct{} // closed when there is more
}

func newCount() *count { return &count{seen: make(map[string]int), grew: make(chan struct{})} }

func (c *count) note(data string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[data]++
	close(c.grew)
	c.grew = make(chan struct{})
}

// await waits until so many different messages were seen.
func (c *count) await(t *testing.T, n int) bool {
	end := time.After(3 * time.Minute)
	for {
		c.mu.Lock()
		got, grew := len(c.seen), c.grew
		c.mu.Unlock()
		if got >= n {
			return true
		}
		select {
		case <-grew:
		case <-end:
			t.Errorf("saw %d messages, want %d", got, n)
			return false
		}
	}
}

// want waits until every one of some messages was seen, and wants no other.
func (c *count) want(t *testing.T, what string, want []string) {
	t.Helper()
	c.await(t, len(want))
	c.mu.Lock()
	defer c.mu.Unlock()
	again := 0
	for _, data := range want {
		if c.seen[data] == 0 {
			t.Errorf("%s: %s is lost", what, data)
		}
		again += max(0, c.seen[data]-1)
	}
	if len(c.seen) != len(want) {
		t.Errorf("%s: saw %d, want %d", what, len(c.seen), len(want))
	}
	t.Logf("%s: %d, %d of them again", what, len(want), again)
}

// inBackground runs something until what it returns is called, which wants that it ended well.
func inBackground(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(cancel)
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v, want nil", err)
		}
	}
}

// until waits until a message was seen.
func (c *count) until(t *testing.T, data string) {
	t.Helper()
	for {
		c.mu.Lock()
		there, got := c.seen[data] > 0, len(c.seen)
		c.mu.Unlock()
		if there || !c.await(t, got+1) {
			return
		}
	}
}
