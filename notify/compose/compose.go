// Package compose puts what became of a leaked key into words: it makes a notice of an entry of the log, or one notice of
// many, for somebody who has never seen stanch. It reads nothing but what it is given, and everything in a notice that
// strangers wrote is safe to show on a line.
package compose

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stanch/notify"
	"stanch/receiver/leak"
)

// Audience is whom notices are composed for. The zero Audience may see everything, and gets no links.
type Audience struct {
	ExternalURL string // of the private listener; empty: notices have no link
	// Withholds reports whether this audience must not see where the alerts of a source saw a key; nil: it may see all.
	Withholds func(source string) bool
}

// News reports whether an entry of the log is worth a notice: it has an outcome (proved, left, held, failed, rejected,
// undone, closed, unknown as the last word), or a person took the incident up. That a key was merely seen, or that an
// action is about to start, is no news; so a sighting that only adds to a finished incident makes no notice.
func News(e leak.Entry) bool {
	_, ok := outcome(e)
	return ok
}

// Notice makes the notice of an entry of the log, or reports false when the entry is no [News].
//
// Sightings are where the incident's key was seen, in any order: nil when nobody can say now, empty when they have
// been forgotten. Whatever strangers wrote, and whatever reason a person gave, is free of control characters, line breaks
// and invisible marks.
func (a Audience) Notice(e leak.Entry, sightings []leak.Sighting) (notify.Notice, bool) {
	step, ok := outcome(e)
	if !ok {
		return notify.Notice{}, false
	}
	s := newStory(e, step, sightings)
	s.link = a.link(s.ID)
	s.withhold(a.Withholds)
	n := notify.Notice{
		ID: e.ID, At: step.At, Severity: s.Severity, Title: s.title(), Incident: s.Incident, Seen: s.seen,
		Link: s.link, Phase: phase(s.Incident, s.news),
	}
	if n.Phase == notify.Taken {
		n.Facts = []notify.Fact{fact("What happened", s.takenUp())}
	} else {
		n.Facts = s.facts()
	}
	return n, true
}

// link is the address of an incident; empty: there is none.
func (a Audience) link(id leak.Fingerprint) string {
	if a.ExternalURL == "" {
		return ""
	}
	return strings.TrimRight(a.ExternalURL, "/") + "/incidents/" + string(id)
}

// phase says what a step means for a channel that keeps a list of what is open.
func phase(i leak.Incident, news leak.StepName) notify.Phase {
	switch {
	case i.State == leak.Open:
		return notify.Taken
	case news == leak.Alive, news == leak.Looked, i.State == leak.Accepted: // which nobody has proved
		return notify.Opened
	case i.State == leak.Left && i.Severity == leak.Critical && news != leak.Rejected: // nobody chose to leave it
		return notify.Opened
	case i.Finished():
		return notify.Settled
	}
	return notify.Opened
}

// outcome returns the newest step of an entry that is worth telling. A step counts only if the incident stands where
// the step took it: a failure that the same reconcile overcame is no news. A quiet step was told with another incident.
func outcome(e leak.Entry) (leak.Step, bool) {
	for _, step := range slices.Backward(e.Steps) {
		if !step.Quiet && slices.Contains(told[step.Step], e.Incident.State) {
			return step, true
		}
	}
	return leak.Step{}, false
}

// told are the steps that are worth telling, and the states that each leads to. A person's step that leads to an open
// incident is for followers only.
var told = map[leak.StepName][]leak.State{
	leak.Proved:    {leak.Contained, leak.Held},
	leak.Unproved:  {leak.Accepted},
	leak.Spared:    {leak.Left},
	leak.HeldBack:  {leak.Held},
	leak.Failure:   {leak.Failed},
	leak.NotKnown:  {leak.Unknown},
	leak.Rejected:  {leak.Left, leak.Contained},
	leak.Undone:    {leak.Closed},
	leak.Ended:     {leak.Closed},
	leak.Alive:     {leak.Closed},
	leak.Looked:    {leak.Contained, leak.Held},
	leak.Approved:  {leak.Open},
	leak.UndoAsked: {leak.Open},
	leak.Retried:   {leak.Open},
}

