package dispositions_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/soak"
)

var (
	simSeeds = flag.Uint64("sim.seeds", uint64(soak.Size(5, 30)), "how many seeds TestSim runs")
	simFirst = flag.Uint64("sim.first", 1, "the first of them")
)

// TestSim lives through made-up histories, each from a seed: alerts and replays, engines that crash between any two of their
// steps, issuers that fail, lie and go away for a day, people who order and people who change keys at the issuer. The engine,
// policy and ledger are the real ones; time, store and issuer are twins in memory. A seed that fails is run again with
//
//	go test ./dispositions -run '^TestSim$' -args -sim.seeds=1 -sim.first=SEED
func TestSim(t *testing.T) {
	events := map[string]int{}
	for seed := *simFirst; seed < *simFirst+*simSeeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newSim(t, seed).run(events) })
		})
	}
	t.Logf("lived through %v", events)
}

// sim is one history.
type sim struct {
	*world
	*rand.Rand
	values  []leak.Secret               // what leaks, by number
	ids     []string                    // of the keys; empty: no issuer knows the value
	engines []*simEngine                // that run
	known   map[leak.Fingerprint]string // key ids, by the incident of their value; not changed
	order   []leak.Fingerprint          // the incidents, as they were reported first
	told    map[leak.Fingerprint]told   // what was reported of them last
	faulty  bool                        // the issuer failed at some time
	crashes int
	events  map[string]int
}

// told is one report, which its source may send again for ever: the signature on it never expires.
type told struct {
	value leak.Secret
	url   string
}

type simEngine struct {
	*dispositions.Engine
	stop func()
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{world: newWorld(t), Rand: rand.New(rand.NewPCG(seed, 7)), known: map[leak.Fingerprint]string{}, told: map[leak.Fingerprint]told{}}
	s.policy = s.choosePolicy()
	s.fuse = admit.FuseLimit{Max: pick(s, 1, 2, 5, 1000), Per: 10 * time.Minute}
	for n := range 1 + s.IntN(5) {
		s.addKey(n)
	}
	s.cloud.latency = func() time.Duration { return time.Duration(s.cloud.random.IntN(40)) * time.Millisecond }
	s.cloud.random = rand.New(rand.NewPCG(seed, 8))
	s.cloud.watch = s.wantAnnounced
	s.cloud.able.Settles = pick(s, 0, 0, 0, 20*time.Second, 3*time.Minute)
	if s.chance(15) {
		s.cloud.able.Disable, s.cloud.able.Enable = false, false
	}
	return s
}

func pick[T any](s *sim, from ...T) T { return from[s.IntN(len(from))] }

func (s *sim) chance(percent int) bool { return s.IntN(100) < percent }

func (s *sim) choosePolicy() policy.Config {
	c := policy.Config{
		Default: pick(s, "", leak.Disable, leak.Delete, leak.Nothing), KeyNone: pick(s, "", leak.Nothing, leak.Disable),
		DryRun: s.chance(5), Unlock: s.chance(40),
	}
	if s.chance(20) {
		c.Protect = []string{"ApiKey-0"}
	}
	for _, rule := range []policy.Rule{
		{Name: "ask", When: `key.name == "ask"`, Action: leak.Delete, Approval: true},
		{Name: "ask-disable", When: `key.name == "ask-disable"`, Action: leak.Disable, Approval: true},
		{Name: "spare", When: `key.name == "spare"`, Action: leak.Nothing},
		{Name: "raise", When: `alert.url.endsWith("/raise")`, Action: leak.Delete},
		{Name: "broken", When: `key.expires_at < now`, Action: leak.Delete},
	} {
		if s.chance(50) {
			c.Rules = append(c.Rules, rule)
		}
	}
	slices.SortStableFunc(c.Rules, func(a, b policy.Rule) int { // what looks at the alert and deletes comes first
		return strings.Compare(string(a.Action), string(b.Action))
	})
	if _, faults := policy.New(c); len(faults) > 0 {
		c.Rules = nil
	}
	return c
}

func (s *sim) addKey(n int) {
	id := fmt.Sprintf("ApiKey-%d", n)
	k := leak.Key{
		ID: id, Name: pick(s, "", "ask", "ask-disable", "spare"), Setting: pick(s, "", leak.Nothing, leak.Disable, leak.Delete),
		Locked: s.chance(15), Disabled: s.chance(10), Own: s.chance(3), Account: pick(s, "acme", "other"),
	}
	value := leak.NewSecret("planted-" + id)
	if s.chance(10) {
		id = "" // nobody's
	} else {
		value = s.cloud.add(k)
	}
	s.values, s.ids = append(s.values, value), append(s.ids, id)
	a, err := s.recipient.Seal("gh-partner", time.Now(), leak.Content{Secret: value})
	if err != nil {
		s.t.Fatal(err)
	}
	s.known[a.Fingerprint] = id
}

