package main_test

import (
	"bytes"
	"net/http"
	"sync"
	"testing"
	"time"

	"stanch/dispositions/ibmfake"
)

// BenchmarkSlowSenders measures honest deliveries, each on a connection of its own, with no others and with 2,000 that send
// nothing, a piece, or a byte at a time: fewer than there may be, and twice as many.
func BenchmarkSlowSenders(b *testing.B) {
	for name, more := range map[string]string{
		"none": "", "2000": "limits: {connections: 3000}\n", "2000-of-1000": "limits: {connections: 1000}\n",
	} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, ibmfake.Switches{}, more)
			s.start()
			s.honestTimes(1)
			if name != "none" {
				s.slowly(2000, s.slowKinds()...)
			}
			b.ResetTimer()
			report(b, s.honestTimes(b.N))
			b.ReportMetric(s.peak(), "peak-MiB")
		})
	}
}

// BenchmarkLargeBodies does so with eight senders of forged bodies of 25 MiB, and with none.
func BenchmarkLargeBodies(b *testing.B) {
	for name, senders := range map[string]int{"none": 0, "eight": 8} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, ibmfake.Switches{}, "")
			s.start()
			s.honestTimes(1)
			stop := s.sendLarge(senders)
			b.ResetTimer()
			report(b, s.honestTimes(b.N))
			b.StopTimer()
			stop()
			b.ReportMetric(s.peak(), "peak-MiB")
		})
	}
}

// honestTimes posts so many deliveries, one after the other. Those that are asked to come again count, and are not answered.
func (s *site) honestTimes(n int) []time.Duration {
	s.t.Helper()
	times := make([]time.Duration, 0, n)
	for range n {
		begun := time.Now()
		for status := s.honest(); status != http.StatusNoContent; status = s.honest() {
			if status != http.StatusServiceUnavailable {
				s.t.Fatalf("got %d", status)
			}
		}
		times = append(times, time.Since(begun))
	}
	return times
}

// sendLarge sends large forged bodies until stop.
func (s *site) sendLarge(senders int) (stop func()) {
	over := make(chan struct{})
	var group sync.WaitGroup
	body, header := bytes.Repeat([]byte(" "), 25<<20), s.signer.GitHubHeader([]byte("[]"))
	for range senders {
		group.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					s.alone(body, header)
				}
			}
		})
	}
	return func() {
		close(over)
		group.Wait()
	}
}
