package main_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
	"stanch/receiver/queue/natstest"
	"stanch/receiver/queue/soak"
)

// fleet is processes of stanch, a role each, on a cluster of three NATS servers with the rights of deploy/nats. What they
// share is in the site: the vendors, the keys, what they print.
type fleet struct {
	*site
	nats    *natstest.Secured
	members []*site
	issuer  string // what more the issuer's entry says
	sinks   []*sink
}

// newFleet makes the cluster and its streams; nothing runs yet.
func newFleet(t testing.TB, issuer string) *fleet {
	t.Helper()
	conf, err := filepath.Abs("../../deploy/nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	s, sinks := newTold(t, 2, ", gather_after: 100000")
	f := &fleet{site: s, nats: natstest.NewSecured(t, filepath.Join(s.dir, "nats"), conf), issuer: issuer, sinks: sinks}
	f.must("keygen", "keys")
	operator := f.member("operator")
	operator.must("streams", "create", "--nkey-file", f.nats.Seed("operator"))
	return f
}

// must runs the binary beside those that serve.
func (s *site) must(args ...string) {
	s.t.Helper()
	if out, err := s.command(args...); err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// member makes a process of one role, which shares nothing with the others but the cluster, the keys and the vendors.
func (f *fleet) member(role string) *site {
	f.t.Helper()
	m := *f.site
	m.role, m.dir = role, f.t.TempDir()
	m.public, m.private = freeAddress(f.t), freeAddress(f.t)
	text, err := os.ReadFile(filepath.Join(f.dir, "stanch.yaml"))
	if err != nil {
		f.t.Fatal(err)
	}
	m.write("stanch.yaml", strings.NewReplacer(
		"store: {embedded: {dir: data}}", fmt.Sprintf("store: {nats: {url: %q, nkey_file: %q, ca_file: %q, replicas: 3}}",
			f.nats.URLs(), f.nats.Seed(role), f.nats.CA),
		"keys_dir: keys", fmt.Sprintf("keys_dir: %q", filepath.Join(f.dir, "keys")),
		f.public, m.public, f.private, m.private,
		"apikey_file: apikey", fmt.Sprintf("apikey_file: %q", filepath.Join(f.dir, "apikey")),
		"secret_file: webhook-secret", fmt.Sprintf("secret_file: %q", filepath.Join(f.dir, "webhook-secret")),
		"token_types:", f.issuer+"token_types:",
	).Replace(string(text)))
	f.t.Cleanup(m.kill)
	return &m
}

// serve starts as many processes of a role.
func (f *fleet) serve(role string, count int) []*site {
	f.t.Helper()
	var members []*site
	for range count {
		m := f.member(role)
		m.start()
		members = append(members, m)
	}
	f.members = append(f.members, members...)
	return members
}

// deliver posts records in batches, each again until one of the receivers has taken it, as GitHub does.
func (f *fleet) deliver(receivers []*site, records []record, before func(batch int)) {
	const batch = 20
	for n := 0; n*batch < len(records); n++ {
		before(n)
		part := records[n*batch : min((n+1)*batch, len(records))]
		for try := n; receivers[try%len(receivers)].post(part) != http.StatusNoContent; try++ {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// TestCluster delivers alerts to two receivers on a cluster of three servers, worked off by three engines and told by two
// notifiers, while a server, an engine, a receiver and a notifier die and come back, one after the other: every alert that was
// acknowledged has its incident, every key ends as it is configured, every notice comes, and each engine has done some of
// the work. No process has more rights than deploy/nats gives its role.
func TestCluster(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "")
	receivers, notifiers := f.serve("receiver", 2), f.serve("notifier", 2)
	engines := f.serve("engine", 3)
	f.serve("collector", 1)
	for _, m := range f.members {
		m.must("doctor", "--role", m.role)
	}
	if out, err := receivers[0].command("incidents", "list"); err == nil || !strings.Contains(out, "ask an engine") {
		t.Errorf("a receiver is asked for incidents: got %v, %s", err, out)
	}
	keys, records := f.disabling(soak.Size(100, 400))
	random := rand.New(rand.NewPCG(7, 7))
	again := func(m *site) func() { return func() { m.kill(); m.start() } }
	fates := []func(){again(engines[0]), f.loseNode(random.IntN(3)), again(receivers[0]), again(notifiers[0]), again(engines[1])}
	var dying sync.WaitGroup
	f.deliver(receivers, records, func(batch int) {
		if step := len(records) / 20 / len(fates); batch%step == step-1 {
			dying.Wait() // one at a time: a cluster outlives one server, not two
			dying.Go(fates[batch/step])
		}
	})
	dying.Wait()

	engine := engines[2]
	f.waitFor("every incident is settled", func() bool {
		return gauge(engine.get("/metrics"), `stanch_incidents{state="contained"}`) == len(keys)
	})
	for _, k := range keys {
		if now, there := f.iam.Key(k.id); !k.dead(now, there) {
			t.Errorf("key %s is alive", k.key.Name)
		}
	}
	for n, one := range f.sinks {
		f.waitFor(fmt.Sprintf("sink %d told of all", n), func() bool { return one.contained() == len(keys) })
		t.Logf("sink %d was told %d notices, %d of them again", n, len(one.events), one.repeats())
	}
	for n, e := range engines {
		done := gauge(e.get("/metrics"), `stanch_dispositions_total{action="disable",issuer="ibm",result="proved"}`)
		t.Logf("engine %d proved %d keys dead since it started", n, done)
		if n == 2 && (done == 0 || done == len(keys)) {
			t.Errorf("the engine that lived all along did %d of %d: the work is not shared", done, len(keys))
		}
	}
	engine.must("audit", "verify")
	for _, m := range f.members {
		if err := m.stop(); err != nil {
			t.Errorf("a %s ended with %v on SIGTERM\n%.2000s", m.role, err, f.output)
		}
	}
	f.wantNothingPlanted()
}

// loseNode stops a server of the cluster, and starts it again when the others have noticed.
func (f *fleet) loseNode(n int) func() {
	return func() {
		f.nats.Stop(n)
		time.Sleep(3 * time.Second)
		f.nats.Start(f.t, n)
		if err := f.nats.Ready(); err != nil {
			f.t.Error(err)
		}
	}
}

// BenchmarkEngines has one, two and four engines work off the same alerts at an issuer that takes 50 ms for each call, each
// engine with eight keys in hand: how much faster many are than one is the ratio.
func BenchmarkEngines(b *testing.B) {
	const keys = 400
	var one time.Duration
	for _, engines := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("%d", engines), func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				took += workOff(b, engines, keys)
			}
			took /= time.Duration(b.N)
			if engines == 1 {
				one = took
			}
			b.ReportMetric(keys/took.Seconds(), "keys/s")
			b.ReportMetric(one.Seconds()/took.Seconds(), "times-one")
		})
	}
}

// workOff is how long some engines take for some keys, from the delivery on.
func workOff(b *testing.B, engines, keys int) time.Duration {
	f := newFleet(b, "in_flight: 8, ")
	receivers, all := f.serve("receiver", 1), f.serve("engine", engines)
	_, records := f.disabling(keys)
	f.iam.AddFault(ibmfake.Fault{Delay: 50 * time.Millisecond, Times: ibmfake.Forever})
	began := time.Now()
	if status := receivers[0].post(records); status != http.StatusNoContent {
		b.Fatalf("got %d", status)
	}
	for gauge(all[0].get("/metrics"), `stanch_incidents{state="contained"}`) < keys {
		time.Sleep(50 * time.Millisecond)
	}
	took := time.Since(began)
	for _, m := range f.members {
		m.kill()
	}
	f.nats.Close()
	return took
}
