package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/leak"
)

const (
	// oldestServer is the first version of the server that stores a batch as a whole.
	oldestMajor, oldestMinor = 2, 12
	// slowAnswer is the round trip above which a person would notice: each promise costs some.
	slowAnswer = 50 * time.Millisecond
	// apiAccount asks for the limits of our account.
	apiAccount = "$JS.API.INFO"
)

// ExamineCluster looks at a cluster as far as that is possible with a role's credential, and changes nothing. What a power
// cut would lose only the servers' monitoring addresses tell, such as http://nats-0:8222.
func ExamineCluster(ctx context.Context, c ClusterConfig, monitoring []string) []leak.Finding {
	var found leak.Findings
	c = c.withDefaults()
	conn, err := c.connect()
	if err != nil {
		found.Broken("connection", "%v", err)
		examineSync(ctx, c, monitoring, &found)
		return found
	}
	defer conn.Close()
	examineServer(conn, &found)
	if j, err := newJetStream(conn, c.layout(), c.Log); err != nil {
		found.Broken("streams", "%v", err)
	} else {
		j.attempt = clusterAttempt
		j.examine(ctx, &found)
	}
	examineSync(ctx, c, monitoring, &found)
	return found
}

// examineServer looks at the server that we are connected to.
func examineServer(conn *nats.Conn, found *leak.Findings) {
	found.Good("connection", "connected to %s, and authorised", conn.ConnectedServerName())
	version := conn.ConnectedServerVersion()
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		found.Doubt("version", "the server's version is %q, which cannot be compared", version)
	} else if major < oldestMajor || major == oldestMajor && minor < oldestMinor {
		found.Broken("version", "the server is %s, and does not store batches as a whole: %d.%d is needed", version, oldestMajor, oldestMinor)
	} else {
		found.Good("version", "the server is %s", version)
	}
	took, err := conn.RTT()
	switch took = took.Round(time.Microsecond); {
	case err != nil:
		found.Broken("round trip", "the server does not answer: %v", err)
	case took > slowAnswer:
		found.Doubt("round trip", "an answer takes %v, and each promise costs some: a closer server helps", took)
	default:
		found.Good("round trip", "an answer takes %v", took)
	}
}

// faults are what is wrong with streams, each with the stream's name.
type faults struct{ missing, changed, leaderless, behind, limits []string }

// examine looks at the streams.
func (j *JetStream) examine(ctx context.Context, found *leak.Findings) {
	var f faults
	for _, s := range table {
		handle, err := j.lookup(ctx, s)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			f.missing = append(f.missing, s.name)
			continue
		}
		if err != nil {
			found.Broken("streams", "asking about %s: %v", s.name, err)
			return
		}
		f.add(j.layout, s, handle.CachedInfo())
	}
	f.judge(j.layout, found)
	j.examineAccount(ctx, found)
}

func (f *faults) add(l layout, s stream, info *jetstream.StreamInfo) {
	if err := l.check(s, info.Config); err != nil {
		f.changed = append(f.changed, err.Error())
	}
	if want := s.config(l.maxStore, l.replicas, l.keys).MaxBytes; info.Config.MaxBytes != want {
		f.limits = append(f.limits, fmt.Sprintf("%s takes %d bytes and not %d", s.name, info.Config.MaxBytes, want))
	}
	if info.Cluster == nil { // one server alone
		return
	}
	if info.Cluster.Leader == "" {
		f.leaderless = append(f.leaderless, s.name)
	}
	for _, peer := range info.Cluster.Replicas {
		if peer.Offline || !peer.Current {
			f.behind = append(f.behind, s.name+" on "+peer.Name)
		}
	}
}

// judge says what the faults mean.
func (f *faults) judge(l layout, found *leak.Findings) {
	if len(f.missing) > 0 {
		found.Broken("streams", "%s: missing; %s", strings.Join(f.missing, ", "), howToMake)
	} else {
		found.Good("streams", "every stream is there")
	}
	for _, text := range f.changed {
		found.Broken("configuration", "%s", text)
	}
	if len(f.changed) == 0 && len(f.missing) == 0 {
		found.Good("configuration", "every stream is as stanch makes it")
	}
	if len(f.limits) > 0 {
		found.Doubt("limits", "%s: `stanch streams create` adjusts them to max_bytes", strings.Join(f.limits, ", "))
	}
	if len(f.leaderless) > 0 {
		found.Broken("leader", "%s: no leader, so that nothing can be stored: are most of the servers there?", strings.Join(f.leaderless, ", "))
	}
	switch {
	case l.replicas == 1:
		found.Doubt("replicas", "each stream is on one server: while that is away nothing is stored, and what its disk loses is lost")
	case len(f.behind) > 0:
		found.Doubt("replicas", "%s: away, or behind; until they are back a second loss stops everything", strings.Join(f.behind, ", "))
	case len(f.missing) == 0:
		found.Good("replicas", "each stream is on %d servers, all of them current", l.replicas)
	}
}

// examineAccount compares what the account may store with what the streams reserve.
func (j *JetStream) examineAccount(ctx context.Context, found *leak.Findings) {
	const check = "room"
	var account *jetstream.AccountInfo
	err := j.patiently(ctx, unanswered, func(ctx context.Context) (err error) {
		account, err = j.js.AccountInfo(ctx)
		return err
	}, apiAccount)
	need := j.layout.maxStore * int64(j.layout.replicas)
	switch {
	case errors.Is(err, ErrForbidden):
		found.Doubt(check, "the limits of the account cannot be asked: %v", err)
	case err != nil:
		found.Broken(check, "asking for the limits of the account: %v", err)
	case account.Limits.MaxStore > 0 && account.Limits.MaxStore < need:
		found.Doubt(check, "the account may store %d bytes, and the streams reserve %d on all servers", account.Limits.MaxStore, need)
	default:
		found.Good(check, "the account has room for the %d bytes that the streams reserve on all servers", need)
	}
}
