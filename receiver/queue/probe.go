package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// probeSubject is where the probe writes.
	probeSubject = "probes.store"
	// probeEvery is the time between two probes of the store, and how long each may take.
	probeEvery = 5 * time.Second
	// maxProbeFailures is how many probes in a row may fail where the store is in the process: once its disk was full or
	// failed, such a store stays dead until the process starts again.
	maxProbeFailures = 3
)

var errNotProbed = errors.New("the store was not probed yet")

// Probe shows that the store's disk works, by writing a small message every few seconds.
type Probe struct {
	store    Store
	recovers bool

	mu  sync.Mutex
	err error // of the last probe
}

// NewProbe returns a probe of a store. It is not ready before Run has written once. recovers says whether the store can
// recover from a failed disk by itself: the embedded one cannot, and a cluster does as soon as most of it is back.
func NewProbe(store Store, recovers bool) *Probe {
	return &Probe{store: store, recovers: recovers, err: errNotProbed}
}

// Run probes until ctx ends, and then returns nil. For a store that cannot recover it returns an error after three failures
// in a row: the process must then exit, and be started again.
func (p *Probe) Run(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for failures := 0; ; {
		err := p.write(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if p.note(err); err == nil {
			failures = 0
		} else if failures++; failures == maxProbeFailures && !p.recovers {
			return fmt.Errorf("%d probes in a row: %w", failures, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// write is one probe. What it writes replaces what the last one wrote.
func (p *Probe) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeEvery)
	defer cancel()
	if err := p.store.Append(ctx, Message{Subject: probeSubject, Data: []byte(time.Now().Format(time.RFC3339))}); err != nil {
		return fmt.Errorf("probing the store: %w", err)
	}
	return nil
}

func (p *Probe) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// Ready returns nil if the last probe was written, and otherwise why not. It is safe for concurrent use.
func (p *Probe) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
