package deliver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/notify"
	"stanch/notify/deliver"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// newsOf is news of one of many incidents.
func newsOf(i int, change func(*leak.Entry)) leak.Entry {
	e := news(fmt.Sprintf("entry-%04d", i))
	e.Incident.ID = leak.Fingerprint(fmt.Sprintf("%012x%052x", i, i))
	e.Incident.Key.Account = fmt.Sprintf("acc-%d", i/100)
	if change != nil {
		change(&e)
	}
	return e
}

// logAll appends many entries to the log, as one burst.
func logAll(t *testing.T, store queue.Store, entries ...leak.Entry) {
	t.Helper()
	for part := range slices.Chunk(entries, 500) {
		var messages []queue.Message
		for _, e := range part {
			data, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, queue.Message{Subject: queue.IncidentSubject(e.Incident.ID), Data: data})
		}
		if err := store.Append(t.Context(), messages...); err != nil {
			t.Fatal(err)
		}
	}
}

func burst(n int, change func(*leak.Entry)) []leak.Entry {
	var entries []leak.Entry
	for i := range n {
		entries = append(entries, newsOf(i, change))
	}
	return entries
}

// incidents are those that a channel was told of, alone or with others.
func (c *channel) incidents() map[leak.Fingerprint]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := map[leak.Fingerprint]int{}
	for _, n := range c.told {
		if n.Count == 0 {
			told[n.Incident.ID]++
		}
		for _, m := range n.Members {
			told[m.Incident.ID]++
		}
	}
	return told
}

// wantAll checks that each of n incidents was told, and none more often than most.
func wantAll(t *testing.T, name string, c *channel, n, most int) {
	t.Helper()
	told := c.incidents()
	if len(told) != n {
		t.Errorf("%s: got %d incidents told, want all of %d", name, len(told), n)
	}
	for id, times := range told {
		if times > most {
			t.Errorf("%s: got %s told %d times", name, id.Short(), times)
			return
		}
	}
}

func calmSettings(channels map[string]*channel) deliver.Settings {
	routes := map[string]deliver.Route{}
	for name, c := range channels {
		routes[name] = deliver.Route{Notifier: c}
	}
	return deliver.Settings{Routes: routes, ExternalURL: externalURL}
}

// TestFlood: of a thousand incidents at once ten are told alone and the rest in one notice, soon.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, reg, c := memory.New(), prometheus.NewRegistry(), &channel{}
		stop := start(t, deliver.Config{Store: store, Registerer: reg, Settings: calmSettings(map[string]*channel{"c": c})})
		begun := time.Now()
		logAll(t, store, burst(1000, nil)...)
		synctest.Wait()
		if got := len(c.ids()); got != 10 {
			t.Errorf("got %d notices at once, want ten", got)
		}
		time.Sleep(time.Hour)
		stop()
		if got := len(c.ids()); got != 11 {
			t.Errorf("got %d notices, want eleven", got)
		}
		wantAll(t, "c", c, 1000, 1)
		last := c.told[10]
		if took := c.when[10].Sub(begun); took > 10*time.Second || last.Count != 990 || last.Phase != notify.Settled {
			t.Errorf("got a notice of %d, %s, after %v", last.Count, last.Phase, took)
		}
		for result, want := range map[string]float64{"delivered": 11, "gathered": 990} {
			if got := count(t, reg, "c", result); got != want {
				t.Errorf("got %v %s, want %v", got, result, want)
			}
		}
	})
}

// TestFloodGoesOn: while it lasts groups grow, and a minute after it notices are told alone again.
func TestFloodGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := memory.New(), &channel{}
		stop := start(t, deliver.Config{Store: store, Settings: calmSettings(map[string]*channel{"c": c})})
		entries := burst(3600, nil)
		for _, e := range entries {
			log(t, store, e)
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Minute)
		if got := len(c.ids()); got > 40 {
			t.Errorf("got %d notices in an hour of one incident a second", got)
		}
		before := len(c.ids())
		log(t, store, newsOf(3600, nil))
		synctest.Wait()
		if got := len(c.ids()); got != before+1 {
			t.Errorf("got %d notices at once after the flood, want one", got-before)
		}
		stop()
		wantAll(t, "c", c, 3601, 1)
	})
}

// TestFloodCritical: what is critical waits half a minute at most, however long the windows of groups have become.
func TestFloodCritical(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, c := memory.New(), &channel{}
		stop := start(t, deliver.Config{Store: store, Settings: calmSettings(map[string]*channel{"c": c})})
		logged := map[leak.Fingerprint]time.Time{}
		for i, e := range burst(1500, nil) {
			if i%100 == 99 {
				e.Incident.Severity = leak.Critical
				logged[e.Incident.ID] = time.Now()
			}
			log(t, store, e)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		stop()
		for i, n := range c.told {
			for _, m := range n.Members {
				if waited := c.when[i].Sub(logged[m.Incident.ID]); m.Incident.Severity == leak.Critical && waited > 30*time.Second {
					t.Errorf("%s waited %v", m.Incident.ID.Short(), waited)
				}
			}
		}
		wantAll(t, "c", c, 1500, 1)
	})
}

