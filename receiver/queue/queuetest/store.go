package queuetest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/streams"
)

func testAppend(t *testing.T, s queue.Store) {
	Append(t, s)
	Append(t, s, entry("a", "1"))
	Append(t, s, entry("b", "2"), entry("a", "3"), entry("c", "4"))
	wantData(t, "stored", scanned(t, s, queue.AllIncidents), "1", "2", "3", "4")
}

func testAppendTooLarge(t *testing.T, s queue.Store) {
	fits := alert("")
	fits.Data = bytes.Repeat([]byte("x"), queue.MaxAlertSize)
	fits.ID = "an id of its own takes nothing away"
	Append(t, s, fits)

	large := alert("")
	large.Data = bytes.Repeat([]byte("x"), queue.MaxAlertSize+1)
	wantError(t, s.Append(t.Context(), large), queue.ErrTooLarge)
	wantError(t, s.Append(t.Context(), alert("small"), large), queue.ErrTooLarge)
	large.Subject = entry("a", "").Subject
	_, err := s.AppendAfter(t.Context(), large, 0)
	wantError(t, err, queue.ErrTooLarge)
	wantCount(t, s, queue.Alerts, 1)
	wantCount(t, s, queue.Incidents, 0)
}

func testAppendUnknownSubject(t *testing.T, s queue.Store) {
	for _, subject := range []string{"", "alerts", "elsewhere.a"} {
		m := queue.Message{Subject: subject, Data: []byte("x")}
		if err := s.Append(t.Context(), m); err == nil {
			t.Errorf("appending to %q: no error", subject)
		}
		if _, err := s.AppendAfter(t.Context(), m, 0); err == nil {
			t.Errorf("appending to %q by sequence: no error", subject)
		}
		if _, err := s.Last(t.Context(), subject); err == nil || errors.Is(err, queue.ErrNoMessage) {
			t.Errorf("reading %q: got error %v, want one that says that there is no stream", subject, err)
		}
	}
}

func testAppendSameIDOnce(t *testing.T, s queue.Store) {
	first, second := alert("first"), alert("second")
	first.ID, second.ID = "one", "one"
	Append(t, s, first)
	Append(t, s, second)
	Append(t, s, second, alert("another"))
	wantCount(t, s, queue.Alerts, 2)
	handle, saw := telling()
	r := worker(t, s, engine, handle)
	wantData(t, "stored", datas(t, saw, 2), "another", "first")
	r.stop(t)
	// The id is still known when the message has long been settled.
	Append(t, s, second)
	wantCount(t, s, queue.Alerts, 0)
}

func testAppendAfter(t *testing.T, s queue.Store) {
	// 1. Zero creates, once.
	first, err := s.AppendAfter(t.Context(), entry("a", "1"), 0)
	if err != nil || first == 0 {
		t.Fatalf("creating: got sequence %d, error %v", first, err)
	}
	_, err = s.AppendAfter(t.Context(), entry("a", "again"), 0)
	wantError(t, err, queue.ErrConflict)
	// 2. Another subject of the stream does not matter.
	if _, err = s.AppendAfter(t.Context(), entry("b", "2"), 0); err != nil {
		t.Fatalf("creating another: %v", err)
	}
	// 3. The last sequence goes on; an old one does not.
	second, err := s.AppendAfter(t.Context(), entry("a", "3"), first)
	if err != nil || second <= first {
		t.Fatalf("going on: got sequence %d after %d, error %v", second, first, err)
	}
	_, err = s.AppendAfter(t.Context(), entry("a", "late"), first)
	wantError(t, err, queue.ErrConflict)
	// 4. The sequence returned is the one that is read.
	last, err := s.Last(t.Context(), entry("a", "").Subject)
	if err != nil || last.Seq != second {
		t.Errorf("last: got sequence %d, error %v, want %d", last.Seq, err, second)
	}
	wantData(t, "stored", scanned(t, s, queue.AllIncidents), "1", "2", "3")
}

// testAppendAfterMany has many write at once, each to a subject of its own, and some with an expectation that is wrong: they are
// refused, and nobody else is.
func testAppendAfterMany(t *testing.T, s queue.Store) {
	var writers sync.WaitGroup
	for w := range 200 {
		writers.Go(func() {
			subject := entry(fmt.Sprint("many-", w), "").Subject
			seq, err := s.AppendAfter(t.Context(), queue.Message{Subject: subject, Data: []byte("1")}, 0)
			if err != nil {
				t.Errorf("creating: %v", err)
				return
			}
			if w%10 == 0 {
				_, err := s.AppendAfter(t.Context(), queue.Message{Subject: subject, Data: []byte("late")}, 0)
				wantError(t, err, queue.ErrConflict)
			}
			next, err := s.AppendAfter(t.Context(), queue.Message{Subject: subject, Data: []byte("2")}, seq)
			if err != nil {
				t.Errorf("going on: %v", err)
				return
			}
			last, err := s.Last(t.Context(), subject)
			if err != nil || last.Seq != next || string(last.Data) != "2" {
				t.Errorf("last: got %q, sequence %d, error %v; want sequence %d", last.Data, last.Seq, err, next)
			}
		})
	}
	writers.Wait()
	if got := len(scanned(t, s, queue.AllIncidents)); got != 400 {
		t.Errorf("got %d messages, want 400", got)
	}
}

