package compose

import (
	"fmt"
	"regexp"
	"strings"

	"stanch/receiver/leak"
)

// next says what the reader should do, with the command for it where there is one.
func (s story) next() string {
	switch s.State {
	case leak.Contained:
		return s.nextContained()
	case leak.Held:
		return s.nextHeld()
	case leak.Left:
		return s.nextLeft()
	case leak.Accepted:
		return fmt.Sprintf("Check at %s that the key is gone, or that calls with it are refused. Then make a new key, and put it where the "+
			"old one was in use.", s.issuer())
	case leak.Unknown:
		return s.nextUnknown()
	case leak.Failed:
		return s.nextFailed()
	}
	return s.nextClosed()
}

// show is the command that shows this incident, marked so that nobody breaks it over two lines. The id is short, as
// lists show it.
func (s story) show() string { return fmt.Sprintf("`stanch incidents show %s`", s.ID.Short()) }

// command takes this incident further, once the reader has filled in a reason.
func (s story) command(name string) string { return "`" + Command(name, s.ID) + "`" }

// commandAll is a command for everything that is held in the key's account.
func (s story) commandAll(name string) string {
	return "`" + CommandAll(name, s.Issuer, s.Key.Account) + "`"
}

// Command is what a person types to order something for an incident; the person fills in the reason.
func Command(verb string, id leak.Fingerprint) string {
	return fmt.Sprintf(`stanch incidents %s %s --reason "..."`, verb, id.Short())
}

// CommandAll is what a person types to order something for everything that the fuse holds in an account; the person fills in
// the reason, and an issuer or account that is no plain word.
func CommandAll(verb, issuer, account string) string {
	return fmt.Sprintf(`stanch incidents %s --issuer %s --account %s --reason "..."`, verb,
		argument(issuer, "ISSUER"), argument(account, "ACCOUNT"))
}

