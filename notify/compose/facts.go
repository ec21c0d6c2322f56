package compose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"stanch/notify"
	"stanch/receiver/leak"
)

// facts answers the reader's questions, in the order in which they come up. A question that does not arise has no fact.
func (s story) facts() []notify.Fact {
	return answered(
		fact("What leaked", s.whatLeaked()),
		fact("Where it was seen", s.whereSeen()),
		fact("Whose it is", s.whose()),
		fact("What was done", s.whatWasDone()),
		fact("How long it took", s.howLong()),
		fact("What breaks now", s.whatBreaks()),
		fact("Tokens already issued", s.tokens()),
		fact("Can it be undone", s.undoing()),
		fact("What to do next", s.next()),
		fact("How to replace it", s.replacing()),
	)
}

func fact(name, text string) notify.Fact { return notify.Fact{Name: name, Text: text} }

// answered are the facts that have a text.
func answered(facts ...notify.Fact) []notify.Fact {
	return slices.DeleteFunc(facts, func(f notify.Fact) bool { return f.Text == "" })
}

func (s story) whatLeaked() string {
	if !s.Located() && s.Key.Kind != "" {
		return fmt.Sprintf("A %s of %s, by its form or by what the source calls it, with the fingerprint %s.", s.Key.Kind, s.issuer(), s.ID)
	}
	if !s.Located() {
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
	if s.Key.ID == "" { // its issuer names it by its value only
		add("fingerprint", string(s.ID))
	}
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
	text := place(newest)
	if s.SightingCount > 1 || len(s.seen) > 1 {
		text = fmt.Sprintf("%s: first %s; newest %s", s.times(), place(s.seen[0]), text)
	}
	if s.withheld {
		text += ". Where a partner's alert saw it must not be shared onward; " + s.whereToLook() + " tells"
	}
	return text
}

// whereToLook is where a reader who may see everything can look: the link, or the command when there is none.
func (s story) whereToLook() string {
	if s.link != "" {
		return s.link
	}
	return s.show()
}

// times says how often the key was seen.
func (s story) times() string {
	return times(int64(max(s.SightingCount, len(s.seen))))
}

// place says where and when one sighting was, and who told of it.
func place(s leak.Sighting) string {
	where := s.URL
	if where == "" {
		where = "at a place that is not told"
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
	return where + worse(s.Marks)
}

// worse is what the source knows that makes this leak worse than most.
func worse(m leak.Marks) string {
	var text string
	if m.Public {
		text += "; it is in public too"
	}
	if m.Several {
		text += "; it is in several repositories"
	}
	if m.Validity == "active" {
		text += "; the source finds it active"
	}
	if m.Swept {
		text += "; found by a sweep, because the source's delivery never came"
	}
	return text
}

func (s story) whose() string {
	switch {
	case !s.Located():
		return "Nobody knows: no issuer told which key it is."
	case s.Key.Owner == "":
		return "The issuer does not say."
	case s.Key.Account != "":
		return fmt.Sprintf("%s, in account %s.", s.owner(), s.Key.Account)
	}
	return s.owner() + "."
}

// owner is who the key acts as, by name where the issuer gives one.
func (s story) owner() string {
	if s.Key.OwnerName == "" {
		return s.Key.Owner
	}
	return fmt.Sprintf("%q (%s)", s.Key.OwnerName, s.Key.Owner)
}

func (s story) whatBreaks() string {
	switch {
	case s.State == leak.Unknown:
		return "Nothing: no key was touched."
	case !s.Located():
		return "Nothing by our doing: no key was touched."
	case s.news == leak.Ended:
		return fmt.Sprintf("Nothing by closing the incident: the key %s. %s", s.standing(), s.lastUse())
	case s.valueWorks():
		return "Nothing: calls with the leaked value work, whoever makes them. " + s.lastUse()
	case s.State == leak.Accepted, s.State == leak.Failed && s.Intended != "" && (s.undoFailed() || !s.Key.Disabled):
		return "Perhaps calls with this key: nobody can tell whether it still works. " + s.lastUse()
	case s.expired():
		return "Nothing by our doing: calls with this key are refused since it expired at " + stamp(s.Key.ExpiresAt) + ". " + s.lastUse()
	case s.gone():
		return "Calls with this key are refused for good. " + s.alsoBreaks() + s.lastUse()
	case s.dead() && !s.Abilities.Enable:
		return "Calls with this key are refused. " + s.alsoBreaks() + s.lastUse()
	case s.dead():
		return "Calls with this key are refused until it is enabled again. " + s.alsoBreaks() + s.lastUse()
	}
	return "Nothing: calls with this key work, whoever makes them. " + s.lastUse()
}

// alsoBreaks is what the issuer says that breaks besides calls with the key, before another sentence.
func (s story) alsoBreaks() string {
	if s.Advice.Breaks == "" {
		return ""
	}
	return ended(s.Advice.Breaks) + " "
}

func (s story) lastUse() string {
	used := s.Key.Used
	switch {
	case s.Key.LastUsedAt.IsZero() && used.Known && used.Count == 0:
		return "It was never used before it was looked up."
	case s.Key.LastUsedAt.IsZero():
		return "Its last use is not known."
	case !used.Known:
		return fmt.Sprintf("It was last used at %s.", stamp(s.Key.LastUsedAt))
	}
	return fmt.Sprintf("It was last used at %s, and signed in with %s until it was looked up.", stamp(s.Key.LastUsedAt), times(used.Count))
}

// times is a number of times.
func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func (s story) tokens() string {
	outlive := s.Abilities.TokensOutlive
	life := minutes(outlive.Most)
	switch {
	case !s.Located(), s.undoFailed(), !s.dead() && (outlive.Most == 0 || s.news == leak.Ended):
		return ""
	case !outlive.Known:
		return "How long tokens issued for the key outlive it is not known."
	case outlive.Most == 0:
		return "None outlive the key."
	case s.State == leak.Accepted:
		return fmt.Sprintf("Perhaps they work, and new ones can be had; they outlive the key by %s at most.", life)
	case !s.dead():
		return fmt.Sprintf("They work and new ones can be had; they outlive the key by %s at most.", life)
	case s.TokensLiveUntil.IsZero():
		return fmt.Sprintf("They work until they expire, %s after the key died at most.", life)
	}
	return fmt.Sprintf("They work until they expire, %s at most: until %s.", life, stamp(s.TokensLiveUntil))
}

// minutes is a token's life as issuers state it.
func minutes(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d > time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d minutes", int(d.Round(time.Minute).Minutes()))
}

func (s story) undoing() string {
	switch {
	case s.expired() && !s.undoFailed():
		return "There is nothing to undo: the key expired."
	case s.gone():
		return "No: a deleted key is gone. Make a new key where it was in use."
	case s.undoFailed():
		return "Not yet: enabling the key did not succeed."
	case s.dead() && !s.Abilities.Enable:
		return fmt.Sprintf("No: %s has no call that enables a key again. Make a new key where it was in use.", s.issuer())
	case s.State == leak.Contained, s.news == leak.Ended && s.Key.Disabled:
		return fmt.Sprintf("Yes: %s enables the key again, and then it works as before, for whoever found it too.",
			s.command("undo"))
	case s.State == leak.Held && s.Key.Disabled:
		return fmt.Sprintf("Yes, until it is deleted: %s enables the key again. Deleting is for good.", s.command("undo"))
	case (s.State == leak.Held && s.Action == leak.Delete || s.Intended == leak.Delete) && !s.Abilities.Enable:
		return "Deleting a key is for good."
	case s.State == leak.Held && s.Action == leak.Delete, s.Intended == leak.Delete:
		return "Deleting a key is for good; only a disabled one can be enabled again."
	case s.State == leak.Accepted:
		return "No: what was accepted cannot be taken back."
	case (s.State == leak.Held || s.Intended == leak.Disable) && !s.Abilities.Enable:
		return fmt.Sprintf("Disabling a key at %s is for good: it has no call that enables one again.", s.issuer())
	case s.State == leak.Held, s.Intended == leak.Disable:
		return "A disabled key can be enabled again."
	case s.byHandAlive():
		return fmt.Sprintf("Yes: %s decides again, as policy says now, and acts.", s.command("retry"))
	}
	return "There is nothing to undo."
}

// byHandAlive reports whether the news is that a person left a key alive.
func (s story) byHandAlive() bool {
	left := s.news == leak.Undone || s.news == leak.Ended || s.news == leak.Rejected
	return left && s.Located() && !s.dead()
}
