package main_test

import (
	"testing"

	"stanch/dispositions/ibmfake"
)

// BenchmarkList measures "incidents list --limit 0" with 3,000 incidents; beside it the same command with --limit 1, which is
// what the process, the socket and the index cost.
func BenchmarkList(b *testing.B) {
	s := newSite(b, ibmfake.Switches{}, "")
	const incidents = 3000
	s.fill(b, incidents, 0)
	s.start()
	for gauge(s.get("/metrics"), `stanch_incidents{state="contained"}`) < incidents {
		b.Log("waiting for the index")
	}
	for _, limit := range []string{"1", "149", "151", "0"} {
		b.Run("limit="+limit, func(b *testing.B) {
			for b.Loop() {
				if out, err := s.command("incidents", "list", "--limit", limit, "-o", "json"); err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			}
		})
	}
}