// run lives through the history, heals the world, and looks at what is left.
func (s *sim) run(events map[string]int) {
	s.events = events
	for range 10 + s.IntN(40) {
		s.event()
		if s.t.Failed() {
			break
		}
	}
	s.heal()
	s.wantEnds()
}

// event lets one thing happen, and some time pass.
func (s *sim) event() {
	type happening struct {
		name   string
		weight int
		do     func()
	}
	all := []happening{
		{"report", 30, s.reportOne},
		{"replay", 12, s.replayOne},
		{"start", 15, s.startEngine},
		{"start to crash", 10, s.startToCrash},
		{"stop", 6, s.stopEngine},
		{"fault", 10, s.breakIssuer},
		{"mend", 8, func() { s.cloud.spoil(nil); s.cloud.liar(false) }},
		{"order", 15, s.orderOne},
		{"meddle", 8, s.meddle},
	}
	total := 0
	for _, h := range all {
		total += h.weight
	}
	n := s.IntN(total)
	for _, h := range all {
		if n -= h.weight; n < 0 {
			s.events[h.name]++
			h.do()
			break
		}
	}
	time.Sleep(pick(s, 0, time.Millisecond, 100*time.Millisecond, time.Second, time.Minute, 10*time.Minute, 2*time.Hour, 26*time.Hour))
}

func (s *sim) reportOne() {
	one := told{s.values[s.IntN(len(s.values))], "https://example.com/" + pick(s, "1", "2", "3", "raise")}
	id := s.report(one.value, one.url)
	if !slices.Contains(s.order, id) {
		s.order = append(s.order, id)
	}
	s.told[id] = one
}

// replayOne sends again what was told of an incident, of one that a person ended if there is one.
func (s *sim) replayOne() {
	ids := s.incidents()
	if ended := slices.DeleteFunc(slices.Clone(ids), func(id leak.Fingerprint) bool { return s.incident(id).State != leak.Closed }); len(ended) > 0 {
		ids = ended
	}
	if len(ids) > 0 {
		one := s.told[pick(s, ids...)]
		s.report(one.value, one.url)
	}
}

func (s *sim) startEngine() {
	if len(s.engines) < 2 {
		e, stop := s.start(s.store, s.cloud)
		s.engines = append(s.engines, &simEngine{e, stop})
	}
}

// startToCrash starts an engine that is gone after some writes and calls.
func (s *sim) startToCrash() {
	c := crashAfter(int64(1+s.IntN(25)), s.chance(50))
	_, stop := s.start(crashingStore{s.store, c}, crashingCloud{s.cloud, c})
	time.Sleep(pick(s, time.Second, time.Minute, 3*time.Hour))
	stop()
	s.crashes++
}

func (s *sim) stopEngine() {
	if len(s.engines) > 0 {
		s.engines[0].stop()
		s.engines = s.engines[1:]
	}
}

func (s *sim) breakIssuer() {
	s.faulty = true
	random := s.cloud.random
	switch s.IntN(6) {
	case 0: // down
		s.cloud.spoil(func(string, bool) error { return errors.New("status 503") })
	case 1: // answers get lost, now before and now after the deed
		s.cloud.spoil(func(_ string, after bool) error {
			if random.IntN(3) == 0 {
				return fmt.Errorf("status 500, after %v", after)
			}
			return nil
		})
	case 2:
		s.cloud.liar(true)
	case 3: // absurd
		s.cloud.spoil(func(string, bool) error {
			return &leak.Throttled{After: 1000 * time.Hour, Err: errors.New("status 429")}
		})
	case 4:
		s.cloud.spoil(func(string, bool) error { return leak.ErrCredential })
	case 5: // reads fail, writes do not
		s.cloud.spoil(func(op string, _ bool) error {
			if op == "read" {
				return errors.New("an HTML page")
			}
			return nil
		})
	}
}