// plainArgument is what a shell takes as one word. An account is the issuer's text, and copying it into a shell must not
// run another command.
var plainArgument = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:/@+-]*$`)

func argument(text, otherwise string) string {
	if plainArgument.MatchString(text) {
		return text
	}
	return otherwise
}

func (s story) nextContained() string {
	if s.news == leak.Looked {
		return s.nextLooked()
	}
	next := "Make a new key and put it where the old one was in use. Take the old one out of the place where it was seen, " +
		"and look through what it did since it leaked"
	if s.Abilities.TokensOutlive.Most > 0 || !s.TokensLiveUntil.IsZero() {
		next += ", its tokens included"
	}
	return next + "."
}

// nextLooked tells what to look into after a recheck found something.
func (s story) nextLooked() string {
	return fmt.Sprintf("Look through what %s did since the key leaked: what was made in that time and is not known to its "+
		"owner was made to stay, so disable it at %s too.", s.owner(), s.issuer())
}

func (s story) nextHeld() string {
	if s.news == leak.Looked {
		return s.nextLooked()
	}
	if s.Key.Disabled {
		return fmt.Sprintf("Decide: %s deletes the key, %s leaves it disabled. Either way, calls need a new key.",
			s.command("approve"), s.command("reject"))
	}
	next := fmt.Sprintf("Decide: %s has the key %s, %s leaves it alone. Until then it works, for whoever found it too.",
		s.command("approve"), doneTo(s.Action), s.command("reject"))
	switch s.Rule {
	case leak.RuleEnabled:
		next += " Ask who enabled it, and why: it leaked."
	case leak.RuleFuse:
		next += fmt.Sprintf(" Many keys of this account leaked within a short time, and more may be held without a notice "+
			"of their own: `stanch incidents list --state held` lists them. %s releases all that are held in the account "+
			"at once, %s leaves them all alone.", s.commandAll("approve"), s.commandAll("reject"))
	}
	return next
}

// nextLeft tells how to get rid of a key that still works, and where the decision to leave it can be changed.
func (s story) nextLeft() string {
	if s.Rule == leak.RuleByHand {
		return "Revoke it by hand, as said above: as far as anybody knows it works, for whoever found it too. Then make a new one, and put " +
			"it where the old one was in use."
	}
	if s.expired() {
		return "Nothing in a hurry: the key is of no use to whoever found it. Delete it, so that nobody gives it more time."
	}
	if s.Key.Disabled {
		return "Nothing in a hurry: the key is of no use to whoever found it. Delete it if nobody will enable it again."
	}
	if s.Rule == leak.RuleAccounts {
		return fmt.Sprintf("The key still works, for whoever found it too, and its account is not ours: tell its owner. "+
			"If it is ours, add it to `accounts` of the issuer %s; then %s decides again.", s.issuer(), s.command("retry"))
	}
	next := "The key still works, for whoever found it too. " + s.rotate()
	if s.news == leak.Rejected {
		return next + newSightings
	}
	return next + s.settingHint()
}

// rotate tells how to get rid of a key that works.
func (s story) rotate() string {
	return fmt.Sprintf("Rotate it: make a new key, put it in place, then %s this one at %s.", s.kill(), s.issuer())
}

// newSightings says what a further sighting means for a closed incident.
const newSightings = " A new sighting is decided by policy again; one that is known already changes nothing."

func (s story) nextClosed() string {
	switch {
	case s.news == leak.Alive:
		return fmt.Sprintf("The key works, for whoever found it too. If leaving it was a mistake, %s it at %s, or have "+
			"policy decide now: %s. Whatever was meant, it leaked. %s This is told once.",
			s.kill(), s.issuer(), s.command("retry"), s.rotate())
	case s.news == leak.Undone:
		return "The key leaked, and works again, for whoever found it too. " + s.rotate() + newSightings
	case !s.Located():
		return "If you know whose it is, revoke it there." + newSightings
	case s.dead():
		return "If the key was in use, make a new one and put it in its place." + newSightings
	}
	if !s.seenToWork() {
		return "As far as anybody knows the key works, for whoever found it too. " + s.rotate() + newSightings
	}
	return "The key worked when last read, for whoever found it too. " + s.rotate() + newSightings
}

// settingHint says where the decision to do nothing can be changed, by the rule that made it.
func (s story) settingHint() string {
	switch s.Rule {
	case "", leak.RuleFuse, leak.RuleReject, leak.RuleUndo, leak.RuleEnabled:
		return ""
	case leak.RuleProtect:
		return " It is never acted on while `policy.protect` names it."
	case leak.RuleOwn:
		return " stanch itself runs on it, so give stanch the new key before you disable this one."
	}
	return fmt.Sprintf(" To have stanch act, %s; then %s decides again.", s.setting(), s.command("retry"))
}

// setting is what to change so that the rule decides otherwise.
func (s story) setting() string {
	switch s.Rule {
	case leak.RuleKey:
		return fmt.Sprintf("set the key's leak action at %s to %s", s.issuer(), strings.Join(s.settable(), " or "))
	case leak.RuleKeyNone:
		return fmt.Sprintf("set the key's leak action at %s to %s, or `policy.key_none: disable` for every key whose setting is none",
			s.issuer(), strings.Join(s.settable(), " or "))
	case leak.RuleDefault:
		return fmt.Sprintf("set `policy.default: %s`, or the key's own leak action at its issuer", s.settable()[0])
	case leak.RuleDryRun:
		return "set `policy.dry_run: false`"
	}
	return fmt.Sprintf("change the rule %s in `policy.rules`", s.Rule)
}

// settable are the actions that a setting can order for this key, the mildest first.
func (s story) settable() []string {
	if s.Abilities.Delete && !s.Abilities.Disable {
		return []string{string(leak.Delete)}
	}
	if s.Abilities.Disable && !s.Abilities.Delete {
		return []string{string(leak.Disable)}
	}
	return []string{string(leak.Disable), string(leak.Delete)}
}

// nextFailed tells what is needed, as far as the incident says.
func (s story) nextFailed() string {
	return fmt.Sprintf("%s %s tries at once, %s ends it as it is.", s.remedy(), s.command("retry"), s.command("close"))
}

func (s story) remedy() string {
	switch {
	case s.undoFailed():
		return fmt.Sprintf("It is tried again by itself. If the key must work at once, enable it by hand at %s.", s.issuer())
	case s.Cause == leak.CauseLocked:
		return fmt.Sprintf("Unlock the key at %s: it is tried again by itself. With `policy.unlock: true`, or `unlock: true` "+
			"in a rule, stanch unlocks such keys itself.", s.issuer())
	case s.Cause == leak.CauseCredential:
		return fmt.Sprintf("Give stanch a credential that %s accepts and that may see and change keys: it is tried again by "+
			"itself. %s", s.issuer(), s.byHand())
	}
	return "It is tried again by itself. " + s.byHand()
}

// byHand says what the reader can do while an action does not succeed.
func (s story) byHand() string {
	if s.valueWorks() {
		return fmt.Sprintf("Until then whoever found the value can use it: ask %s why it works, or take away what its identity may do.", s.issuer())
	}
	if s.Key.Disabled {
		return "Until then the key is disabled, and of no use to whoever found it."
	}
	return fmt.Sprintf("Until then the key may work: %s it by hand at %s if that is faster.", s.kill(), s.issuer())
}

// replacing tells step by step how to replace the key, as its issuer says; empty: the issuer does not say, the key is not
// ours, or a person decided that it stays.
func (s story) replacing() string {
	byPerson := s.news == leak.Ended || s.news == leak.Undone || s.undoFailed()
	if byPerson || s.Rule == leak.RuleAccounts {
		return ""
	}
	var parts []string
	if s.Advice.Replace != "" {
		parts = append(parts, ended(s.Advice.Replace))
	}
	for i, step := range s.Advice.Steps {
		text := step.Text
		if s.gone() && step.Gone != "" {
			text = step.Gone
		}
		parts = append(parts, fmt.Sprintf("%d. %s", i+1, ended(text)))
	}
	return strings.Join(parts, " ")
}

func (s story) nextUnknown() string {
	switch s.Rule {
	case leak.RuleNotOurs:
		return "The key works for anyone who has it, and stanch may not see it: find its owner by the place where it was seen, and have it " +
			"revoked. If it is yours, give stanch a credential that may see its account."
	case leak.RuleHidden:
		return "Find its owner by the place where it was seen. If it is yours, give stanch a credential that may see its account: it is " +
			"looked up again for a day."
	}
	return "It was probably rotated or deleted before the alert came, or is of an issuer that is not configured. " +
		"If you know whose it is, revoke it there."
}