func testAppendAfterRace(t *testing.T, s queue.Store) {
	var writers sync.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		writers.Go(func() {
			_, err := s.AppendAfter(t.Context(), entry("a", "x"), 0)
			errs <- err
		})
	}
	writers.Wait()
	won := 0
	for range cap(errs) {
		if err := <-errs; err == nil {
			won++
		} else {
			wantError(t, err, queue.ErrConflict)
		}
	}
	if won != 1 {
		t.Errorf("%d writers won, want 1", won)
	}
}

func testLast(t *testing.T, s queue.Store) {
	before := time.Now().Add(-time.Second)
	_, err := s.Last(t.Context(), entry("a", "").Subject)
	wantError(t, err, queue.ErrNoMessage)
	older := entry("a", "older")
	older.ID = "older id"
	Append(t, s, older, entry("b", "other"))
	newer := entry("a", "newer")
	newer.ID = "newer id"
	Append(t, s, newer)
	last, err := s.Last(t.Context(), newer.Subject)
	if err != nil {
		t.Fatalf("last: %v", err)
	}
	if last.Subject != newer.Subject || last.ID != newer.ID || string(last.Data) != "newer" || last.Seq != 3 {
		t.Errorf("got %+v, want the newer message", last)
	}
	if last.Time.Before(before) || last.Time.After(time.Now().Add(time.Second)) {
		t.Errorf("got time %v, want now", last.Time)
	}
	_, err = s.Last(t.Context(), entry("c", "").Subject)
	wantError(t, err, queue.ErrNoMessage)
}

func testRetryOverwrites(t *testing.T, s queue.Store) {
	kept := func(f, data string) queue.Message {
		return queue.Message{Subject: queue.RetrySubject(leak.Fingerprint(f)), Data: []byte(data)}
	}
	Append(t, s, kept("a", "1"), kept("b", "2"))
	Append(t, s, kept("a", "3"))
	wantData(t, "kept", scanned(t, s, queue.AllRetries), "2", "3")
	wantCount(t, s, queue.Retries, 2)
	last, err := s.Last(t.Context(), kept("a", "").Subject)
	if err != nil || string(last.Data) != "3" {
		t.Errorf("last: got %q, error %v, want 3", last.Data, err)
	}
}

func testRemove(t *testing.T, s queue.Store) {
	kept := queue.Message{Subject: queue.RetrySubject("a"), Data: []byte("x")}
	other := queue.Message{Subject: queue.RetrySubject("b"), Data: []byte("y")}
	Append(t, s, kept, other)
	for range 2 { // nothing to remove is no error
		if err := s.Remove(t.Context(), kept.Subject); err != nil {
			t.Fatalf("removing: %v", err)
		}
	}
	_, err := s.Last(t.Context(), kept.Subject)
	wantError(t, err, queue.ErrNoMessage)
	wantData(t, "left", scanned(t, s, queue.AllRetries), "y")
	// What is removed can be stored again, as if it had never been there.
	if _, err := s.AppendAfter(t.Context(), kept, 0); err != nil {
		t.Errorf("storing again: %v", err)
	}
	// The log gives nothing away.
	Append(t, s, entry("a", "step"))
	if err := s.Remove(t.Context(), entry("a", "").Subject); err == nil {
		t.Error("removing from the log: no error")
	}
	wantData(t, "log", scanned(t, s, queue.AllIncidents), "step")
}

func testStats(t *testing.T, s queue.Store) {
	for _, stream := range streams.All() {
		got, err := s.Stats(t.Context(), stream.Name)
		if err != nil || got != (queue.Stats{}) {
			t.Errorf("%s: got %+v, error %v, want nothing", stream.Name, got, err)
		}
	}
	Append(t, s, alert("1"), alert("2"))
	got, err := s.Stats(t.Context(), queue.Alerts)
	if err != nil || got.Messages != 2 || got.Bytes == 0 {
		t.Errorf("got %+v, error %v, want 2 messages with some bytes", got, err)
	}
	if age := time.Since(got.Oldest); age < -time.Second || age > time.Hour {
		t.Errorf("got oldest %v, want now", got.Oldest)
	}
	if _, err := s.Stats(t.Context(), "ELSEWHERE"); err == nil {
		t.Error("asking about a stream that is not there: no error")
	}
}

// wantCount waits until a stream holds so many messages: on a cluster a settled message is gone when a majority of the
// nodes knows that it is.
func wantCount(t *testing.T, s queue.Store, stream string, want uint64) {
	t.Helper()
	var got queue.Stats
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got, err = s.Stats(t.Context(), stream); err == nil && got.Messages == want {
			return
		}
	}
	t.Errorf("%s: got %d messages, error %v, want %d", stream, got.Messages, err, want)
}

// testTold: what is remembered is overwritten, listed by notifier, and forgotten; progress is apart from it.
func testTold(t *testing.T, s queue.Store) {
	told := func(subject, data string) queue.Message { return queue.Message{Subject: subject, Data: []byte(data)} }
	Append(t, s,
		told(queue.ToldSubject("slack", "a"), "older"), told(queue.ToldSubject("slack", "a"), "newer"),
		told(queue.ToldSubject("slack", "b"), "b"), told(queue.ToldSubject("slack-two", "a"), "of another"),
		told(queue.ProgressSubject("slack"), "progress"))
	wantData(t, "of one notifier", scanned(t, s, queue.ToldSubject("slack", "*")), "newer", "b")
	wantData(t, "its progress", scanned(t, s, queue.ProgressSubject("slack")), "progress")
	if err := s.Remove(t.Context(), queue.ToldSubject("slack", "a")); err != nil {
		t.Fatal(err)
	}
	wantData(t, "after one is forgotten", scanned(t, s, queue.ToldSubject("slack", "*")), "b")
	wantCount(t, s, queue.Told, 3)
}
