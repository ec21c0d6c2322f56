package compose_test

import (
	"fmt"
	"strings"
	"testing"

	"stanch/notify"
	"stanch/receiver/leak"
)

// TestGroup: a notice of many says how many, how urgent, whose, which first, and what to do; every text of strangers is
// plain.
func TestGroup(t *testing.T) {
	var entries []leak.Entry
	for i := 10; i < 500; i++ {
		e := entry(incident(leak.Contained, nil), step(leak.Proved, provedDisabled))
		if i%100 == 50 {
			e = entry(incident(leak.Held, func(i *leak.Incident) {
				i.Severity, i.Key.Name = leak.Critical, "prod\x1b[2J-"+strings.Repeat("ä", 200)
			}), step(leak.HeldBack, "held"))
		}
		e.ID, e.Incident.ID = fmt.Sprintf("entry-%04d", i), leak.Fingerprint(fmt.Sprintf("%012x%052x", i, i))
		e.Incident.Key.Account = fmt.Sprintf("acc-%d", i/100)
		entries = append(entries, e)
	}
	group := reader.Group(strings.Repeat("ab", 32), entries)
	compareFile(t, "testdata/group.txt", written(group))
	for _, text := range shown(group) {
		if strings.ContainsFunc(text, hidden) {
			t.Errorf("got %q, want no hidden characters", text)
		}
	}
	if group.Phase != notify.Opened || group.Severity != leak.Critical || group.Incident.ID == "" ||
		group.Count != len(entries) || len(group.Members) != group.Count {
		t.Errorf("got %s, %s, id %q and %d members of %d", group.Phase, group.Severity, group.Incident.ID, len(group.Members), group.Count)
	}
}

// TestGroupCounts: whatever the states of its incidents, each is counted in the title.
func TestGroupCounts(t *testing.T) {
	var entries []leak.Entry
	for _, e := range examples {
		entries = append(entries, e)
	}
	group := reader.Group(strings.Repeat("ab", 32), entries)
	_, counts, _ := strings.Cut(group.Title, ": ")
	sum := 0
	for part := range strings.SplitSeq(counts, ", ") {
		var n int
		if _, err := fmt.Sscan(part, &n); err != nil {
			t.Fatalf("got %q in the title %q, want a number first", part, group.Title)
		}
		sum += n
	}
	if sum != len(entries) {
		t.Errorf("got %q, which is %d incidents, want %d", group.Title, sum, len(entries))
	}
}
