package compose_test

import (
	"strings"
	"testing"
	"time"

	"stanch/notify/compose"
	"stanch/receiver/leak"
)

// TestSparse: what an issuer does not say leaves no hole in the text, and nothing is calmer for not being said.
func TestSparse(t *testing.T) {
	i := leak.Incident{
		ID: id, State: leak.Contained, Issuer: "ibm", Key: leak.Key{ID: "ApiKey-1", Disabled: true},
		Action: leak.Disable, SightingCount: 1, ReceivedAt: at.Add(-80 * time.Second),
	}
	n, ok := compose.Audience{}.Notice(entry(i, step(leak.Proved, "")), sightings)
	if !ok {
		t.Fatal("got no notice")
	}
	if n.Severity != leak.Warning || n.Link != "" {
		t.Errorf("got severity %q and link %q, want a warning without a link", n.Severity, n.Link)
	}
	want := map[string]string{
		"What leaked":      "A key of ibm, id ApiKey-1.",
		"Whose it is":      "The issuer does not say.",
		"What was done":    "The key is disabled, proved at 2026-11-21 14:03:05 UTC.",
		"How long it took": "1 min 20 s from the receipt of the first alert to the proof.",
	}
	if title := "ibm key ApiKey-1 is disabled, proved 14:03:05 UTC"; n.Title != title {
		t.Errorf("got the title %q, want %q", n.Title, title)
	}
	for _, f := range n.Facts {
		if text, ok := want[f.Name]; ok && f.Text != text {
			t.Errorf("%s: got %q, want %q", f.Name, f.Text, text)
		}
	}
}

// TestLongText: a stranger's text is cut, so that it cannot bury the rest.
func TestLongText(t *testing.T) {
	e := entry(incident(leak.Contained, func(i *leak.Incident) { i.Key.Name = strings.Repeat("ä", 5000) }),
		step(leak.Proved, provedDisabled))
	n, _ := compose.Audience{}.Notice(e, sightings)
	if got := strings.Count(n.Title, "ä"); got != 1000 || !strings.Contains(n.Title, "...") {
		t.Errorf("got %d characters of the name in the title, want 1000 and an ellipsis", got)
	}
}
