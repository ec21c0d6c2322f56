package queuetest

import (
	"fmt"
	"testing"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// testDiscard: one message goes, its neighbours on the same subject stay, and what went stays gone.
func testDiscard(t *testing.T, s queue.Store) {
	letters, _ := deadLetters("", 5)
	Append(t, s, letters...)
	for _, seq := range []uint64{2, 5, 2, 99} { // one that is gone, or never was, is no error
		if err := s.Discard(t.Context(), queue.Dead, seq); err != nil {
			t.Fatalf("discarding %d: %v", seq, err)
		}
	}
	wantData(t, "left", scanned(t, s, queue.AllDead), "0", "2", "3")
	last, err := s.Last(t.Context(), letters[0].Subject)
	if err != nil || last.Seq != 4 {
		t.Errorf("last: got message %d, %v, want 4", last.Seq, err)
	}
	// A sequence is given once.
	Append(t, s, queue.Message{Subject: letters[0].Subject, Data: []byte("new")})
	if last, err = s.Last(t.Context(), letters[0].Subject); err != nil || last.Seq != 6 {
		t.Errorf("after another: got message %d, %v, want 6", last.Seq, err)
	}
}

// testDiscardRefused: neither the log, nor its checkpoints, nor a work queue gives anything away.
func testDiscardRefused(t *testing.T, s queue.Store) {
	checkpoint := queue.Message{Subject: queue.CheckpointSubject, Data: []byte("checkpoint")}
	Append(t, s, entry("a", "step"), alert("alert"), checkpoint)
	for _, stream := range []string{queue.Incidents, queue.Checkpoints, queue.Alerts, "ELSEWHERE"} {
		if err := s.Discard(t.Context(), stream, 1); err == nil {
			t.Errorf("discarding from %s: no error", stream)
		}
	}
	if err := s.Remove(t.Context(), checkpoint.Subject); err == nil {
		t.Error("removing checkpoints: no error")
	}
	wantData(t, "log", scanned(t, s, queue.AllIncidents), "step")
	wantData(t, "checkpoints", scanned(t, s, checkpoint.Subject), "checkpoint")
	wantCount(t, s, queue.Alerts, 1)
}

// testStatsSequences: the sequences tell whether anything was ever deleted.
func testStatsSequences(t *testing.T, s queue.Store) {
	want := func(messages, first, last uint64) {
		t.Helper()
		got, err := s.Stats(t.Context(), queue.Retries)
		if err != nil || got.Messages != messages || got.First != first || got.Last != last || got.Changed != "" {
			t.Errorf("got %+v, %v, want %d messages from %d to %d, and nothing changed", got, err, messages, first, last)
		}
	}
	for i := range 3 {
		subject := queue.RetrySubject(leak.Fingerprint(fmt.Sprint(i)))
		Append(t, s, queue.Message{Subject: subject, Data: []byte("x")})
	}
	want(3, 1, 3)
	if err := s.Discard(t.Context(), queue.Retries, 2); err != nil {
		t.Fatal(err)
	}
	want(2, 1, 3)
	for _, seq := range []uint64{1, 3} {
		if err := s.Discard(t.Context(), queue.Retries, seq); err != nil {
			t.Fatal(err)
		}
	}
	want(0, 4, 3)
}
