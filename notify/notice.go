package notify

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stanch/receiver/leak"
)

// Compose turns an entry of the log into a notice, or reports false when nobody needs to be told: what is worth
// telling is an outcome (proved, left, held, failed, rejected, undone, closed, unknown as the last word), never that a
// key was merely seen or that an action is announced, approved or asked for. So a sighting that only adds to a finished
// incident makes no notice.
//
// Sightings are where the incident's key was seen, in any order: nil when nobody can say now, empty when they have
// been forgotten. The external URL is that of the private listener, or empty. Everything in the notice that strangers
// wrote, or whoever gave a reason, is free of control characters, line breaks and invisible marks.
func Compose(e leak.Entry, sightings []leak.Sighting, externalURL string) (Notice, bool) {
	step, ok := outcome(e)
	if !ok {
		return Notice{}, false
	}
	s := newStory(e, step, sightings)
	n := Notice{
		ID: e.ID, At: step.At, Severity: s.Severity, Title: s.title(),
		Incident: s.Incident, Seen: s.seen, Facts: s.facts(),
	}
	if externalURL != "" {
		n.Link = strings.TrimRight(externalURL, "/") + "/api/v1/incidents/" + string(s.ID)
	}
	return n, true
}

// outcome returns the newest step of an entry that is worth telling. A step counts only if the incident stands where
// the step took it: a failure that the same turn overcame is no news. A quiet step was told with another incident.
func outcome(e leak.Entry) (leak.Step, bool) {
	for _, step := range slices.Backward(e.Steps) {
		if !step.Quiet && slices.Contains(told[step.Step], e.Incident.State) {
			return step, true
		}
	}
	return leak.Step{}, false
}

// told are the steps that are worth telling, and the states that each leads to.
var told = map[leak.StepName][]leak.State{
	leak.Proved:   {leak.Contained, leak.Held},
	leak.Spared:   {leak.Left},
	leak.HeldBack: {leak.Held},
	leak.Failure:  {leak.Failed},
	leak.NotKnown: {leak.Unknown},
	leak.Rejected: {leak.Left, leak.Contained},
	leak.Undone:   {leak.Closed},
	leak.Ended:    {leak.Closed},
	leak.Alive:    {leak.Closed},
}

// story is what a notice is composed from: an incident, the turn that made it news, and the sightings.
type story struct {
	leak.Incident
	news      leak.StepName // what the notice is about
	who       string        // took that step
	said      []string      // texts of the turn's outcomes, oldest first
	warned    []string      // texts of its warnings
	seen      []leak.Sighting
	available bool // whether the sightings could be looked up
}

func newStory(e leak.Entry, news leak.Step, sightings []leak.Sighting) story {
	s := story{
		Incident: plainIncident(e.Incident), news: news.Step, who: plain(news.By), available: sightings != nil,
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

// listen takes in what a step of the turn says. Of a person's step it adds who took it.
func (s *story) listen(step leak.Step) {
	text := plain(step.Text)
	switch {
	case text == "":
	case step.Step == leak.Warned:
		s.warned = append(s.warned, text)
	case told[step.Step] == nil:
	case step.Step == leak.Rejected, step.Step == leak.Ended:
		s.said = append(s.said, "by "+s.person()+": "+text)
	default:
		s.said = append(s.said, text)
	}
}

// gone reports whether a contained key no longer exists; a disabled one does.
func (s story) gone() bool {
	return s.news == leak.Proved && s.State == leak.Contained && (s.Action == leak.Delete || !s.Key.Disabled)
}

// dead reports whether the issuer said that the key is of no use to anybody.
func (s story) dead() bool {
	switch {
	case s.news == leak.Undone, s.news == leak.Alive:
		return false
	case s.State == leak.Closed && !s.ContainedAt.IsZero():
		return true
	}
	return s.State == leak.Contained || s.Key.Disabled
}

// undoFailed reports whether the news is that a key could not be enabled again.
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
