package leak_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"stanch/receiver/leak"
)

func TestClock(t *testing.T) {
	now := time.Date(2026, 11, 21, 6, 0, 0, 900e6, time.UTC)
	for name, row := range map[string]struct {
		theirs time.Time
		took   time.Duration
		want   leak.Result
		text   string
	}{
		"same":                        {now, 0, leak.Good, "agrees"},
		"answer took long":            {now.Add(10 * time.Minute), 11 * time.Minute, leak.Good, "agrees"},
		"within what people notice":   {now.Add(29 * time.Second), 0, leak.Good, "agrees"},
		"a minute behind":             {now.Add(time.Minute), 0, leak.Doubt, "59s behind"},
		"a minute ahead":              {now.Add(-time.Minute), 0, leak.Doubt, "1m0s ahead of"},
		"far behind":                  {now.Add(7 * time.Minute), 0, leak.Broken, "6m59s behind"},
		"far ahead, slowly answered":  {now.Add(-7 * time.Minute), 9 * time.Second, leak.Broken, "7m0s ahead of"},
		"the last second that counts": {now.Add(-5 * time.Minute), 0, leak.Doubt, "5m0s ahead of"},
	} {
		got := clock(t, row.theirs.Format(http.TimeFormat), now, now.Add(row.took))
		if got.Result != row.want || !strings.Contains(got.Text, row.text) || got.Check == "" {
			t.Errorf("%s: got %+v, want %s and %q", name, got, row.want, row.text)
		}
	}
	for _, date := range []string{"", "now", "Sat, 99 Nov 2026 06:00:00 GMT"} {
		if got := clock(t, date, now, now); got.Result != leak.Doubt || date != "" && strings.Contains(got.Text, date) {
			t.Errorf("%q: got %+v, want a doubt that does not repeat it", date, got)
		}
	}
}

func clock(t *testing.T, date string, asked, answered time.Time) leak.Finding {
	t.Helper()
	var found leak.Findings
	found.Clock(date, asked, answered)
	if len(found) != 1 {
		t.Fatalf("got %d findings, want one", len(found))
	}
	return found[0]
}

func TestFindings(t *testing.T) {
	var found leak.Findings
	found.Good("a", "%d", 1)
	found.Doubt("b", "%d", 2)
	found.Broken("c", "%d%%", 3)
	want := leak.Findings{
		{Check: "a", Result: leak.Good, Text: "1"},
		{Check: "b", Result: leak.Doubt, Text: "2"},
		{Check: "c", Result: leak.Broken, Text: "3%"},
	}
	if !slices.Equal(found, want) {
		t.Errorf("got %v, want %v", found, want)
	}
}
