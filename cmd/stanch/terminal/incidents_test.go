package terminal_test

import (
	"strings"
	"testing"
	"time"

	"stanch/cmd/stanch/api"
	"stanch/cmd/stanch/terminal"
	"stanch/receiver/leak"
)

// TestTimeline shows how far a leak reached: the use of the key before and since, and what its owner made with it.
func TestTimeline(t *testing.T) {
	at := time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC)
	used := leak.Activity{Known: true, LastAt: at, Count: 7}
	made := []leak.Made{{Kind: "API key", ID: "ApiKey-1", Name: "back\x1b[2Jdoor"}, {Kind: "service ID", ID: "ServiceId-2", Name: "bot"}}
	for name, test := range map[string]struct {
		incident leak.Incident
		want     []string
	}{
		"nothing known": {leak.Incident{}, []string{"used before lookup -", "used since lookup -", "owner made since -", "tokens live -"}},
		"never used": {
			leak.Incident{Key: leak.Key{Used: leak.Activity{Known: true}}, Aftermath: &leak.Aftermath{Used: leak.Activity{Known: true}, Traced: true}},
			[]string{"used before lookup never", "used since lookup 0 times", "owner made since nothing"},
		},
		"used and abused": {
			leak.Incident{
				Key: leak.Key{Owner: "iam-ServiceId-7", OwnerName: "deployer", LastUsedAt: at, Used: used}, TokensLiveUntil: at,
				Aftermath: &leak.Aftermath{Used: leak.Activity{Known: true, Count: 2}, Traced: true, Made: made, More: 3},
			},
			[]string{
				"owner iam-ServiceId-7 deployer", "used before lookup 7 times, last at 2026-01-31 15:04:05 UTC", "used since lookup 2 times",
				"owner made since API key ApiKey-1 back\uFFFD[2Jdoor, service ID ServiceId-2 bot, and 3 more",
				"tokens live until 2026-01-31 15:04:05 UTC at most",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			terminal.Incident(&out, api.Incident{Incident: test.incident})
			shown := map[string]bool{}
			for line := range strings.Lines(out.String()) {
				shown[strings.Join(strings.Fields(line), " ")] = true
			}
			for _, want := range test.want {
				if !shown[want] {
					t.Errorf("no line %q in\n%s", want, out.String())
				}
			}
		})
	}
}
