package compose

import (
	"strings"
	"unicode"

	"stanch/receiver/leak"
)

// maxText is how much of one stranger's text a notice shows, in characters. A URL may be long and must stay whole.
const maxText = 1000

// plain makes a text safe to show on one line: whoever leaked or named a key chose these words. Invalid UTF-8, control
// characters (line breaks and terminal escapes among them) and invisible marks that reorder or hide text become U+FFFD,
// and what is too long is cut.
func plain(text string) string {
	shown := strings.Map(visible, strings.ToValidUTF8(text, "\uFFFD"))
	runes := 0
	for i := range shown {
		if runes == maxText {
			return shown[:i] + "..."
		}
		runes++
	}
	return shown
}

func visible(r rune) rune {
	if r == ' ' || (unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r)) {
		return r
	}
	if unicode.Is(unicode.Zs, r) {
		return ' '
	}
	return unicode.ReplacementChar
}

// plainIncident returns an incident in which every text is plain.
func plainIncident(i leak.Incident) leak.Incident {
	i.ID = leak.Fingerprint(plain(string(i.ID)))
	i.Rule, i.Reason, i.Failure = plain(i.Rule), plain(i.Reason), plain(i.Failure)
	i.Issuer, i.Source = plain(i.Issuer), plain(i.Source)
	i.First, i.Last = plain(i.First), plain(i.Last)
	i.Key.ID, i.Key.Name, i.Key.Kind = plain(i.Key.ID), plain(i.Key.Name), plain(i.Key.Kind)
	i.Key.Owner, i.Key.Account = plain(i.Key.Owner), plain(i.Key.Account)
	i.Key.OwnerName = plain(i.Key.OwnerName)
	i.Advice = plainAdvice(i.Advice)
	return i
}

// plainAdvice returns advice in which every text is plain.
func plainAdvice(a leak.Advice) leak.Advice {
	steps := a.Steps
	a.Breaks, a.Replace, a.Steps = plain(a.Breaks), plain(a.Replace), nil
	for _, step := range steps {
		a.Steps = append(a.Steps, leak.AdviceStep{Text: plain(step.Text), Gone: plain(step.Gone)})
	}
	return a
}

// plainSighting returns a sighting in which every text is plain.
func plainSighting(s leak.Sighting) leak.Sighting {
	s.Source, s.Type = plain(s.Source), plain(s.Type)
	s.URL, s.Place = plain(s.URL), plain(s.Place)
	return s
}
