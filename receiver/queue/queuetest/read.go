package queuetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

func testScan(t *testing.T, s queue.Store) {
	wantData(t, "empty stream", scanned(t, s, queue.AllIncidents))
	f := leak.Fingerprint("f")
	var all []string
	for i := range 600 {
		data := fmt.Sprint(i)
		all = append(all, data)
		subject := queue.SightingSubject(f, data)
		Append(t, s, queue.Message{Subject: subject, Data: []byte(data)})
	}
	Append(t, s, queue.Message{Subject: queue.SightingSubject("g", "1"), Data: []byte("g1")})
	wantData(t, "one incident", scanned(t, s, queue.SightingSubject(f, "*")), all...)
	wantData(t, "one subject", scanned(t, s, queue.SightingSubject(f, "7")), "7")
	wantData(t, "the whole stream", scanned(t, s, "sightings.>"), append(all, "g1")...)
	wantData(t, "filter that nothing matches", scanned(t, s, queue.SightingSubject("h", "*")))
}

func testScanStops(t *testing.T, s queue.Store) {
	Append(t, s, entry("a", "1"), entry("b", "2"), entry("c", "3"))
	// 1. When the loop does.
	var seen []string
	for m, err := range s.Scan(t.Context(), queue.AllIncidents) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, string(m.Data)); len(seen) == 2 {
			break
		}
	}
	wantData(t, "until the loop ends", seen, "1", "2")
	// 2. Where the stream ended at the call, whatever comes.
	seen = nil
	for m, err := range s.Scan(t.Context(), queue.AllIncidents) {
		if err != nil {
			t.Fatal(err)
		}
		Append(t, s, entry("d", "later"))
		seen = append(seen, string(m.Data))
	}
	wantData(t, "what was there at the call", seen, "1", "2", "3")
	// 3. With an error when ctx has ended.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range s.Scan(ctx, queue.AllIncidents) {
		last = err
	}
	wantError(t, last, context.Canceled)
	// 4. With an error when there is no such stream, or none that can be read.
	for _, filter := range []string{"elsewhere.>", "alerts.>"} {
		last = nil
		for _, err := range s.Scan(t.Context(), filter) {
			last = err
		}
		if last == nil {
			t.Errorf("scanning %s: no error", filter)
		}
	}
}

// testScanRemoval: a scan ends although what it was to end with was removed meanwhile. Some of that may have been on its way
// already, from a node that had not heard of the removal.
func testScanRemoval(t *testing.T, s queue.Store) {
	const stored = 1000
	subject := func(i int) string { return queue.SightingSubject("f", fmt.Sprint(i)) }
	var messages []queue.Message
	for i := range stored {
		messages = append(messages, queue.Message{Subject: subject(i), Data: []byte("x")})
	}
	Append(t, s, messages...)
	seen := 0
	for _, err := range s.Scan(t.Context(), "sightings.>") {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen > 1 {
			continue
		}
		for i := stored - 10; i < stored; i++ {
			if err := s.Remove(t.Context(), subject(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if seen < stored-10 || seen > stored {
		t.Errorf("saw %d messages, want %d, or a few more", seen, stored-10)
	}
}

// follower follows in the background, and says what it sees; caught up is an empty string.
func follower(t *testing.T, s queue.Store, filter string, since time.Time) (running, <-chan string) {
	saw := make(chan string, 100)
	caughtUp := func() { saw <- "" }
	handle := func(m queue.Message) error {
		saw <- string(m.Data)
		return nil
	}
	return start(t, func(ctx context.Context) error { return s.Follow(ctx, filter, since, caughtUp, handle) }), saw
}

func wantSaw(t *testing.T, saw <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := mustWait(t, saw, "message"); got != w {
			t.Errorf("saw %q, want %q", got, w)
		}
	}
}

func testFollow(t *testing.T, s queue.Store) {
	Append(t, s, entry("a", "1"), entry("b", "2"))
	r, saw := follower(t, s, queue.AllIncidents, time.Time{})
	wantSaw(t, saw, "1", "2", "")
	Append(t, s, entry("a", "3"))
	Append(t, s, alert("of another stream"))
	Append(t, s, entry("c", "4"))
	wantSaw(t, saw, "3", "4")
	r.stop(t)
	if len(saw) > 0 {
		t.Errorf("saw %q after the end", <-saw)
	}
}

func testFollowSince(t *testing.T, s queue.Store) {
	Append(t, s, entry("a", "1"))
	first, err := s.Last(t.Context(), entry("a", "").Subject)
	if err != nil {
		t.Fatal(err)
	}
	Append(t, s, entry("a", "2"))
	second, err := s.Last(t.Context(), entry("a", "").Subject)
	if err != nil {
		t.Fatal(err)
	}
	if !second.Time.After(first.Time) {
		t.Skip("the clock of this store stands still")
	}
	Append(t, s, entry("b", "3"))
	r, saw := follower(t, s, queue.AllIncidents, second.Time)
	wantSaw(t, saw, "2", "3", "")
	r.stop(t)
	r, saw = follower(t, s, queue.AllIncidents, time.Now().Add(time.Hour))
	wantSaw(t, saw, "")
	r.stop(t)
}

func testFollowNothing(t *testing.T, s queue.Store) {
	r, saw := follower(t, s, queue.AllIncidents, time.Time{})
	wantSaw(t, saw, "")
	Append(t, s, entry("a", "1"))
	wantSaw(t, saw, "1")
	r.stop(t)
	r, saw = follower(t, s, entry("b", "").Subject, time.Time{})
	wantSaw(t, saw, "")
	Append(t, s, entry("a", "2"), entry("b", "3"))
	wantSaw(t, saw, "3")
	r.stop(t)
}

func testFollowHandleError(t *testing.T, s queue.Store) {
	Append(t, s, entry("a", "1"), entry("a", "2"))
	wrong, calls := errors.New("wrong"), 0
	err := s.Follow(t.Context(), queue.AllIncidents, time.Time{}, func() {}, func(queue.Message) error {
		calls++
		return wrong
	})
	wantError(t, err, wrong)
	if calls != 1 {
		t.Errorf("handed over %d messages, want 1", calls)
	}
}
