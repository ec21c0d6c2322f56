package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/outbound"
)

const (
	// monitorTimeout is how long a server's monitoring may take to answer, and maxVarz how large its answer may be.
	monitorTimeout = 10 * time.Second
	maxVarz        = 4 << 20
)

// varz is the part of a server's state that we want, as its monitoring tells it (nats-server, monitor.go).
type varz struct {
	Name      string `json:"server_name"`
	JetStream struct {
		Config *struct {
			SyncInterval time.Duration `json:"sync_interval"`
			SyncAlways   bool          `json:"sync_always"`
		} `json:"config"`
	} `json:"jetstream"`
}

// flushing asks each server's monitoring what a power cut would lose.
func flushing(ctx context.Context, caFile string, replicas int, monitoring []string, found *leak.Findings) {
	const check = "sync"
	client, err := monitorClient(caFile)
	if err != nil {
		found.Broken(check, "%v", err)
		return
	}
	for i, address := range monitoring {
		server, err := askMonitor(ctx, client, address)
		if err != nil {
			found.Broken(check, "monitoring address %d: %v", i+1, err)
			continue
		}
		server.judge(found)
	}
	if missing := replicas - len(monitoring); missing > 0 {
		found.Doubt(check, "%d servers have no monitoring address here, so nobody can tell whether they flush what they acknowledge: "+
			"as NATS comes, a power cut of all servers at once loses up to two minutes of acknowledged alerts (sync_interval)", missing)
	}
}

// judge says what a server would lose.
func (v varz) judge(found *leak.Findings) {
	const check = "sync"
	switch config := v.JetStream.Config; {
	case config == nil:
		found.Broken(check, "%s has no JetStream: it keeps nothing", v.Name)
	case config.SyncAlways:
		found.Good(check, "%s: always: what it acknowledges has been flushed to its disk", v.Name)
	default:
		found.Doubt(check, "%s flushes its disk every %v: when all servers lose power at once, up to %v of acknowledged alerts are lost; "+
			"sync_interval: always loses none", v.Name, config.SyncInterval, config.SyncInterval)
	}
}

// monitorClient trusts whom the connection trusts.
func monitorClient(caFile string) (*http.Client, error) {
	roots, err := outbound.Roots(caFile)
	if err != nil {
		return nil, fmt.Errorf("the CA file %w", err)
	}
	return outbound.NewClient(outbound.Config{Timeout: monitorTimeout, MaxAnswer: maxVarz, Roots: roots}), nil
}

// askMonitor asks one server. The error does not hold the address.
func askMonitor(ctx context.Context, client *http.Client, address string) (v varz, err error) {
	if outbound.CheckURL(address, outbound.URLRules{Plain: true}) != nil {
		return varz{}, errors.New("it is none, such as http://host:8222")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(address, "/")+"/varz", nil)
	if err != nil {
		return varz{}, errors.New("it is none, such as http://host:8222")
	}
	answer, err := client.Do(request)
	if err != nil {
		return varz{}, fmt.Errorf("asking: %w", outbound.Cause(ctx, err))
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return varz{}, fmt.Errorf("asking: status %d", answer.StatusCode)
	}
	if err := json.NewDecoder(answer.Body).Decode(&v); err != nil {
		return varz{}, errors.New("the answer is not that of a NATS server")
	}
	return v, nil
}
