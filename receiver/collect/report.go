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

// report takes one entry of the log and tells the sources of its incident's alerts what became of the key, if that is news
// to them. A nil error settles the entry.
func (c *Collector) report(ctx context.Context, m queue.Message) error {
	entry, err := leak.Read[leak.Entry](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return queue.LeftToNewer(err)
	case err != nil || !isNews(entry):
		return nil // audits find damaged entries
	}
	standing, err := c.standing(ctx, entry.Incident.ID)
	if err != nil {
		return err
	}
	var failures []error
	for _, a := range standing.untold {
		failures = append(failures, c.tell(ctx, standing, a, time.Since(m.Time) > giveUpAfter))
	}
	return retryLater(errors.Join(failures...))
}

// tell closes or opens one alert at its source, and has the engine record that in the log. A refusal that no retry can help
// is recorded as well, so that it is not tried again.
func (c *Collector) tell(ctx context.Context, s standing, a alert, lastTry bool) (err error) {
	source, ok := c.settings.Load().sources[a.source]
	if !ok {
		return nil // sweeps will find its alerts once it is configured again
	}
	ctx, reporting := span.Continue(ctx, c.tracer, "report")
	reporting.Set(span.Source, a.source)
	reporting.Set(span.Incident, string(s.ID))
	defer func() { reporting.End(err) }()
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = c.put(calling, source.Vendor, s, a)
	switch {
	case err == nil:
		return c.record(ctx, s, a, resultReported, "told "+a.source+" that "+s.says()+": alert "+a.ref+" "+s.verb())
	case errors.Is(err, ErrGone):
		return c.record(ctx, s, a, resultGone, a.source+" has no alert "+a.ref+" any more: nothing was reported")
	case errors.Is(err, ErrRefused), lastTry:
		return c.record(ctx, s, a, resultRefused, fmt.Sprintf("%s was not told that %s: alert %s: %v", a.source, s.says(), a.ref, err))
	}
	c.reported(ctx, a.source, resultRetried)
	return fmt.Errorf("reporting to %s: %w", a.source, err)
}

func (c *Collector) put(ctx context.Context, v Vendor, s standing, a alert) error {
	comment := s.comment(c.settings.Load().externalURL)
	if s.dead {
		return v.Resolve(ctx, a.ref, comment)
	}
	return v.Reopen(ctx, a.ref, comment)
}

// record tells the engine what was reported, through the queue of alerts.
func (c *Collector) record(ctx context.Context, s standing, a alert, result, text string) error {
	message, err := encode(queue.AlertSubject(a.source), leak.Alert{
		V: leak.Version, Source: a.source, Fingerprint: s.ID, ReceivedAt: time.Now(), Report: &leak.Report{Ref: a.ref, Text: text},
	})
	if err != nil {
		return err
	}
	if err := c.store.Append(ctx, message); err != nil {
		return fmt.Errorf("queueing a report: %w", err)
	}
	c.reported(ctx, a.source, result)
	return nil
}

// reported counts and traces what became of a report.
func (c *Collector) reported(ctx context.Context, source, result string) {
	c.metrics.reported(source, result)
	span.Of(ctx).Set(span.Result, result)
}
