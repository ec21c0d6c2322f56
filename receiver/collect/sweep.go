package collect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

const (
	// grace is how recent a change may be for a scheduled sweep to leave it to the delivery that is under way.
	grace = 10 * time.Minute
	// overlap is how far a scheduled sweep looks back beyond the one before it: clocks differ and lists lag.
	overlap = time.Hour
	// fullEvery is how often a scheduled sweep lists everything that is open.
	fullEvery = 24 * time.Hour
	// sweepTimeout bounds one sweep. An organisation with a hundred thousand open alerts has a thousand pages.
	sweepTimeout = time.Hour
)

// Sweep says what a sweep looks for. The zero value means everything that is open.
type Sweep struct {
	Since  time.Time     // only alerts that changed since; zero: all open alerts
	Grace  time.Duration // leaves out alerts that changed this recently
	DryRun bool          // counts and changes nothing
	// Progress is called after each alert, from the goroutine that sweeps; nil: it is not.
	Progress func(Swept)
}

// Swept is what a sweep has found so far.
type Swept struct {
	Listed      int `json:"listed"`      // open alerts at the source
	Missed      int `json:"missed"`      // of these, those that no incident knew; they are queued now
	Redelivered int `json:"redelivered"` // failed deliveries that the source was asked to repeat
	// Problem says why failed deliveries could not all be asked for; empty: they were.
	Problem string `json:"problem,omitempty"`
}

// ErrNoSource means that the Collector has no source of that name.
var ErrNoSource = errors.New("no source of that name has an API to ask")

// Has reports whether the Collector works for a source.
func (c *Collector) Has(name string) bool {
	_, ok := c.settings.Load().sources[name]
	return ok
}

// Sweep lists the open alerts of a source and queues a pointer to each that no incident knows. It also asks the source to
// repeat failed deliveries. A sweep may be stopped and started again: pointers are not queued twice. It returns what it
// found so far together with an error, which is ErrNoSource when there is no such source.
func (c *Collector) Sweep(ctx context.Context, name string, s Sweep) (swept Swept, err error) {
	ctx, sweeping := span.Continue(ctx, c.tracer, "sweep")
	sweeping.Set(span.Source, name)
	defer func() { sweeping.SetInt(span.Pointers, swept.Missed); sweeping.End(err) }()
	source, ok := c.settings.Load().sources[name]
	if !ok {
		return Swept{}, ErrNoSource
	}
	select {
	case <-c.known.ready:
	case <-ctx.Done():
		return Swept{}, fmt.Errorf("waiting for the log to be read: %w", ctx.Err())
	}
	swept, err = c.sweepAlerts(ctx, name, source.Vendor, s)
	if err != nil {
		return swept, fmt.Errorf("sweeping %s: %w", name, err)
	}
	if redeliverer, ok := source.Vendor.(Redeliverer); ok && !s.DryRun {
		swept.Redelivered, err = redeliverer.Redeliver(ctx, s.Since)
		if err != nil {
			swept.Problem = err.Error()
			c.log.WarnContext(ctx, "failed deliveries cannot all be asked for", "source", name, "err", err)
		}
		c.metrics.switchedOff(name, err)
	}
	c.log.InfoContext(ctx, "swept", "source", name, "listed", swept.Listed, "missed", swept.Missed, "redelivered", swept.Redelivered)
	return swept, nil
}

func (c *Collector) sweepAlerts(ctx context.Context, name string, vendor Vendor, s Sweep) (swept Swept, err error) {
	began := time.Now()
	for listed, err := range vendor.Open(ctx, s.Since) {
		if err != nil {
			return swept, err
		}
		swept.Listed++
		young := began.Sub(listed.UpdatedAt) < s.Grace
		if !young && c.known.missed(name, listed) {
			swept.Missed++
			if err := c.point(ctx, name, listed, s.DryRun); err != nil {
				return swept, err
			}
		}
		if s.Progress != nil {
			s.Progress(swept)
		}
	}
	return swept, nil
}

// point queues a pointer to a missed alert.
func (c *Collector) point(ctx context.Context, name string, l Listed, dryRun bool) error {
	if dryRun {
		return nil
	}
	p := leak.Pointer{V: leak.Version, Source: name, Ref: l.Ref, Event: "swept", Swept: true, ReceivedAt: time.Now()}
	message, err := encode(queue.PointerSubject(name), p)
	if err != nil {
		return err
	}
	if err := c.store.Append(ctx, message); err != nil {
		return fmt.Errorf("queueing a pointer: %w", err)
	}
	c.known.point(name, l)
	c.metrics.missed.WithLabelValues(name).Inc()
	return nil
}

// schedule holds the times of each source.
type schedule struct {
	next map[string]time.Time // the next sweep
	full map[string]time.Time // the last sweep of everything
	last map[string]time.Time // the last sweep
}

// sweeps sweeps each source when it is due, one after the other, until ctx ends. The first sweep is at the start, because
// deliveries may have failed while nobody listened.
func (c *Collector) sweeps(ctx context.Context) error {
	s := schedule{map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}}
	for {
		wait := time.Hour
		for name, source := range c.settings.Load().sources {
			if source.Sweep <= 0 {
				continue
			}
			now := time.Now()
			if !s.next[name].After(now) {
				c.sweepOnSchedule(ctx, s, name)
				s.next[name] = now.Add(source.Sweep)
			}
			wait = min(wait, time.Until(s.next[name]))
		}
		timer := time.NewTimer(max(wait, time.Second))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-c.changed:
			timer.Stop()
		}
	}
}

func (c *Collector) sweepOnSchedule(ctx context.Context, s schedule, name string) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	began := time.Now()
	order := Sweep{Grace: grace}
	full := began.Sub(s.full[name]) >= fullEvery
	if !full {
		order.Since = s.last[name].Add(-overlap)
	}
	_, err := c.Sweep(ctx, name, order)
	if err != nil {
		if ctx.Err() == nil {
			c.log.WarnContext(ctx, "sweeping a source", "source", name, "err", err)
		}
		c.metrics.swept(name, resultFailed)
		return
	}
	c.metrics.swept(name, resultDone)
	s.last[name] = began
	if full {
		s.full[name] = began
	}
}
