package compose

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"stanch/receiver/leak"
)

func (s story) whatWasDone() string {
	var sentences []string
	tells := slices.Contains([]leak.StepName{leak.Spared, leak.Alive, leak.Looked, leak.Unproved}, s.news) // the text of such a step says it all
	if !tells || len(s.said) == 0 {
		sentences = append(sentences, s.deed())
	}
	for _, text := range slices.Concat(s.said, s.warned) {
		sentences = append(sentences, sentence(text))
	}
	return strings.Join(append(sentences, s.why()...), " ")
}

// why is the reason of the last decision, unless the reconcile's own words gave it already or the news is that a person
// decided otherwise.
func (s story) why() []string {
	byPerson := s.news == leak.Rejected || s.news == leak.Ended || s.news == leak.Alive && s.Rule != leak.RuleUndo
	if byPerson || s.news == leak.Looked {
		return nil
	}
	var sentences []string
	if s.Reason != "" && !strings.Contains(strings.Join(s.said, " "), s.Reason) {
		sentences = append(sentences, "Why: "+ended(s.Reason))
	}
	if s.Rule != "" && s.Rule != leak.RuleUndo {
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
	case leak.Accepted:
		return fmt.Sprintf("The issuer accepted %s the key. Nothing proves that the key is dead.", doing(s.Action))
	case leak.Unknown:
		return "Nothing: nobody knows whose key it is."
	case leak.Failed:
		return s.deedFailed()
	}
	return s.deedClosed()
}

func (s story) deedContained() string {
	if s.news == leak.Rejected {
		return fmt.Sprintf("The key is not deleted. It stays disabled, as proved at %s.", stamp(s.ContainedAt))
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
	case !s.Located():
		return "Nothing: the key could not be looked up."
	}
	return fmt.Sprintf("Nothing: %s the key did not succeed.", doing(s.Action))
}

func (s story) deedClosed() string {
	switch s.news {
	case leak.Undone:
		return "The key is enabled again."
	case leak.Alive:
		return "Nothing was done."
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
	case s.State == leak.Accepted && s.Proof != nil:
		return fmt.Sprintf("%s from the receipt of the first alert until the issuer accepted it.", took(s.Proof.At.Sub(s.ReceivedAt)))
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
