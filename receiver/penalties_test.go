package receiver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"stanch/receiver"
)

// from sends an unsigned delivery from an address and returns the status.
func (h *house) from(address, path, body string) int {
	request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	request.RemoteAddr = address
	recorder := httptest.NewRecorder()
	h.handler.ServeHTTP(recorder, request)
	return recorder.Code
}

func TestPenaltiesCountAddressesApart(t *testing.T) {
	h := newHouse(t)
	for i := range 1000 { // one network, as far as anybody can tell
		h.from(fmt.Sprintf("[2001:db8::%x]:4000", i), "/hooks/gh", "[]")
	}
	for address, want := range map[string]int{
		"[2001:db8::ffff]:1":  http.StatusTooManyRequests,
		"[2001:db8:0:1::1]:1": http.StatusUnauthorized,
		"192.0.2.1:1":         http.StatusUnauthorized,
		"@":                   http.StatusUnauthorized,
	} {
		if got := h.from(address, "/hooks/gh", "[]"); got != want {
			t.Errorf("got the status %d for %s, want %d", got, address, want)
		}
	}
}

// TestPenaltiesAreForgotten checks that a sender with endless addresses does not use endless memory.
func TestPenaltiesAreForgotten(t *testing.T) {
	h := newHouse(t)
	for range 200 {
		h.from("192.0.2.1:1", "/hooks/gh", "[]")
	}
	for i := range 8192 {
		h.from(fmt.Sprintf("10.1.%d.%d:1", i/250, i%250), "/hooks/gh", "[]")
	}
	for range 50 {
		if got := h.from("192.0.2.1:1", "/hooks/gh", "[]"); got != http.StatusUnauthorized {
			t.Fatalf("got the status %d from an address of long ago, want 401", got)
		}
	}
}

// TestSuspectsHaveTheirOwnMemory checks that addresses that keep failing cannot keep others out by holding bodies.
func TestSuspectsHaveTheirOwnMemory(t *testing.T) {
	const suspect = "192.0.2.1:1"
	entered, leave := make(chan struct{}), make(chan struct{})
	h := newHouse(t, func(_ *house, c *receiver.Config) {
		c.Sources["slow"] = scripted{verify: func() error { entered <- struct{}{}; <-leave; return nil }}
		c.Limits = receiver.Limits{Body: 1000, InFlightBytes: 1001}
	})
	for range 101 {
		h.from(suspect, "/hooks/gh", "[]")
	}
	large := strings.Repeat(" ", 950)
	var wg sync.WaitGroup
	wg.Go(func() { h.from(suspect, "/hooks/slow", large) })
	<-entered
	if got := h.from(suspect, "/hooks/slow", large); got != http.StatusServiceUnavailable {
		t.Errorf("got the status %d for a suspect's second body, want 503", got)
	}
	wantStatus(t, h.deliver(t, "["+record(planted)+"]"), http.StatusNoContent)
	close(leave)
	wg.Wait()
}