// TestFloodOnDeadChannel: a group is told when the channel is well again, under the id that it was tried under;
// other channels do not wait.
func TestFloodOnDeadChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well := make(chan struct{})
		dead, alive := &channel{}, &channel{}
		var delivered sync.Map // notices that the dead channel took
		dead.answer = func(_ context.Context, attempt int) error {
			select {
			case <-well:
				delivered.Store(attempt, true)
				return nil
			default:
				return errDead
			}
		}
		store := memory.New()
		stop := start(t, deliver.Config{Store: store, Settings: calmSettings(map[string]*channel{"dead": dead, "alive": alive})})
		entries := burst(1500, nil)
		logAll(t, store, entries[:1200]...)
		time.Sleep(time.Minute)
		logAll(t, store, entries[1200:]...)
		time.Sleep(10 * time.Minute)
		if got := len(alive.ids()); got > 25 {
			t.Errorf("got %d notices of 1500 incidents", got)
		}
		close(well)
		time.Sleep(time.Hour)
		stop()
		took := &channel{}
		delivered.Range(func(attempt, _ any) bool {
			took.told = append(took.told, dead.told[attempt.(int)-1])
			return true
		})
		if got := len(took.ids()); got > 25 {
			t.Errorf("got %d notices of 1500 incidents from the channel that was dead", got)
		}
		wantAll(t, "dead", took, 1500, 1)
		wantAll(t, "alive", alive, 1500, 1)
		tried := slices.IndexFunc(dead.told, func(n notify.Notice) bool { return n.Count > 0 })
		if got := took.ids(); !slices.Contains(got, dead.ids()[tried]) {
			t.Errorf("got %v, want %s among them, which was tried first", got, dead.ids()[tried])
		}
	})
}

// TestFloodCutOff: when the process ends after a group was told and before that is on disk, the same entries make the
// same notice again, and no other; what was noted as told is not told again.
func TestFloodCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &dying{Store: memory.New()}
		first := &channel{}
		first.answer = func(context.Context, int) error {
			if len(first.ids()) == 11 {
				disk.die() // the channel has it, and nobody will know
			}
			return nil
		}
		ctx, crash := context.WithCancel(t.Context())
		d, ended := deliver.New(deliver.Config{Store: disk, Settings: calmSettings(map[string]*channel{"c": first})}), make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		<-d.Ready()
		logAll(t, disk, burst(500, nil)...)
		time.Sleep(20 * time.Second)
		crash()
		if err := <-ended; err != nil {
			t.Errorf("got %v from Run", err)
		}
		disk.revive()
		second := &channel{}
		stop := start(t, deliver.Config{Store: disk, Settings: calmSettings(map[string]*channel{"c": second})})
		time.Sleep(time.Hour)
		stop()
		if got := second.ids(); len(got) != 1 || got[0] != first.ids()[10] {
			t.Errorf("got %v after the crash, want %v once more and nothing else", got, first.ids()[10])
		}
		wantAll(t, "both", &channel{told: slices.Concat(first.told, second.told)}, 500, 2)
	})
}

// dying is a store that can stop taking anything, as if the process had been killed; acknowledgements are lost with it.
type dying struct {
	*memory.Store
	mu   sync.Mutex
	dead bool
}

func (d *dying) die()    { d.set(true) }
func (d *dying) revive() { d.set(false) }

func (d *dying) set(dead bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = dead
}

func (d *dying) gone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

func (d *dying) Append(ctx context.Context, messages ...queue.Message) error {
	if d.gone() {
		return errDead
	}
	return d.Store.Append(ctx, messages...)
}

func (d *dying) Work(ctx context.Context, c queue.Consumer, handle func(context.Context, queue.Message) error) error {
	return d.Store.Work(ctx, c, func(ctx context.Context, m queue.Message) error {
		err := handle(ctx, m)
		postponed, ok := errors.AsType[*queue.Postponed](err)
		if !ok {
			return err
		}
		verdict := make(chan error, 1)
		go func() {
			select {
			case v := <-postponed.Verdict:
				if !d.gone() {
					verdict <- v
				}
			case <-ctx.Done():
			}
		}()
		return &queue.Postponed{Verdict: verdict}
	})
}

// TestFloodOnDisk: on the real store, with a restart before a group is told and another one after it, nothing is lost and
// nothing comes twice. A group that is full is told at once, so that no window has to pass in real time.
func TestFloodOnDisk(t *testing.T) {
	const alone, full, rest = 10, 1000, 5 // told one by one in each run, then in one group, and what is left for the last run
	dir := filepath.Join(t.TempDir(), "store")
	var all []notify.Notice
	serve := func(burst, notices int, during func(store queue.Store)) {
		store := open(t, dir)
		c, told := &channel{}, make(chan struct{}, 100)
		c.answer = func(context.Context, int) error { told <- struct{}{}; return nil }
		stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{
			Routes: map[string]deliver.Route{"c": {Notifier: c, Burst: burst}},
		}})
		during(store)
		for range notices {
			<-told
		}
		stop()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c.told...)
	}
	entries := burst(2*alone+full+rest, nil)
	serve(alone, alone, func(store queue.Store) { logAll(t, store, entries...) })
	serve(alone, alone+1, func(queue.Store) {})
	serve(2*rest, rest, func(queue.Store) {})
	wantAll(t, "all", &channel{told: all}, len(entries), 1)
	if n := len(all); n != 2*alone+1+rest {
		t.Errorf("got %d notices, want %d", n, 2*alone+1+rest)
	}
}
