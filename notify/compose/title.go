package compose

import (
	"fmt"

	"stanch/receiver/leak"
)

// title is the notice in one line: which key, how it stands, and why that is news.
func (s story) title() string {
	return s.subject() + " " + s.headline()
}

// issuer is the configured name of the issuer, or words for an issuer that is not known.
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
	case s.Key.Kind != "":
		return fmt.Sprintf("%s %s %s", s.issuer(), s.Key.Kind, s.ID.Short())
	}
	return "Leaked key " + s.ID.Short()
}

func (s story) headline() string {
	switch s.State {
	case leak.Contained:
		return s.headlineContained()
	case leak.Held:
		return s.headlineHeld()
	case leak.Left:
		return s.headlineLeft()
	case leak.Failed:
		return s.headlineFailed()
	case leak.Accepted:
		return fmt.Sprintf("may still work: %s it was accepted, and cannot be proved", doing(s.Action))
	case leak.Unknown:
		return s.headlineUnknown()
	case leak.Open:
		return s.headlineTaken()
	}
	return s.headlineClosed()
}

func (s story) headlineUnknown() string {
	switch s.Rule {
	case leak.RuleNotOurs:
		return "works, and no issuer shows stanch whose it is: nothing was done"
	case leak.RuleHidden:
		return "belongs to a key that stanch may not see: nothing was done"
	}
	return "is known to no issuer: nothing was done"
}

func (s story) headlineContained() string {
	switch s.news {
	case leak.Rejected:
		return "stays disabled: deleting it was rejected by " + s.person()
	case leak.Looked:
		return "is dead, but a second look found something to look into"
	}
	return fmt.Sprintf("is %s, proved %s", s.end(), s.ContainedAt.UTC().Format("15:04:05 UTC"))
}

func (s story) headlineHeld() string {
	switch {
	case s.news == leak.Looked:
		return "is disabled, but a second look found something to look into"
	case s.Key.Disabled:
		return "is disabled; deleting it waits for approval"
	case s.Rule == leak.RuleEnabled:
		return "works again: somebody enabled it at its issuer"
	case s.Rule == leak.RuleFuse:
		return fmt.Sprintf("still works: too many leaked at once, so %s it waits for approval", doing(s.Action))
	}
	return fmt.Sprintf("still works: %s it waits for approval", doing(s.Action))
}

func (s story) headlineLeft() string {
	switch {
	case s.news == leak.Rejected && s.Key.Disabled:
		return "stays disabled: what waited for approval was rejected by " + s.person()
	case s.news == leak.Rejected:
		return "leaked and still works: what waited for approval was rejected by " + s.person()
	case s.Key.Disabled:
		return "was disabled already: nothing was done"
	case s.expired():
		return "had expired already: nothing was done"
	case s.Rule == leak.RuleByHand:
		return "leaked, and only a person can revoke it"
	}
	return "leaked and still works: nothing was done"
}

func (s story) headlineFailed() string {
	switch {
	case !s.Located():
		return "may still work: it could not be looked up"
	case s.valueWorks():
		return "still works, although its issuer says that it is dead"
	case s.undoFailed():
		return "may still be disabled: enabling it did not succeed"
	case s.Key.Disabled:
		return "is disabled, but " + doing(s.wanted()) + " it did not succeed"
	}
	return "may still work: " + doing(s.wanted()) + " it did not succeed"
}

func (s story) headlineTaken() string {
	switch s.news {
	case leak.UndoAsked:
		return "is being enabled again, ordered by " + s.person()
	case leak.Retried:
		return "is being tried again, ordered by " + s.person()
	}
	return fmt.Sprintf("was approved by %s: %s it is under way", s.person(), doing(s.wanted()))
}

func (s story) headlineClosed() string {
	switch s.news {
	case leak.Undone:
		return "works again: disabling it was undone"
	case leak.Alive:
		return "was seen again and works: its incident is closed"
	}
	return fmt.Sprintf("%s: closed by %s", s.standing(), s.person())
}

// standing says how a key stood when a person closed its incident. It claims no more than the log knows.
func (s story) standing() string {
	switch {
	case !s.Located():
		return "was not identified"
	case s.Key.Disabled:
		return "was disabled when last read"
	case !s.ContainedAt.IsZero():
		return "was proved dead at " + stamp(s.ContainedAt)
	}
	if !s.seenToWork() {
		return "was not proved dead"
	}
	return "worked when last read"
}

// seenToWork reports whether anybody ever saw that the key works.
func (s story) seenToWork() bool { return s.Abilities.Read || !s.WorkedAt.IsZero() }

// person is who took the step that is told.
func (s story) person() string {
	if s.who == "" {
		return "a person"
	}
	return s.who
}

// end says how a contained key ended.
func (s story) end() string {
	switch {
	case s.gone():
		return "deleted"
	case s.expired():
		return "expired"
	}
	return "disabled"
}

// kill is what a person does at the issuer to make the key useless.
func (s story) kill() string {
	switch {
	case s.Abilities.Disable:
		return "disable"
	case s.Abilities.Delete:
		return "delete"
	}
	return "revoke"
}

// wanted is the action that is under way, or else the one that was decided.
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
	case leak.Enable:
		return "enabling"
	}
	return "handling"
}

// doneTo is an action as it is done to a key.
func doneTo(a leak.Action) string {
	if a == leak.Delete {
		return "deleted"
	}
	return "disabled"
}
