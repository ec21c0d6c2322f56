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
)

// isNews reports whether an entry may change what a source should know.
func isNews(e leak.Entry) bool {
	return slices.ContainsFunc(e.Steps, func(s leak.Step) bool {
		switch s.Step {
		case leak.Proved, leak.Undone, leak.Alive, leak.Failure, leak.Spared, leak.HeldBack:
			return true
		}
		return s.Step == leak.Seen && s.Ref != ""
	})
}

// alert names an alert of a source as the log does.
type alert struct{ source, ref string }

// standing is the state of an incident and the alerts whose sources have been told otherwise, or nothing yet.
type standing struct {
	leak.Incident
	dead   bool // the key is proved dead; otherwise it works, as its issuer said
	untold []alert
}

// standing reads an incident's log. A source is told that a key is dead once that is proved, and that it works only if it
// was told before that it is dead: otherwise its alert is open anyway.
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

// alive reports whether the issuer last said that the key works, and nothing is being done about it.
func alive(i leak.Incident) bool {
	settled := slices.Contains([]leak.State{leak.Failed, leak.Left, leak.Held, leak.Closed}, i.State)
	return settled && i.Key.ID != "" && !i.Key.Disabled && i.ContainedAt.IsZero()
}

func (s standing) verb() string {
	if s.dead {
		return "is resolved"
	}
	return "is open again"
}

// says puts the state of the key into words.
func (s standing) says() string {
	switch {
	case !s.dead:
		return "the key works"
	case s.Key.Disabled:
		return "the key is disabled"
	}
	return "the key is gone"
}

// comment is the text at the source. People of the organisation that the alert belongs to read it.
func (s standing) comment(externalURL string) string {
	var text strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format, args...) }
	name := s.Key.ID
	if s.Key.Name != "" {
		name = fmt.Sprintf("%q (%s)", s.Key.Name, s.Key.ID)
	}
	switch {
	case !s.dead:
		say("stanch: the key %s of %s works again: %s says so.", name, s.Issuer, s.Issuer)
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
