// Package queuetest is the conformance suite of queue.Store: what every store must do, so that code that works on the one in
// memory works on a real one.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// patience is how long the suite waits for something that must come. Only a failing test waits that long.
const patience = 30 * time.Second

// Run tests the stores that open returns, each empty.
func Run(t *testing.T, open func(t *testing.T) queue.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s queue.Store)
	}{
		{"Append", testAppend},
		{"AppendTooLarge", testAppendTooLarge},
		{"AppendUnknownSubject", testAppendUnknownSubject},
		{"AppendSameIDOnce", testAppendSameIDOnce},
		{"AppendMany", testAppendMany},
		{"AppendManyTwoStreams", testAppendManyTwoStreams},
		{"AppendManyTooLarge", testAppendManyTooLarge},
		{"AppendManySameIDOnce", testAppendManySameIDOnce},
		{"AppendManyWriters", testAppendManyWriters},
		{"AppendAfter", testAppendAfter},
		{"AppendAfterMany", testAppendAfterMany},
		{"AppendAfterRace", testAppendAfterRace},
		{"Last", testLast},
		{"RetryOverwrites", testRetryOverwrites},
		{"Told", testTold},
		{"Remove", testRemove},
		{"Discard", testDiscard},
		{"DiscardRefused", testDiscardRefused},
		{"Stats", testStats},
		{"StatsSequences", testStatsSequences},
		{"Scan", testScan},
		{"ScanStops", testScanStops},
		{"ScanRemoval", testScanRemoval},
		{"Follow", testFollow},
		{"FollowSince", testFollowSince},
		{"FollowNothing", testFollowNothing},
		{"FollowHandleError", testFollowHandleError},
		{"WorkSettles", testWorkSettles},
		{"WorkLater", testWorkLater},
		{"WorkError", testWorkError},
		{"WorkPanic", testWorkPanic},
		{"WorkManyWait", testWorkManyWait},
		{"WorkParallel", testWorkParallel},
		{"WorkTwoNames", testWorkTwoNames},
		{"WorkOneConsumerAQueue", testWorkOneConsumerAQueue},
		{"WorkNew", testWorkNew},
		{"WorkPostponed", testWorkPostponed},
		{"WorkPostponedEnds", testWorkPostponedEnds},
		{"WorkDrains", testWorkDrains},
		{"WorkResumes", testWorkResumes},
		{"WorkTrace", testWorkTrace},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// alert is a message for the work queue.
func alert(data string) queue.Message {
	return queue.Message{Subject: queue.AlertSubject("gh"), Data: []byte(data)}
}

// entry is a message for the log.
func entry(incident, data string) queue.Message {
	return queue.Message{Subject: queue.IncidentSubject(leak.Fingerprint(incident)), Data: []byte(data)}
}

// mustWait returns the next value of a channel.
func mustWait[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s in %v", what, patience)
		panic("unreachable")
	}
}

// scanned is the data of the messages that match a filter.
func scanned(t *testing.T, s queue.Store, filter string) []string {
	t.Helper()
	var data []string
	for m, err := range s.Scan(t.Context(), filter) {
		if err != nil {
			t.Fatalf("scanning %s: %v", filter, err)
		}
		data = append(data, string(m.Data))
	}
	return data
}

func wantData(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v", got, want)
	}
}

// running is a Work or a Follow in the background.
type running struct {
	cancel context.CancelFunc
	ended  chan error
}

func start(t *testing.T, run func(ctx context.Context) error) running {
	ctx, cancel := context.WithCancel(t.Context())
	r := running{cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- run(ctx) }()
	t.Cleanup(cancel)
	return r
}

// stop ends it, and waits for it.
func (r running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := mustWait(t, r.ended, "end"); err != nil {
		t.Errorf("ended with %v, want nil", err)
	}
}

// numbered returns n messages for the work queue.
func numbered(n int) []queue.Message {
	var messages []queue.Message
	for i := range n {
		messages = append(messages, alert(fmt.Sprint(i)))
	}
	return messages
}

// Append stores messages, or fails the test.
func Append(t testing.TB, s queue.Store, messages ...queue.Message) {
	t.Helper()
	if err := s.Append(t.Context(), messages...); err != nil {
		t.Fatalf("appending: %v", err)
	}
}

// WantMessages wants a stream to hold so many messages now.
func WantMessages(t testing.TB, s queue.Store, stream string, want uint64) {
	t.Helper()
	got, err := s.Stats(t.Context(), stream)
	if err != nil || got.Messages != want {
		t.Errorf("%s: got %d messages, error %v, want %d", stream, got.Messages, err, want)
	}
}
