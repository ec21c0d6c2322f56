package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
	"stanch/receiver/queue/queuetest"
)

// many are n messages for one subject.
func many(subject string, n, size int) []queue.Message {
	messages := make([]queue.Message, n)
	for i := range messages {
		data := fmt.Append(nil, i, " ")
		messages[i] = queue.Message{Subject: subject, Data: append(data, make([]byte, max(0, size-len(data)))...)}
	}
	return messages
}

// batchesOf returns to which batches the messages of a stream in a closed store belong, and how many of each.
func batchesOf(t *testing.T, dir, stream string) map[string]int {
	t.Helper()
	batches := make(map[string]int)
	tamper(t, dir, func(js jetstream.JetStream) error {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			return err
		}
		for seq := range s.CachedInfo().State.LastSeq {
			m, err := s.GetMsg(t.Context(), seq+1)
			if err != nil {
				return err
			}
			batches[m.Header.Get("Nats-Batch-Id")]++
		}
		return nil
	})
	return batches
}

// TestEmbeddedBatches: many messages of one Append go as few batches, and a few go by themselves.
func TestEmbeddedBatches(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir()}
	s := mustReopen(t, c)
	queuetest.Append(t, s, many("alerts.gh", 3, 10)...)
	queuetest.Append(t, s, many("alerts.gh", 1500, 10)...)
	queuetest.Append(t, s, many("incidents.f", 100, 10)...)
	mustClose(t, s)
	batches := batchesOf(t, c.Dir, queue.Alerts)
	if alone := batches[""]; alone != 3 || len(batches) != 3 {
		t.Errorf("got %d messages by themselves and %d batches, want 3 and 2", alone, len(batches)-1)
	}
	if batches := batchesOf(t, c.Dir, queue.Incidents); len(batches) != 1 || batches[""] != 0 {
		t.Errorf("the log has the batches %v, want one", batches)
	}
}

// TestEmbeddedGroups: single messages that are stored at the same time go by the batch.
func TestEmbeddedGroups(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir()}
	s := mustReopen(t, c)
	const writers = 500
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			m := queue.Message{Subject: fmt.Sprint("incidents.", w), Data: []byte("x")}
			if _, err := s.AppendAfter(t.Context(), m, 0); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	mustClose(t, s)
	if batches := batchesOf(t, c.Dir, queue.Incidents); batches[""] > writers/2 {
		t.Errorf("%d of %d messages went by themselves", batches[""], writers)
	}
}

// TestEmbeddedBatchRefused: one message that the server refuses does not keep the others out, and is an error.
func TestEmbeddedBatchRefused(t *testing.T) {
	t.Parallel()
	s := open(t, embedded.Config{})
	messages := many("alerts.gh", 40, 10)
	messages[20].ID = strings.Repeat("x", queue.MaxAlertSize+8<<10)
	err := s.Append(t.Context(), messages...)
	if !errors.Is(err, queue.ErrTooLarge) || !strings.Contains(err.Error(), "39 of 40 messages") {
		t.Errorf("got error %v, want %v of 39 of 40 messages", err, queue.ErrTooLarge)
	}
	queuetest.WantMessages(t, s, queue.Alerts, 39)
}

// TestEmbeddedFullInTheMiddle: when the store becomes full on the way, the error says how many messages were stored.
func TestEmbeddedFullInTheMiddle(t *testing.T) {
	t.Parallel()
	s := open(t, embedded.Config{MaxStore: 16 << 20}) // 2 MiB of alerts
	for _, n := range []int{2500, 100} {
		before, err := s.Stats(t.Context(), queue.Alerts)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Append(t.Context(), many("alerts.gh", n, 1<<10)...)
		after, statsErr := s.Stats(t.Context(), queue.Alerts)
		if statsErr != nil {
			t.Fatal(statsErr)
		}
		stored := after.Messages - before.Messages
		want := fmt.Sprintf("%d of %d messages", stored, n)
		if !errors.Is(err, queue.ErrFull) || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %v of %s", err, queue.ErrFull, want)
		}
		if before.Messages == 0 && stored <= 1000 {
			t.Errorf("%d messages were stored, want the first batch and more", stored)
		}
	}
}

// TestEmbeddedStopped: a caller that gives up gets an error, and does not keep the next one from storing.
func TestEmbeddedStopped(t *testing.T) {
	t.Parallel()
	s := open(t, embedded.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Append(ctx, many("alerts.gh", 100, 10)...); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	queuetest.Append(t, s, many("dead.gh", 100, 10)...)
	queuetest.WantMessages(t, s, queue.Dead, 100)
}

// TestEmbeddedWithoutBatches: a store whose streams take no batches yet is adjusted when it is opened.
func TestEmbeddedWithoutBatches(t *testing.T) {
	t.Parallel()
	c := embedded.Config{Dir: t.TempDir()}
	stored(t, c)
	tamper(t, c.Dir, func(js jetstream.JetStream) error {
		s, err := js.Stream(t.Context(), queue.Alerts)
		if err != nil {
			return err
		}
		config := s.CachedInfo().Config
		config.AllowAtomicPublish = false
		_, err = js.UpdateStream(t.Context(), config)
		return err
	})
	wantStep(t, c)
	s := mustReopen(t, c)
	queuetest.Append(t, s, many("alerts.gh", 100, 10)...)
	mustClose(t, s)
	if batches := batchesOf(t, c.Dir, queue.Alerts); len(batches) != 1 || batches[""] != 0 {
		t.Errorf("got the batches %v, want one", batches)
	}
}

// TestEmbeddedBehindABatch: when part of a batch was settled, the server does not take the rest for a batch that was cut off:
// the store opens with exactly that, and logs no error.
func TestEmbeddedBehindABatch(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	c := embedded.Config{Dir: t.TempDir(), MaxStore: 4 << 20} // a file of the server holds six messages
	s := mustReopen(t, c)
	queuetest.Append(t, s, many("alerts.gh", 20, 20_000)...)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	seen := 0
	err := s.Work(ctx, queue.Consumer{Stream: queue.Alerts, Name: "engine"}, func(_ context.Context, m queue.Message) error {
		if seen++; seen == 20 {
			cancel()
		}
		if m.Seq <= 6 {
			return &queue.Later{Delay: time.Hour, Err: errors.New("later")}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("working: %v", err)
	}
	mustClose(t, s)
	c.Log = slog.New(slog.NewJSONHandler(&text, nil))
	if s, err = embedded.Open(t.Context(), c); err != nil {
		t.Fatalf("opening again: %v", err)
	}
	queuetest.WantMessages(t, s, queue.Alerts, 6)
	mustClose(t, s)
	if log := text.String(); log != "" {
		t.Errorf("got the log %s, want none", log)
	}
}
