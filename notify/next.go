package notify

import (
	"fmt"
	"slices"
	"strings"

	"stanch/receiver/leak"
)

// next says what the reader should do, with the command where there is one.
func (s story) next() string {
	switch s.State {
	case leak.Contained:
		return s.nextContained()
	case leak.Held:
		return s.nextHeld()
	case leak.Left:
		return s.nextLeft()
	case leak.Unknown:
		return "It was probably rotated or deleted before the alert came, or is of an issuer that is not configured. " +
			"If you know whose it is, revoke it there."
	case leak.Failed:
		return s.nextFailed()
	}
	return s.show() + " tells more."
}

// show is the command that shows this incident, marked so that nobody breaks it over two lines. The id is short, as
// lists show it.
func (s story) show() string { return fmt.Sprintf("`stanch incidents show %s`", s.ID.Short()) }

func (s story) nextContained() string {
	next := "Make a new key and put it where the old one was in use. Take the old one out of the place where it was seen, " +
		"and look through what it did since it leaked"
	if s.Key.TokenLife > 0 || !s.TokensLiveUntil.IsZero() {
		next += ", its tokens included"
	}
	return next + "."
}

func (s story) nextHeld() string {
	next := fmt.Sprintf("Decide: if the key has to die, disable it by hand at %s. stanch does not act on it.", s.issuer())
	switch {
	case s.Key.Disabled:
		next += " Either way, calls need a new key."
	case s.Rule == "fuse":
		next += " The fuse held it: many keys of this account leaked within a short time. The key works until then."
	default:
		next += " The key works until then, for whoever found it too."
	}
	return next
}

// nextLeft tells how to get rid of a key that still works, and where the decision to leave it can be changed.
func (s story) nextLeft() string {
	if s.Key.Disabled {
		return "Nothing in a hurry: the key is of no use to whoever found it. Delete it if nobody will enable it again."
	}
	if s.Rule == "accounts" {
		return fmt.Sprintf("The key still works, for whoever found it too, and its account is not ours: tell its owner. "+
			"If it is ours, add it to `accounts` of the issuer %s.", s.issuer())
	}
	next := fmt.Sprintf("The key still works, for whoever found it too. Rotate it: make a new key, put it in place, "+
		"then disable this one at %s.", s.issuer())
	if hint := s.settingHint(); hint != "" {
		next += " " + hint
	}
	return next
}

// settingHint says where the decision to do nothing can be changed, by the built-in rule that made it.
func (s story) settingHint() string {
	switch s.Rule {
	case "key":
		return fmt.Sprintf("To have stanch act the next time, set the key's leak action at %s to disable or delete.", s.issuer())
	case "key_none":
		return fmt.Sprintf("To have stanch act the next time, set the key's leak action at %s to disable or delete, "+
			"or `policy.key_none: disable` for every key whose setting is none.", s.issuer())
	case "default":
		return "To have stanch act the next time, set `policy.default: disable`, or the key's own leak action at its issuer."
	case "protect":
		return "It is never acted on while `policy.protect` names it."
	case "own_credential":
		return "stanch itself runs on it, so give stanch the new key before you disable this one."
	case "dry_run":
		return "stanch acts once `policy.dry_run` is false."
	case "":
		return ""
	}
	return fmt.Sprintf("To have stanch act the next time, change the rule %s in `policy.rules`.", s.Rule)
}

// nextFailed tells what is needed, as far as the incident and the words of the failure say.
func (s story) nextFailed() string {
	switch {
	case s.failedFor(leak.ErrLocked):
		return fmt.Sprintf("Unlock the key at %s: it is tried again by itself. "+
			"With `policy.unlock: true` stanch unlocks such keys itself.", s.issuer())
	case s.failedFor(leak.ErrCredential):
		return fmt.Sprintf("Give stanch a credential that %s accepts and that may see and change keys: it is tried again by "+
			"itself. %s", s.issuer(), s.byHand())
	}
	return "It is tried again by itself. " + s.byHand()
}

// byHand says what the reader can do while an action does not succeed.
func (s story) byHand() string {
	if s.Key.Disabled {
		return "Until then the key is disabled, and of no use to whoever found it."
	}
	return fmt.Sprintf("Until then the key may work: disable it by hand at %s if that is faster.", s.issuer())
}

// failedFor reports whether the words of the failure name a cause. The log holds words and no errors; the engine ends
// them with the error's own text.
func (s story) failedFor(cause error) bool {
	return slices.ContainsFunc(s.said, func(text string) bool { return strings.Contains(text, cause.Error()) })
}
