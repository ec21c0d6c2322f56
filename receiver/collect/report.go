package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// report takes one entry of the log, and tells the sources of its incident's alerts how things stand with the key, if that
// is news to them. A nil error settles it.
func (c *Collector) report(ctx context.Context, m queue.Message) error {
	entry, err := leak.Read[leak.Entry](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return queue.LeftToNewer(err)
	case err != nil || !isNews(entry):
		return nil // what is damaged is found by audits
	}
	standing, err := c.standing(ctx, entry.Incident.ID)
	if err != nil {
		return err
	}
	var failures []error
	for _, a := range standing.untold {
		failures = append(failures, c.tell(ctx, standing, a, time.Since(m.Time) > giveUpAfter))
	}
	return comeBack(errors.Join(failures...))
}

// isNews reports whether an entry may change what a source should be told.
func isNews(e leak.Entry) bool {
	return slices.ContainsFunc(e.Steps, func(s leak.Step) bool {
		switch s.Step {
		case leak.Proved, leak.Undone, leak.Alive, leak.Failure, leak.Spared, leak.HeldBack:
			return true
		}
		return s.Step == leak.Seen && s.Ref != ""
	})
}

// alert is an alert of a source, as the log knows it.
type alert struct{ source, ref string }

// standing is how things stand with an incident, and who was told otherwise.
type standing struct {
	leak.Incident
	dead   bool // proved; otherwise the key works, as its issuer said
	untold []alert
}

// standing reads an incident's log. A source is told that a key is dead once that is proved, and that it works only if it
// was told the contrary before: until then its alert is open anyway.
func (c *Collector) standing(ctx context.Context, f leak.Fingerprint) (s standing, err error) {
	var alerts []alert
	toldDead := map[alert]bool{}
	for m, err := range c.store.Scan(ctx, queue.IncidentSubject(f)) {
		if err != nil {
			return standing{}, fmt.Errorf("reading an incident: %w", err)
		}
		entry, err := leak.Read[leak.Entry](m.Data)
		switch {
		case errors.Is(err, leak.ErrNewer):
			return standing{}, queue.LeftToNewer(err)
		case err != nil:
			return standing{}, nil
		}
		s.Incident = entry.Incident
		for _, step := range entry.Steps {
			a := alert{step.Source, step.Ref}
			switch {
			case step.Step == leak.Reported:
				toldDead[a] = dead(entry.Incident)
			case step.Step == leak.Seen && step.Ref != "" && !slices.Contains(alerts, a):
				alerts = append(alerts, a)
			}
		}
	}
	s.dead = dead(s.Incident)
	if s.dead || alive(s.Incident) {
		s.untold = slices.DeleteFunc(alerts, func(a alert) bool { return toldDead[a] == s.dead })
	}
	return s, nil
}

// dead reports whether a key is proved dead.
func dead(i leak.Incident) bool {
	return i.State == leak.Contained || i.State == leak.Held && i.Key.Disabled && !i.ContainedAt.IsZero()
}

// alive reports whether a key works, as its issuer said the last time, and nothing is being done about it.
func alive(i leak.Incident) bool {
	settled := slices.Contains([]leak.State{leak.Failed, leak.Left, leak.Held, leak.Closed}, i.State)
	return settled && i.Key.ID != "" && !i.Key.Disabled && i.ContainedAt.IsZero()
}

// tell reports to one alert, and lets the engine put that into the log. What no retry can help is logged there too, so that
// it is not tried again.
func (c *Collector) tell(ctx context.Context, s standing, a alert, lastTry bool) (err error) {
	source, ok := c.terms.Load().sources[a.source]
	if !ok {
		return nil // when it is configured again, sweeps find its alerts
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
	comment := s.comment(c.terms.Load().externalURL)
	if s.dead {
		return v.Resolve(ctx, a.ref, comment)
	}
	return v.Reopen(ctx, a.ref, comment)
}

// record hands what was reported to the engine, by the queue of alerts.
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

// reported counts what came of a report, and traces it.
func (c *Collector) reported(ctx context.Context, source, result string) {
	c.metrics.reported(source, result)
	span.Of(ctx).Set(span.Result, result)
}

func (s standing) verb() string {
	if s.dead {
		return "is resolved"
	}
	return "is open again"
}

// says is how things stand with the key, in words.
func (s standing) says() string {
	switch {
	case !s.dead:
		return "the key works"
	case s.Key.Disabled:
		return "the key is disabled"
	}
	return "the key is gone"
}

// comment is what the source's readers are told. It goes to people of the organisation that the alert belongs to.
func (s standing) comment(externalURL string) string {
	var text strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format, args...) }
	name := s.Key.ID
	if s.Key.Name != "" {
		name = fmt.Sprintf("%q (%s)", s.Key.Name, s.Key.ID)
	}
	switch {
	case !s.dead:
		say("stanch: the key %s of %s works again, as %s said when it was asked.", name, s.Issuer, s.Issuer)
	case s.Key.Disabled:
		say("stanch: the key %s of %s is disabled, proved by asking %s again at %s.", name, s.Issuer, s.Issuer, stamp(s.ContainedAt))
	default:
		say("stanch: the key %s of %s is gone, proved by asking %s again at %s.", name, s.Issuer, s.Issuer, stamp(s.ContainedAt))
	}
	if s.Rule != "" {
		say(" Rule: %s.", s.Rule)
	}
	if s.dead && s.TokensLiveUntil.After(s.ContainedAt) {
		say(" Tokens issued before work until %s at most.", stamp(s.TokensLiveUntil))
	}
	if externalURL != "" {
		say(" Incident: %s/incidents/%s", strings.TrimRight(externalURL, "/"), s.ID)
	} else {
		say(" Incident: %s", s.ID.Short())
	}
	return text.String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