// orderOne lets a person order something about some incident.
func (s *sim) orderOne() {
	ids := s.incidents()
	if len(s.engines) == 0 || len(ids) == 0 {
		return
	}
	id := pick(s, ids...)
	o := dispositions.Order{Verb: pick(s, dispositions.Verbs...), By: "alice", Reason: "because"}
	if s.incident(id).Key.Disabled && s.chance(70) {
		o.Verb = dispositions.Undo // the others are mostly refused then
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, _ = s.engines[0].Order(ctx, id, o) // taken or refused
}

func (s *sim) incidents() []leak.Fingerprint {
	var ids []leak.Fingerprint
	for _, id := range s.order {
		if s.incident(id).ID != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// meddle lets somebody change a key at its issuer.
func (s *sim) meddle() {
	id := s.ids[s.IntN(len(s.ids))]
	if _, there := s.cloud.get(id); !there {
		return
	}
	change := s.IntN(5)
	s.cloud.set(id, func(k *leak.Key) {
		switch change {
		case 0:
			k.Disabled = true
		case 1:
			k.Disabled = false
		case 2:
			k.Locked = !k.Locked
		case 3:
			k.Setting = pick(s, leak.Disable, leak.Delete, leak.Nothing)
		}
	})
	if change == 4 {
		s.cloud.mu.Lock()
		delete(s.cloud.keys, id)
		s.cloud.mu.Unlock()
	}
}

// wantAnnounced is asked at each effect call: the log must announce what is done, and what may never be touched is not. Of two
// engines that took up one announcement the slower may call when the faster has proved it: that repeats what is done.
func (s *sim) wantAnnounced(op, id string) {
	if op != "disable" && op != "delete" && op != "enable" {
		return
	}
	if slices.Contains(s.policy.Protect, id) && op != "enable" {
		s.t.Errorf("a protected key is asked to be %sd", op)
	}
	if s.policy.DryRun && op != "enable" {
		s.t.Errorf("in a dry run key %s is asked to be %sd", id, op)
	}
	for f, key := range s.known {
		if key != id {
			continue
		}
		i := s.incident(f)
		if repeats := i.State == leak.Contained && string(i.Action) == op; string(i.Intended) != op && !repeats {
			s.t.Errorf("key %s is asked to be %sd while the log announces %q", id, op, i.Intended)
		}
	}
}

// heal ends every fault, and lets a good engine work for as long as anything can take: a new one, or one that has lived on
// while others crashed, and must find what they left.
func (s *sim) heal() {
	s.cloud.spoil(nil)
	s.cloud.liar(false)
	if len(s.engines) == 0 {
		s.startEngine()
	} else {
		s.events["outlived"]++
	}
	time.Sleep(3 * 24 * time.Hour)
	for len(s.engines) > 0 {
		s.stopEngine()
	}
}

// wantEnds looks at what is left when the world has been well for three days.
func (s *sim) wantEnds() {
	s.wantClean()
	undoing := false // for ever, because the key is locked: what is new of it waits for that
	for _, id := range s.incidents() {
		i := s.incident(id)
		key, there := s.cloud.get(s.known[id])
		switch i.State {
		case leak.Open:
			s.t.Errorf("incident of %s is still being worked on: %s", s.known[id], s.steps(id))
		case leak.Failed:
			if !there || !key.Locked {
				s.t.Errorf("incident of %s failed, and nothing stands in the way: %s (%s)", s.known[id], i.Failure, s.steps(id))
			}
			undoing = undoing || i.Intended == leak.Enable
		case leak.Unknown:
			if there {
				s.t.Errorf("key %s is there and said to be unknown: %s", s.known[id], s.steps(id))
			}
		}
		if got, want := s.kept(id), !i.Finished() && i.State != leak.Unknown; got && !want {
			s.t.Errorf("the secret of an incident that is %s is kept: %s", i.State, s.steps(id))
		}
		s.wantProofs(id)
		if s.t.Failed() {
			s.tell(id)
			break
		}
	}
	if stats, err := s.store.Stats(context.Background(), queue.Alerts); err != nil || stats.Messages != 0 && !undoing {
		s.t.Errorf("the queue holds %d alerts, %v", stats.Messages, err)
	}
}

// tell prints the steps of an incident, for whoever looks for a fault.
func (s *sim) tell(id leak.Fingerprint) {
	steps, _ := s.ledger().Steps(context.Background(), id)
	for _, step := range steps {
		s.t.Logf("%s %s %s (%s)", step.At.Format(time.DateTime), step.Step, step.Text, step.By)
	}
}

// wantProofs reads an incident's log, whose chain must be whole: each proof was said by the issuer, and what was done without
// faults was done seldom.
func (s *sim) wantProofs(id leak.Fingerprint) {
	intended := 0
	ended := false // by a person, with nothing new since
	for entry, err := range s.ledger().Entries(context.Background(), id) {
		if err != nil {
			s.t.Errorf("the log of %s: %v", s.known[id], err)
			return
		}
		for _, step := range entry.Steps {
			if slices.Contains([]leak.StepName{leak.Intended, leak.Approved, leak.UndoAsked}, step.Step) {
				intended++
			}
			switch step.Step {
			case leak.Undone, leak.Ended:
				ended = true
			case leak.Seen, leak.Retried:
				ended = false
			case leak.Intended:
				if ended {
					s.t.Errorf("key %s is acted on although a person ended its incident: %s", s.known[id], s.steps(id))
				}
			}
			if step.Step == leak.Proved && !s.cloud.saidDead(s.known[id], step.At) {
				s.t.Errorf("key %s is said to be dead at %s, and its issuer did not say so: %s", s.known[id], step.At, s.steps(id))
			}
		}
	}
	if s.faulty {
		return
	}
	calls := 0
	for _, op := range []string{"disable", "delete", "enable"} {
		calls += s.cloud.count(op, s.known[id])
	}
	if most := 2*intended + 2*s.crashes; calls > most {
		s.t.Errorf("key %s was changed %d times for %d announcements and %d crashes", s.known[id], calls, intended, s.crashes)
	}
}
