// Package inspect looks at a NATS cluster for stanch doctor: whether it can be reached, whether its streams are as stanch makes
// them, and what a power cut would lose. It changes nothing.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/cluster"
	"stanch/receiver/queue/layout"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/streams"
)

const (
	// oldestServer is the first version of the server that stores a batch as a whole.
	oldestMajor, oldestMinor = 2, 12
	// slowAnswer is a round trip that a person would notice: each acknowledged message costs several.
	slowAnswer = 50 * time.Millisecond
)

// Cluster looks at a cluster as far as the credential in c allows. Only the monitoring addresses of its servers, such as
// http://nats-0:8222, tell what a power cut would lose.
func Cluster(ctx context.Context, c cluster.Config, monitoring []string) []leak.Finding {
	var found leak.Findings
	client, err := c.Connect()
	if err != nil {
		found.Broken("connection", "%v", err)
	} else {
		defer client.Conn().Close()
		server(client.Conn(), &found)
		allStreams(ctx, client, c.Layout(), &found)
	}
	flushing(ctx, c.CAFile, c.Layout().Replicas, monitoring, &found)
	return found
}

// server looks at the server that we are connected to.
func server(conn *nats.Conn, found *leak.Findings) {
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
		found.Doubt("round trip", "an answer takes %v, and each acknowledged message costs several: a closer server helps", took)
	default:
		found.Good("round trip", "an answer takes %v", took)
	}
}

// faults are what is wrong with streams, each with the stream's name.
type faults struct{ missing, changed, leaderless, behind, limits []string }

// allStreams looks at the streams.
func allStreams(ctx context.Context, client *natsclient.Client, l layout.Layout, found *leak.Findings) {
	var f faults
	for _, s := range streams.All() {
		handle, err := layout.Lookup(ctx, client, s.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			f.missing = append(f.missing, s.Name)
			continue
		}
		if err != nil {
			found.Broken("streams", "asking about %s: %v", s.Name, err)
			return
		}
		f.add(l, s, handle.CachedInfo())
	}
	f.judge(l, found)
	account(ctx, client, l, found)
}

func (f *faults) add(l layout.Layout, s streams.Stream, info *jetstream.StreamInfo) {
	if err := l.Check(s, info.Config); err != nil {
		f.changed = append(f.changed, err.Error())
	}
	if want := l.MaxBytes(s); info.Config.MaxBytes != want {
		f.limits = append(f.limits, fmt.Sprintf("%s takes %d bytes and not %d", s.Name, info.Config.MaxBytes, want))
	}
	if info.Cluster == nil { // one server alone
		return
	}
	if info.Cluster.Leader == "" {
		f.leaderless = append(f.leaderless, s.Name)
	}
	for _, peer := range info.Cluster.Replicas {
		if peer.Offline || !peer.Current {
			f.behind = append(f.behind, s.Name+" on "+peer.Name)
		}
	}
}

// judge says what the faults mean.
func (f *faults) judge(l layout.Layout, found *leak.Findings) {
	if len(f.missing) > 0 {
		found.Broken("streams", "%s: missing; %s", strings.Join(f.missing, ", "), layout.HowToMake)
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
	case l.Replicas == 1:
		found.Doubt("replicas", "each stream is on one server: while that is away nothing is stored, and what its disk loses is lost")
	case len(f.behind) > 0:
		found.Doubt("replicas", "%s: away, or behind; until they are back a second loss stops everything", strings.Join(f.behind, ", "))
	case len(f.missing) == 0:
		found.Good("replicas", "each stream is on %d servers, all of them current", l.Replicas)
	}
}

// account compares what our account may store with what the streams reserve.
func account(ctx context.Context, client *natsclient.Client, l layout.Layout, found *leak.Findings) {
	const check = "room"
	var info *jetstream.AccountInfo
	err := client.Do(ctx, natsclient.Unanswered, func(ctx context.Context) (err error) {
		info, err = client.JS.AccountInfo(ctx)
		return err
	}, natsclient.APIAccount)
	need := l.MaxStore * int64(l.Replicas)
	switch {
	case errors.Is(err, queue.ErrForbidden):
		found.Doubt(check, "the limits of the account cannot be asked: %v", err)
	case err != nil:
		found.Broken(check, "asking for the limits of the account: %v", err)
	case info.Limits.MaxStore > 0 && info.Limits.MaxStore < need:
		found.Doubt(check, "the account may store %d bytes, and the streams reserve %d on all servers", info.Limits.MaxStore, need)
	default:
		found.Good(check, "the account has room for the %d bytes that the streams reserve on all servers", need)
	}
}
