package compose

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"stanch/notify"
	"stanch/receiver/leak"
)

const (
	// maxListed is how many accounts, and how many of the most urgent incidents, a group names.
	maxListed = 5
	// maxListedName is how much of a stranger's text such a list shows, in characters.
	maxListedName = 100
)

// group is the stories of incidents that are told in one notice.
type group struct {
	stories []story // the most urgent first, then by age
	times   []time.Time
}

// Group makes one notice of many entries, each of another incident and each [News]: how much there is, how urgent it is,
// whose, and what to do. The id is that of the notice. Where each key was seen is left to the commands.
func (a Audience) Group(id string, entries []leak.Entry) notify.Notice {
	var g group
	n := notify.Notice{ID: id, Count: len(entries)}
	for _, e := range entries {
		step, _ := outcome(e)
		s := newStory(e, step, nil)
		g.stories, g.times = append(g.stories, s), append(g.times, step.At)
		n.Members = append(n.Members, notify.Member{Incident: s.Incident, Phase: phase(s.Incident, s.news)})
	}
	slices.SortStableFunc(g.stories, func(a, b story) int { return cmp.Compare(rank[b.Severity], rank[a.Severity]) })
	n.At, n.Severity = slices.MaxFunc(g.times, time.Time.Compare), g.stories[0].Severity
	n.Incident, n.Phase = g.common(leak.Fingerprint(id)), groupPhase(n.Members)
	n.Title, n.Facts = g.title(), g.facts()
	if a.ExternalURL != "" {
		n.Link = strings.TrimRight(a.ExternalURL, "/") + "/"
	}
	return n
}

// rank orders severities, the calmest first.
var rank = map[leak.Severity]int{leak.Info: 1, leak.Warning: 2, leak.Critical: 3}

// groupPhase is the phase of a notice of many: open when one of them is.
func groupPhase(members []notify.Member) notify.Phase {
	for _, p := range []notify.Phase{notify.Opened, notify.Settled} {
		if slices.ContainsFunc(members, func(m notify.Member) bool { return m.Phase == p }) {
			return p
		}
	}
	return notify.Taken
}

// common is what all incidents have in common, under the id of the group.
func (g group) common(id leak.Fingerprint) leak.Incident {
	i := leak.Incident{ID: id, State: g.stories[0].State, Severity: g.stories[0].Severity}
	i.Issuer, i.Key.Account = g.stories[0].Issuer, g.stories[0].Key.Account
	for _, s := range g.stories {
		if s.State != i.State {
			i.State = leak.Open
		}
		if s.Issuer != i.Issuer || s.Key.Account != i.Key.Account {
			i.Issuer, i.Key.Account = "", ""
		}
		i.SightingCount += s.SightingCount
		if i.ReceivedAt.IsZero() || s.ReceivedAt.Before(i.ReceivedAt) {
			i.ReceivedAt = s.ReceivedAt
		}
	}
	return i
}

func (g group) title() string {
	return fmt.Sprintf("%d leaked keys at once: %s", len(g.stories), g.counted(stateWords))
}

func (g group) facts() []notify.Fact {
	return answered(
		fact("What happened", fmt.Sprintf("%d incidents changed from %s to %s, too many to tell one by one: %s.", len(g.stories),
			stamp(slices.MinFunc(g.times, time.Time.Compare)), stamp(slices.MaxFunc(g.times, time.Time.Compare)),
			g.counted(stateWords))),
		fact("How urgent", g.counted(severityWords)+"."),
		fact("Whose they are", g.accounts()),
		fact("The most urgent", g.urgent()),
		fact("What to do next", g.next()),
	)
}

// word is a word for what some of the stories have in common.
type word struct {
	text string
	of   func(story) bool
}

// inState makes the word for a state.
func inState(state leak.State, text string) word {
	return word{text, func(s story) bool { return s.State == state }}
}

// stateWords say how the incidents stand; what needs somebody comes first.
var stateWords = []word{
	inState(leak.Failed, "failed"), inState(leak.Held, "waiting for approval"), inState(leak.Unknown, "unknown to every issuer"),
	inState(leak.Accepted, "accepted and not proved"),
	inState(leak.Left, "left alone"), inState(leak.Open, "taken up by a person"), inState(leak.Contained, "contained"),
	inState(leak.Closed, "closed"),
}

var severityWords = []word{
	{"critical", func(s story) bool { return s.Severity == leak.Critical }},
	{"warning", func(s story) bool { return s.Severity == leak.Warning }},
	{"info", func(s story) bool { return s.Severity == leak.Info }},
}

// counted says of how many stories each word is true.
func (g group) counted(words []word) string {
	var parts []string
	for _, w := range words {
		n := 0
		for _, s := range g.stories {
			if w.of(s) {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w.text))
		}
	}
	return strings.Join(parts, ", ")
}

// accounts says whose keys they are, those with the most first.
func (g group) accounts() string {
	counts := map[string]int{}
	for _, s := range g.stories {
		name := "of no known account"
		if s.Key.Account != "" {
			name = fmt.Sprintf("account %s of %s", cut(s.Key.Account), s.issuer())
		}
		counts[name]++
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, name := range names[:min(len(names), maxListed)] {
		parts = append(parts, fmt.Sprintf("%s: %d", name, counts[name]))
	}
	if more := len(names) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more accounts", more))
	}
	return strings.Join(parts, "; ") + "."
}

// urgent names the incidents that somebody should look at first; empty when none is more urgent than the others.
func (g group) urgent() string {
	var parts []string
	for _, s := range g.stories {
		if s.Severity == g.stories[len(g.stories)-1].Severity || len(parts) == maxListed {
			break
		}
		s.Key.Name = cut(s.Key.Name)
		parts = append(parts, fmt.Sprintf("%s: %s", s.ID.Short(), s.title()))
	}
	return strings.Join(parts, "; ")
}

// cut shortens a stranger's text for a list.
func cut(text string) string {
	if runes := []rune(text); len(runes) > maxListedName {
		return string(runes[:maxListedName]) + "..."
	}
	return text
}

// next names the commands that list the incidents, those first that wait for somebody.
func (g group) next() string {
	var parts []string
	for _, state := range []leak.State{leak.Held, leak.Failed, leak.Unknown, leak.Accepted} {
		if slices.ContainsFunc(g.stories, func(s story) bool { return s.State == state }) {
			parts = append(parts, fmt.Sprintf("`stanch incidents list --state %s`", state))
		}
	}
	if len(parts) == 0 {
		return "Nothing waits for a person. `stanch incidents list` lists all, `stanch incidents show ID` tells what each needs."
	}
	return strings.Join(parts, ", ") + " list what waits for somebody; `stanch incidents show ID` tells what each needs."
}
