package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stanch/receiver/leak"
)

// Compose turns an entry of the log into a notice, or reports false when nobody needs to be told: what is worth
// telling is an outcome (proved, left, held, failed, unknown as the last word), never that a key was merely seen or
// that an action is announced. So a sighting that only adds to a finished incident makes no notice.
//
// Sightings are where the incident's key was seen, in any order: nil when nobody can say now, empty when they have
// been forgotten. The external URL is that of the private listener, or empty. Everything in the notice that strangers wrote is free
// of control characters, line breaks and invisible marks.
func Compose(e leak.Entry, sightings []leak.Sighting, externalURL string) (Notice, bool) {
	step, ok := outcome(e)
	if !ok {
		return Notice{}, false
	}
	s := newStory(e, sightings)
	if s.State == leak.Contained && s.ContainedAt.IsZero() {
		s.ContainedAt = step.At
	}
	n := Notice{
		ID: e.ID, At: step.At, Severity: s.Severity, Title: s.title(),
		Incident: s.Incident, Seen: s.seen, Facts: s.facts(),
	}
	if externalURL != "" {
		n.Link = strings.TrimRight(externalURL, "/") + "/api/v1/incidents/" + string(s.ID)
	}
	return n, true
}

// outcome returns the newest step of an entry that is worth telling. A step other than a proof counts only if the
// incident still stands where the step took it: a failure that the same turn overcame is no news.
func outcome(e leak.Entry) (leak.Step, bool) {
	for _, step := range slices.Backward(e.Steps) {
		if step.Step == leak.Proved {
			return step, true
		}
		if state, ok := told[step.Step]; ok && state == e.Incident.State {
			return step, true
		}
	}
	return leak.Step{}, false
}

// told are the steps that are worth telling, and the state that each leads to.
var told = map[leak.StepName]leak.State{
	leak.Proved:   leak.Contained,
	leak.Spared:   leak.Left,
	leak.HeldBack: leak.Held,
	leak.Failure:  leak.Failed,
	leak.NotKnown: leak.Unknown,
}

// story is what a notice is composed from: an incident, the words of the turn that made it news, and the sightings.
type story struct {
	leak.Incident
	said      []string // texts of the turn's outcomes, oldest first
	seen      []leak.Sighting
	available bool // whether the sightings could be looked up
}

func newStory(e leak.Entry, sightings []leak.Sighting) story {
	s := story{Incident: plainIncident(e.Incident), available: sightings != nil}
	if s.Severity == "" {
		s.Severity = leak.Warning
	}
	for _, step := range e.Steps {
		if _, ok := told[step.Step]; ok && step.Text != "" {
			s.said = append(s.said, plain(step.Text))
		}
	}
	for _, sighting := range sightings {
		s.seen = append(s.seen, plainSighting(sighting))
	}
	slices.SortStableFunc(s.seen, func(a, b leak.Sighting) int { return a.SeenAt.Compare(b.SeenAt) })
	return s
}

// gone reports whether a contained key no longer exists; a disabled one does.
func (s story) gone() bool {
	return s.State == leak.Contained && (s.Action == leak.Delete || !s.Key.Disabled)
}

// dead reports whether the issuer said that the key is of no use to anybody.
func (s story) dead() bool { return s.State == leak.Contained || s.Key.Disabled }

// issuer is the configured name of the issuer, or words for it.
func (s story) issuer() string {
	if s.Issuer == "" {
		return "its issuer"
	}
	return s.Issuer
}

// subject is what the title calls the key.
func (s story) subject() string {
	switch {
	case s.Key.Name != "":
		return fmt.Sprintf("%s key %q", s.issuer(), s.Key.Name)
	case s.Key.ID != "":
		return s.issuer() + " key " + s.Key.ID
	}
	return "Leaked key " + s.ID.Short()
}

func (s story) title() string {
	switch s.State {
	case leak.Contained:
		return fmt.Sprintf("%s is %s, proved %s", s.subject(), s.end(), s.ContainedAt.UTC().Format("15:04:05 UTC"))
	case leak.Held:
		return s.titleHeld()
	case leak.Left:
		return s.titleLeft()
	case leak.Failed:
		return s.titleFailed()
	case leak.Unknown:
		return s.subject() + " is known to no issuer: nothing was done"
	}
	return fmt.Sprintf("%s: incident %s", s.subject(), s.State)
}

func (s story) titleHeld() string {
	if s.Key.Disabled {
		return s.subject() + " is disabled; deleting it waits for approval"
	}
	return fmt.Sprintf("%s still works: %s it waits for approval", s.subject(), doing(s.Action))
}

func (s story) titleLeft() string {
	if s.Key.Disabled {
		return s.subject() + " was disabled already: nothing was done"
	}
	return s.subject() + " leaked and still works: nothing was done"
}

func (s story) titleFailed() string {
	switch {
	case s.Key.ID == "":
		return s.subject() + " may still work: it could not be looked up"
	case s.Key.Disabled:
		return s.subject() + " is disabled, but " + doing(s.wanted()) + " it did not succeed"
	}
	return s.subject() + " may still work: " + doing(s.wanted()) + " it did not succeed"
}

// end says how a contained key ended.
func (s story) end() string {
	if s.gone() {
		return "deleted"
	}
	return "disabled"
}

// wanted is the action that is under way, or else the one decided.
func (s story) wanted() leak.Action {
	if s.Intended != "" {
		return s.Intended
	}
	return s.Action
}

// doing is an action as a noun.
func doing(a leak.Action) string {
	switch a {
	case leak.Disable:
		return "disabling"
	case leak.Delete:
		return "deleting"
	}
	return "handling"
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