// story is what a notice is composed from: an incident, the reconcile that made it news, and the sightings.
type story struct {
	leak.Incident
	news      leak.StepName // what the notice is about
	at        time.Time     // of that step
	who       string        // who took that step
	said      []string      // texts of the reconcile's outcomes, oldest first
	warned    []string      // texts of its warnings
	seen      []leak.Sighting
	available bool   // whether the sightings could be looked up
	withheld  bool   // whether some of them are not for this reader
	link      string // to the incident, or empty
}

func newStory(e leak.Entry, news leak.Step, sightings []leak.Sighting) story {
	s := story{
		Incident: plainIncident(e.Incident), news: news.Step, at: news.At, who: plain(news.By), available: sightings != nil,
	}
	if s.Severity == "" {
		s.Severity = leak.Warning
	}
	if s.State == leak.Contained && s.ContainedAt.IsZero() {
		s.ContainedAt = news.At
	}
	for _, step := range e.Steps {
		s.listen(step)
	}
	for _, sighting := range sightings {
		s.seen = append(s.seen, plainSighting(sighting))
	}
	slices.SortStableFunc(s.seen, func(a, b leak.Sighting) int { return a.SeenAt.Compare(b.SeenAt) })
	return s
}

// withhold removes from the sightings of some sources where the key was seen.
func (s *story) withhold(from func(source string) bool) {
	for i, sighting := range s.seen {
		if from != nil && from(sighting.Source) {
			s.seen[i].URL, s.seen[i].Place, s.seen[i].Type = "", "", ""
			s.withheld = true
		}
	}
}

// takenUp says in one sentence what a person ordered.
func (s story) takenUp() string {
	return sentence(strings.Join(s.said, "; "))
}

// listen takes in what a step of the reconcile says. To a person's step it adds who took it.
func (s *story) listen(step leak.Step) {
	text := plain(step.Text)
	switch {
	case text == "":
	case step.Step == leak.Warned:
		s.warned = append(s.warned, text)
	case told[step.Step] == nil:
	case slices.Contains(byPersons, step.Step):
		s.said = append(s.said, "by "+s.person()+": "+text)
	default:
		s.said = append(s.said, text)
	}
}

// byPersons are the steps that are told together with who took them.
var byPersons = []leak.StepName{leak.Rejected, leak.Ended, leak.Approved, leak.UndoAsked, leak.Retried}

// gone reports whether a contained key no longer exists; one that is disabled or has expired does.
func (s story) gone() bool {
	dead := s.news == leak.Proved && s.State == leak.Contained
	return dead && (s.Key.Gone || !s.expired() && (s.Action == leak.Delete || !s.Key.Disabled))
}

// expired reports whether the key still exists, but works no more because it has expired.
func (s story) expired() bool {
	over := !s.Key.ExpiresAt.IsZero() && s.at.After(s.Key.ExpiresAt)
	return over && !s.Key.Disabled && !s.Key.Gone
}

// dead reports whether the issuer said that the key is of no use to anybody.
func (s story) dead() bool {
	switch {
	case s.news == leak.Undone, s.news == leak.Alive, s.valueWorks():
		return false
	case s.State == leak.Closed && !s.ContainedAt.IsZero():
		return true
	}
	return s.State == leak.Contained || s.Key.Disabled || s.expired()
}

// valueWorks reports whether the news is that the leaked value works although the issuer says that the key is dead.
func (s story) valueWorks() bool { return s.news == leak.Failure && s.Cause == leak.CauseAlive }

// undoFailed reports whether the news is that the key could not be enabled again.
func (s story) undoFailed() bool {
	return s.news == leak.Failure && s.Intended == leak.Enable
}

// stamp is a time as a notice shows it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// sentence makes a sentence of a text: it begins with a capital and ends with a full stop.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return ended(string(unicode.ToUpper(first)) + text[size:])
}

// ended is a text with a full stop, unless it ends already.
func ended(text string) string {
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}
