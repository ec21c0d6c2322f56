package notify

import (
	"fmt"
	"strings"
	"time"

	"stanch/receiver/leak"
)

// facts answers the reader's questions, in the order in which they come up. A question that does not arise has no
// fact.
func (s story) facts() []Fact {
	var facts []Fact
	for _, f := range []Fact{
		{"What leaked", s.whatLeaked()},
		{"Where it was seen", s.whereSeen()},
		{"Whose it is", s.whose()},
		{"What was done", s.whatWasDone()},
		{"How long it took", s.howLong()},
		{"What breaks now", s.whatBreaks()},
		{"Tokens already issued", s.tokens()},
		{"Can it be undone", s.undoing()},
		{"What to do next", s.next()},
	} {
		if f.Text != "" {
			facts = append(facts, f)
		}
	}
	return facts
}

func (s story) whatLeaked() string {
	if s.Key.ID == "" {
		return fmt.Sprintf("A secret with the fingerprint %s; no issuer told which key it is.", s.ID)
	}
	parts := []string{fmt.Sprintf("A key of %s", s.issuer())}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	if s.Key.Name != "" {
		add("name", fmt.Sprintf("%q", s.Key.Name))
	}
	add("kind", s.Key.Kind)
	add("id", s.Key.ID)
	add("account", s.Key.Account)
	if !s.Key.CreatedAt.IsZero() {
		add("made", stamp(s.Key.CreatedAt))
	}
	return strings.Join(parts, ", ") + "."
}

func (s story) whereSeen() string {
	switch {
	case !s.available:
		return fmt.Sprintf("Not available at the moment (seen %s); %s tells.", s.times(), s.show())
	case len(s.seen) == 0:
		return fmt.Sprintf("No longer kept (seen %s).", s.times())
	}
	newest := s.seen[len(s.seen)-1]
	if s.SightingCount <= 1 && len(s.seen) == 1 {
		return place(newest)
	}
	return fmt.Sprintf("%s: first %s; newest %s", s.times(), place(s.seen[0]), place(newest))
}

