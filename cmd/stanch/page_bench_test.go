package main_test

import (
	"net/http"
	"testing"

	"stanch/dispositions/ibmfake"
)

// BenchmarkPage measures the page of a service that knows 100,000 incidents; beside it health, which reads nothing, and the
// page of one that knows a hundred.
func BenchmarkPage(b *testing.B) {
	for _, size := range []struct {
		name      string
		incidents int
	}{{"a hundred", 100}, {"100,000", 100_000}} {
		s := newSite(b, ibmfake.Switches{}, "")
		s.fill(b, size.incidents, 0)
		s.start()
		for gauge(s.get("/metrics"), `stanch_incidents{state="contained"}`) < size.incidents {
			b.Log("waiting for the index")
		}
		_, _, list := s.visit("/")
		id := listed(list)[0]
		for _, page := range [][2]string{
			{"health", "/-/healthy"}, {"home", "/"}, {"state", "/?state=failed"}, {"text", "/?q=no-such-key"}, {"incident", "/incidents/" + id},
		} {
			b.Run(size.name+"/"+page[0], func(b *testing.B) {
				for b.Loop() {
					if status, _, _ := s.visit(page[1]); status != http.StatusOK {
						b.Fatalf("got %d", status)
					}
				}
			})
		}
		s.kill()
	}
}
