package deliver_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stanch/notify"
	"stanch/notify/deliver"
	"stanch/receiver/leak"
	"stanch/receiver/queue/memory"
)

// follower is told what persons take up as well.
type follower struct{ *channel }

func (follower) Follows() bool { return true }

// outsider is somebody else's channel.
type outsider struct{ *channel }

func (outsider) Outside() bool { return true }

// TestTakenUp: who follows hears that a person takes an incident up, and nobody else does.
func TestTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, follows, calm := memory.New(), &channel{}, &channel{}
		stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: map[string]deliver.Route{
			"follows": {Notifier: follower{follows}}, "calm": {Notifier: calm},
		}}})
		log(t, store, entry(incident(leak.Open), leak.Approved, "approved to disable the key: go on"))
		synctest.Wait()
		stop()
		if len(follows.told) != 1 || follows.told[0].Phase != notify.Taken || len(follows.told[0].Facts) != 1 || len(calm.told) != 0 {
			t.Errorf("got %v for the follower and %v for the other", follows.told, calm.told)
		}
	})
}

// TestOutsiders: where a partner's alert saw a key is told on channels of our own only; what others saw, everywhere.
func TestOutsiders(t *testing.T) {
	seen := []leak.Sighting{
		sightings[0],
		{Source: "acme", Type: "own_type", URL: "https://git.acme.example/app", Place: "issue_body", SeenAt: received.Add(time.Second)},
	}
	for _, url := range []string{externalURL, ""} {
		synctest.Test(t, func(t *testing.T) {
			store, inside, outside := memory.New(), &channel{}, &channel{}
			stop := start(t, deliver.Config{
				Store:     store,
				Sightings: func(context.Context, leak.Incident) ([]leak.Sighting, error) { return slices.Clone(seen), nil },
				Settings: deliver.Settings{
					Routes:      map[string]deliver.Route{"inside": {Notifier: inside}, "outside": {Notifier: outsider{outside}}},
					ExternalURL: url, Partner: func(source string) bool { return source == "gh-partner" },
				},
			})
			log(t, store, news("one"))
			synctest.Wait()
			stop()
			told := func(c *channel) string {
				data, err := json.Marshal(c.told)
				if err != nil {
					t.Fatal(err)
				}
				return string(data)
			}
			where := "`stanch incidents show 9f86d081884c` tells"
			if url != "" {
				where = url + "incidents/" + string(id) + " tells"
			}
			for _, private := range []string{"octo/app", "ibm_cloud_iam_key", `"commit"`, "(commit)"} {
				if strings.Contains(told(outside), private) || !strings.Contains(told(inside), private) && private != `"commit"` {
					t.Errorf("%q: got inside %s and outside %s", private, told(inside), told(outside))
				}
			}
			for _, public := range []string{"git.acme.example", "own_type", "issue_body", "told by gh-partner", where} {
				if !strings.Contains(told(outside), public) {
					t.Errorf("got outside %s, want %q in it", told(outside), public)
				}
			}
		})
	}
}

// TestConditionFails: a condition that cannot tell keeps nothing back.
func TestConditionFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, reg, c := memory.New(), prometheus.NewRegistry(), &channel{}
		stop := start(t, deliver.Config{Store: store, Registerer: reg, Settings: deliver.Settings{Routes: map[string]deliver.Route{
			"c": {Notifier: c, When: func(leak.Incident) (bool, error) { return false, errDead }},
		}}})
		log(t, store, news("one"))
		synctest.Wait()
		stop()
		if len(c.ids()) != 1 {
			t.Errorf("got %v, want the notice", c.ids())
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "stanch_notices_unsure_total" && f.GetMetric()[0].GetCounter().GetValue() != 1 {
				t.Errorf("got %v", f)
			}
		}
	})
}

// remembering has a memory, and work of its own.
type remembering struct {
	*channel
	memory  notify.Memory
	handed  int
	running chan bool
}

func (r *remembering) Remember(m notify.Memory) { r.memory, r.handed = m, r.handed+1 }

func (r *remembering) Run(ctx context.Context) error {
	r.running <- true
	<-ctx.Done()
	r.running <- false
	return nil
}

// TestMemory: a notifier gets its memory once, before anything; one of the same name finds what was saved; its own work
// runs while it is in force.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		one := &remembering{channel: &channel{}, running: make(chan bool, 10)}
		two := &remembering{channel: &channel{}, running: make(chan bool, 10)}
		settings := func(r *remembering) deliver.Settings {
			return deliver.Settings{Routes: map[string]deliver.Route{"c": {Notifier: r}}}
		}
		d := run(t, deliver.Config{Store: store, Settings: settings(one)})
		if !<-one.running || one.handed != 1 {
			t.Errorf("got its memory %d times", one.handed)
		}
		for id, text := range map[leak.Fingerprint]string{"a": "older", "b": "kept", "c": "gone"} {
			if err := one.memory.Save(t.Context(), id, text); err != nil {
				t.Fatal(err)
			}
		}
		if err := one.memory.Save(t.Context(), "a", "newer"); err != nil {
			t.Fatal(err)
		}
		if err := one.memory.Save(t.Context(), "c", ""); err != nil {
			t.Fatal(err)
		}
		if err := one.memory.Save(t.Context(), "a", strings.Repeat("x", notify.MaxMemory+1)); err == nil {
			t.Error("got no error for a text that is too long")
		}
		for _, r := range []*remembering{one, two} {
			if err := d.Use(t.Context(), settings(r)); err != nil {
				t.Fatal(err)
			}
		}
		if <-one.running || !<-two.running || one.handed != 1 || two.handed != 1 {
			t.Errorf("got memories %d and %d times", one.handed, two.handed)
		}
		all, err := two.memory.All(t.Context())
		if want := map[leak.Fingerprint]string{"a": "newer", "b": "kept"}; err != nil || !maps.Equal(all, want) {
			t.Errorf("got %v, %v, want %v", all, err, want)
		}
		if text, err := two.memory.Load(t.Context(), "c"); text != "" || err != nil {
			t.Errorf("got %q, %v of what was forgotten", text, err)
		}
	})
}