// times says how often the key was seen.
func (s story) times() string {
	n := max(s.SightingCount, len(s.seen))
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// place says where and when one sighting was, and who told of it.
func place(s leak.Sighting) string {
	where := s.URL
	if where == "" {
		where = "at a place that was not told"
	}
	if s.Place != "" {
		where += " (" + s.Place + ")"
	}
	if s.Source != "" {
		where += ", told by " + s.Source
	}
	if !s.SeenAt.IsZero() {
		where += " at " + stamp(s.SeenAt)
	}
	return where
}

func (s story) whose() string {
	switch {
	case s.Key.ID == "":
		return "Nobody knows: no issuer told which key it is."
	case s.Key.Owner == "":
		return "The issuer does not say."
	case s.Key.Account != "":
		return fmt.Sprintf("%s, in account %s.", s.Key.Owner, s.Key.Account)
	}
	return s.Key.Owner + "."
}

func (s story) whatWasDone() string {
	var sentences []string
	if s.news != leak.Spared || len(s.said) == 0 { // that step says it, and why
		sentences = append(sentences, s.deed())
	}
	for _, text := range append(s.said, s.warned...) {
		sentences = append(sentences, sentence(text))
	}
	return strings.Join(append(sentences, s.why()...), " ")
}

// why is the reason of the last decision, as far as the turn did not give it. What a person decides has its own.
func (s story) why() []string {
	if s.news == leak.Rejected || s.news == leak.Ended {
		return nil
	}
	var sentences []string
	if s.Reason != "" && !strings.Contains(strings.Join(s.said, " "), s.Reason) {
		sentences = append(sentences, "Why: "+ended(s.Reason))
	}
	if s.Rule != "" && s.Rule != ruleUndo && s.Rule != ruleReject {
		sentences = append(sentences, fmt.Sprintf("Rule: %s.", s.Rule))
	}
	return sentences
}

// deed says in one sentence how things stand with the key. Only a contained key is called proved dead.
func (s story) deed() string {
	switch s.State {
	case leak.Contained:
		return s.deedContained()
	case leak.Held:
		return s.deedHeld()
	case leak.Left:
		return "Nothing was done."
	case leak.Unknown:
		return "Nothing: nobody knows whose key it is."
	case leak.Failed:
		return s.deedFailed()
	}
	return s.deedClosed()
}

func (s story) deedContained() string {
	switch s.news {
	case leak.Rejected:
		return fmt.Sprintf("The key is not deleted. It stays disabled, as proved at %s.", stamp(s.ContainedAt))
	case leak.Failure:
		return "The key was to be enabled again and is still disabled."
	}
	return fmt.Sprintf("The key is %s, proved at %s.", s.end(), stamp(s.ContainedAt))
}

func (s story) deedHeld() string {
	switch {
	case !s.Key.Disabled:
		return fmt.Sprintf("Nothing yet: %s the key waits for a person.", doing(s.Action))
	case s.ContainedAt.IsZero():
		return "The key is disabled. Deleting it waits for a person."
	}
	return fmt.Sprintf("The key is disabled, proved at %s. Deleting it waits for a person.", stamp(s.ContainedAt))
}

func (s story) deedFailed() string {
	switch {
	case s.Intended != "":
		return fmt.Sprintf("Started and not proved: nothing shows that %s the key happened.", doing(s.Intended))
	case s.Key.ID == "":
		return "Nothing: the key could not be looked up."
	}
	return fmt.Sprintf("Nothing: %s the key did not succeed.", doing(s.Action))
}

func (s story) deedClosed() string {
	switch s.news {
	case leak.Undone:
		return "The key is enabled again."
	case leak.Alive:
		return "Nothing: a person undid or closed this, and a sighting that was known before does not change that."
	}
	return fmt.Sprintf("Nothing more is done: the incident is closed. The key %s.", s.standing())
}

func (s story) howLong() string {
	switch {
	case s.ReceivedAt.IsZero():
		return ""
	case s.news == leak.Proved && s.State == leak.Contained:
		return fmt.Sprintf("%s from the receipt of the first alert to the proof.", took(s.ContainedAt.Sub(s.ReceivedAt)))
	case s.State == leak.Held && s.Key.Disabled && !s.ContainedAt.IsZero():
		return fmt.Sprintf("%s from the receipt of the first alert to the proof that the key is disabled.",
			took(s.ContainedAt.Sub(s.ReceivedAt)))
	case s.State == leak.Held || s.State == leak.Failed:
		return fmt.Sprintf("Not finished; the first alert was received at %s.", stamp(s.ReceivedAt))
	}
	return ""
}

// took is a duration in as many digits as people read.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

func (s story) whatBreaks() string {
	switch {
	case s.State == leak.Unknown:
		return "Nothing: no key was touched."
	case s.Key.ID == "":
		return "Nothing by our doing: no key was touched."
	case s.news == leak.Ended:
		return fmt.Sprintf("Nothing by closing the incident: the key %s. %s", s.standing(), s.lastUse())
	case s.State == leak.Failed && s.Intended != "" && (s.undoFailed() || !s.Key.Disabled):
		return "Perhaps calls with this key: nobody can tell whether it still works. " + s.lastUse()
	case s.gone():
		return "Calls with this key are refused for good. " + s.lastUse()
	case s.dead():
		return "Calls with this key are refused until it is enabled again. " + s.lastUse()
	}
	return "Nothing: calls with this key work, whoever makes them. " + s.lastUse()
}

func (s story) lastUse() string {
	if s.Key.LastUsedAt.IsZero() {
		return "Its last use is not known."
	}
	return fmt.Sprintf("It was last used at %s.", stamp(s.Key.LastUsedAt))
}

func (s story) tokens() string {
	life := minutes(s.Key.TokenLife)
	switch {
	case s.Key.ID == "", !s.dead() && (s.Key.TokenLife == 0 || s.news == leak.Ended):
		return ""
	case s.Key.TokenLife == 0:
		return "None outlive the key."
	case !s.dead():
		return fmt.Sprintf("They work and new ones can be had; they outlive the key by %s at most.", life)
	case s.TokensLiveUntil.IsZero():
		return fmt.Sprintf("They work until they expire, %s after the key died at most.", life)
	}
	return fmt.Sprintf("They work until they expire, %s at most: until %s.", life, stamp(s.TokensLiveUntil))
}

// minutes is a token's life as issuers state it.
func minutes(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	}
	return fmt.Sprintf("%d minutes", int(d.Round(time.Minute).Minutes()))
}

func (s story) undoing() string {
	switch {
	case s.gone():
		return "No: a deleted key is gone. Make a new key where it was in use."
	case s.undoFailed():
		return "Not by now: enabling the key did not succeed."
	case s.State == leak.Contained:
		return fmt.Sprintf("Yes: %s enables the key again, and then it works as before, for whoever found it too.",
			s.command("undo"))
	case s.State == leak.Held && s.Key.Disabled:
		return fmt.Sprintf("Yes, until it is deleted: %s enables the key again. Deleting is for good.", s.command("undo"))
	case s.State == leak.Held && s.Action == leak.Delete, s.Intended == leak.Delete:
		return "Deleting a key is for good; only a disabled one can be enabled again."
	case s.State == leak.Held, s.Intended == leak.Disable:
		return "A disabled key can be enabled again."
	case s.news == leak.Undone, s.news == leak.Ended, s.news == leak.Rejected:
		return fmt.Sprintf("Yes: %s takes the incident up again, and does what policy says now.", s.command("retry"))
	}
	return "There is nothing to undo."
}
