package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"stanch/receiver/leak"
)

const (
	// maxListed is how many accounts, and how many of the most urgent incidents, a notice of many names.
	maxListed = 5
	// maxListedName is how much of a stranger's text stands in such a list, in characters.
	maxListedName = 100
)

// flood is the stories of a gathering, and its one notice.
type flood struct {
	composer
	stories []story // the most urgent first, then by age
	times   []time.Time
}

// gather composes one notice of many entries, each of another incident: how much there is, how urgent it is, whose, and what
// to do. Where each key was seen is left to the commands.
func (c composer) gather(id string, entries []leak.Entry) Notice {
	f := flood{composer: c}
	n := Notice{ID: id, Count: len(entries)}
	for _, e := range entries {
		step, _ := outcome(e)
		s := newStory(e, step, nil)
		f.stories, f.times = append(f.stories, s), append(f.times, step.At)
		n.Members = append(n.Members, Member{s.Incident, phase(s.Incident, s.news)})
	}
	slices.SortStableFunc(f.stories, func(a, b story) int { return cmp.Compare(rank[b.Severity], rank[a.Severity]) })
	n.At, n.Severity = slices.MaxFunc(f.times, time.Time.Compare), f.stories[0].Severity
	n.Incident, n.Phase = f.common(leak.Fingerprint(id)), n.phase()
	n.Title, n.Facts = f.title(), f.facts()
	if c.externalURL != "" {
		n.Link = strings.TrimRight(c.externalURL, "/") + "/"
	}
	return n
}

// rank orders severities, the calmest first.
var rank = map[leak.Severity]int{leak.Info: 1, leak.Warning: 2, leak.Critical: 3}

// phase is that of a notice of many: open when one of them is.
func (n Notice) phase() Phase {
	for _, p := range []Phase{Opened, Settled} {
		if slices.ContainsFunc(n.Members, func(m Member) bool { return m.Phase == p }) {
			return p
		}
	}
	return Taken
}

// common is what all incidents have in common, under the id of the gathering.
func (f flood) common(id leak.Fingerprint) leak.Incident {
	i := leak.Incident{ID: id, State: f.stories[0].State, Severity: f.stories[0].Severity}
	i.Issuer, i.Key.Account = f.stories[0].Issuer, f.stories[0].Key.Account
	for _, s := range f.stories {
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

func (f flood) title() string {
	return fmt.Sprintf("%d leaked keys at once: %s", len(f.stories), f.counted(stateWords))
}

func (f flood) facts() []Fact {
	facts := []Fact{
		{"What happened", fmt.Sprintf("%d incidents changed from %s to %s, too many to tell one by one: %s.", len(f.stories),
			stamp(slices.MinFunc(f.times, time.Time.Compare)), stamp(slices.MaxFunc(f.times, time.Time.Compare)),
			f.counted(stateWords))},
		{"How urgent", f.counted(severityWords) + "."},
		{"Whose they are", f.accounts()},
		{"The most urgent", f.urgent()},
		{"What to do next", f.next()},
	}
	return slices.DeleteFunc(facts, func(fact Fact) bool { return fact.Text == "" })
}

// word is what some of the stories have in common, in words.
type word struct {
	text string
	of   func(story) bool
}

// inState makes the word for a state.
func inState(state leak.State, text string) word {
	return word{text, func(s story) bool { return s.State == state }}
}

// stateWords say how the incidents stand, what somebody has to look at first.
var stateWords = []word{
	inState(leak.Failed, "failed"), inState(leak.Held, "waiting for approval"), inState(leak.Unknown, "unknown to every issuer"),
	inState(leak.Left, "left alone"), inState(leak.Open, "taken up by a person"), inState(leak.Contained, "contained"),
	inState(leak.Closed, "closed"),
}

var severityWords = []word{
	{"critical", func(s story) bool { return s.Severity == leak.Critical }},
	{"warning", func(s story) bool { return s.Severity == leak.Warning }},
	{"info", func(s story) bool { return s.Severity == leak.Info }},
}

// counted says of how many stories which word is true.
func (f flood) counted(words []word) string {
	var parts []string
	for _, w := range words {
		n := 0
		for _, s := range f.stories {
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
func (f flood) accounts() string {
	counts := map[string]int{}
	for _, s := range f.stories {
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

// urgent names the incidents that somebody should look at first; empty when no one is more urgent than the others.
func (f flood) urgent() string {
	var parts []string
	for _, s := range f.stories {
		if s.Severity == f.stories[len(f.stories)-1].Severity || len(parts) == maxListed {
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
func (f flood) next() string {
	var parts []string
	for _, state := range []leak.State{leak.Held, leak.Failed, leak.Unknown} {
		if slices.ContainsFunc(f.stories, func(s story) bool { return s.State == state }) {
			parts = append(parts, fmt.Sprintf("`stanch incidents list --state %s`", state))
		}
	}
	if len(parts) == 0 {
		return "Nothing waits for a person. `stanch incidents list` lists all, `stanch incidents show ID` tells what each needs."
	}
	return strings.Join(parts, ", ") + " list what waits for somebody; `stanch incidents show ID` tells what each needs."
}
