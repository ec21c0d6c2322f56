package pagerduty_test

import (
	"strings"
	"testing"

	"stanch/notify"
	"stanch/receiver/leak"
)

// FuzzEvent: whatever strangers write, however often, PagerDuty takes the event.
func FuzzEvent(f *testing.F) {
	f.Add("title", "key", "text", 1)
	f.Add("\xff\x00", "<>", "\u2028\"\\", 100_000)
	f.Add("", "", "", 0)
	f.Fuzz(func(t *testing.T, title, key, text string, times int) {
		server := play(t, routingKey)
		times = min(max(times, 0), 200_000/(len(text)+1))
		sent := notify.Notice{
			Title: "a key: " + title, Severity: leak.Critical, Phase: notify.Opened, At: at,
			Facts: []notify.Fact{{Name: "a", Text: strings.Repeat(text, times)}, {Name: "b", Text: strings.Repeat(text, times)}},
		}
		sent.Incident.ID, sent.Incident.Key.ID = "incident", key
		if err := open(t, server.URL, "").Notify(t.Context(), sent); err != nil {
			t.Errorf("got %v, want no error", err)
		}
	})
}
