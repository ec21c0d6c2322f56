package api

import (
	"fmt"
	"strings"
	"time"

	"stanch/receiver/leak"
)

// Reach says how far a leak reached, as far as the issuer knows, in pairs of a name and what is known, or "-". What it repeats of the
// key's owner may have been written by a stranger.
func Reach(i leak.Incident) [][2]string {
	return [][2]string{
		{"tokens live", tokensLive(i)},
		{"used before lookup", usedBefore(i.Key)},
		{"used since lookup", usedSince(i.Aftermath)},
		{"owner made since", madeSince(i.Aftermath)},
	}
}

// ContainedAfter returns the time from the receipt of the alert to the proof that the key is dead, or "-".
func ContainedAfter(i leak.Incident) string {
	if i.ContainedAt.IsZero() {
		return "-"
	}
	return i.ContainedAt.Sub(i.ReceivedAt).Round(100 * time.Microsecond).String()
}

func tokensLive(i leak.Incident) string {
	if i.TokensLiveUntil.IsZero() {
		return "-"
	}
	return "until " + i.TokensLiveUntil.UTC().Format(time.DateTime) + " UTC at most"
}

// usedBefore says how a key was used until it was looked up.
func usedBefore(k leak.Key) string {
	switch {
	case k.Used.Known && k.Used.Count == 0:
		return "never"
	case k.Used.Known && !k.LastUsedAt.IsZero():
		return fmt.Sprintf("%d times, last at %s UTC", k.Used.Count, k.LastUsedAt.UTC().Format(time.DateTime))
	case !k.LastUsedAt.IsZero():
		return "last at " + k.LastUsedAt.UTC().Format(time.DateTime) + " UTC"
	}
	return "-"
}

// usedSince says how often a key was used between its lookup and the recheck.
func usedSince(a *leak.Aftermath) string {
	if a == nil || !a.Used.Known {
		return "-"
	}
	return fmt.Sprintf("%d times", a.Used.Count)
}

// madeSince lists what a key's owner made between the first sighting and the recheck.
func madeSince(a *leak.Aftermath) string {
	switch {
	case a == nil || !a.Traced:
		return "-"
	case len(a.Made) == 0:
		return "nothing"
	}
	var list []string
	for _, m := range a.Made {
		list = append(list, fmt.Sprintf("%s %s %s", m.Kind, m.ID, m.Name))
	}
	if a.More > 0 {
		list = append(list, fmt.Sprintf("and %d more", a.More))
	}
	return strings.Join(list, ", ")
}
