package queuetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"stanch/receiver/queue"
)

// deadLetters are n messages for a stream that takes many at once and can be read, and their data. Each has an id.
func deadLetters(name string, n int) (messages []queue.Message, data []string) {
	for i := range n {
		data = append(data, fmt.Sprint(name, i))
		messages = append(messages, queue.Message{
			Subject: queue.DeadSubject("gh"), ID: "id of " + data[i], Data: []byte(data[i]),
		})
	}
	return messages, data
}

var allDead = queue.DeadSubject(">")

// testAppendMany: however many messages one Append has, all are stored, in their order.
func testAppendMany(t *testing.T, s queue.Store) {
	var want []string
	for _, n := range []int{1, 2, 15, 16, 1000, 1001, 2500} {
		messages, data := deadLetters(fmt.Sprint(n, ":"), n)
		Append(t, s, messages...)
		want = append(want, data...)
	}
	wantSame(t, scanned(t, s, allDead), want)
}

// wantSame compares many data, and names the first that differs.
func wantSame(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d messages, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("message %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

// testAppendManyTwoStreams: what one Append has for several streams arrives in each, in its order.
func testAppendManyTwoStreams(t *testing.T, s queue.Store) {
	letters, want := deadLetters("letter", 50)
	steps := make([]string, len(letters))
	var mixed []queue.Message
	for i, letter := range letters {
		steps[i] = fmt.Sprint("step", i)
		mixed = append(mixed, letter, alert(fmt.Sprint(i)), entry(fmt.Sprint(i%3), steps[i]))
	}
	Append(t, s, mixed...)
	wantSame(t, scanned(t, s, allDead), want)
	wantSame(t, scanned(t, s, queue.AllIncidents), steps)
	wantCount(t, s, queue.Alerts, uint64(len(letters)))
}

// testAppendManyTooLarge: one message that its stream does not take keeps all others out, and the error says why.
func testAppendManyTooLarge(t *testing.T, s queue.Store) {
	messages, _ := deadLetters("", 1500)
	messages[1200].Data = bytes.Repeat([]byte("x"), queue.MaxDeadSize+1)
	wantError(t, s.Append(t.Context(), messages...), queue.ErrTooLarge)
	wantCount(t, s, queue.Dead, 0)
	// The largest ones are stored, however many megabytes they are together.
	messages, want := deadLetters("", 40)
	for i := range messages {
		messages[i].Data = append(messages[i].Data, bytes.Repeat([]byte("x"), queue.MaxDeadSize-len(want[i]))...)
		want[i] = string(messages[i].Data)
	}
	Append(t, s, messages...)
	wantSame(t, scanned(t, s, allDead), want)
}

// testAppendManySameIDOnce: an id is absorbed when it comes twice in one Append, when all of an Append comes again, and
// when a part of it does; and only in its own stream.
func testAppendManySameIDOnce(t *testing.T, s queue.Store) {
	letters, want := deadLetters("", 100)
	alerts := numbered(100)
	for i := range alerts {
		alerts[i].ID = letters[i].ID
	}
	Append(t, s, slices.Concat(letters[:60], letters[20:40], alerts)...)
	Append(t, s, letters[:60]...)
	Append(t, s, letters...)
	wantSame(t, scanned(t, s, allDead), want)
	Append(t, s, alerts...)
	wantCount(t, s, queue.Alerts, 100)
}

// testAppendManyWriters: more writers at once than a server takes batches lose nothing, and each keeps its order.
func testAppendManyWriters(t *testing.T, s queue.Store) {
	const writers, each = 60, 20
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			messages, _ := deadLetters(fmt.Sprint("of ", w, ": "), each)
			if err := s.Append(t.Context(), messages...); err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	all.Wait()
	got := scanned(t, s, allDead)
	for w := range writers {
		name := fmt.Sprint("of ", w, ": ")
		_, want := deadLetters(name, each)
		wantSame(t, slices.DeleteFunc(slices.Clone(got), func(data string) bool {
			return !strings.HasPrefix(data, name)
		}), want)
	}
	if len(got) != writers*each {
		t.Errorf("got %d messages, want %d", len(got), writers*each)
	}
}
