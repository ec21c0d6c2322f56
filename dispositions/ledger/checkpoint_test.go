package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stanch/dispositions/ledger"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// outside is what lies outside the store: the lines of the log.
type outside chan string

func (o outside) Write(line []byte) (int, error) {
	o <- string(line)
	return len(line), nil
}

func (o outside) log() *slog.Logger { return slog.New(slog.NewJSONHandler(o, nil)) }

// line waits for the next line, and reads it.
func (o outside) line(t *testing.T) (read struct {
	Msg, Err, Hash string
	Seq, Count     uint64
},
) {
	t.Helper()
	select {
	case line := <-o:
		if err := json.Unmarshal([]byte(line), &read); err != nil {
			t.Fatal(err)
		}
	case <-time.After(2 * time.Minute): // longer than anything but what hangs
		t.Fatal("no line comes")
	}
	return read
}

// making makes checkpoints until it is told to stop.
func making(t *testing.T, store queue.Store) (lines outside, stop func()) {
	t.Helper()
	lines = make(outside, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ledger.NewCheckpoints(store, lines.log()).Run(ctx) }()
	return lines, func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// checkpointed makes a checkpoint of a store that has grown since the last one.
func checkpointed(t *testing.T, store queue.Store) ledger.Checkpoint {
	t.Helper()
	lines, stop := making(t, store)
	defer stop()
	told := lines.line(t)
	c, err := ledger.ParseCheckpoint(fmt.Sprintf("%d:%s", told.Seq, told.Hash))
	if told.Msg != "checkpoint" || told.Count != told.Seq || err != nil {
		t.Fatalf("got %+v, %v", told, err)
	}
	return c
}

// grow adds entries to an incident of its own.
func grow(t *testing.T, store queue.Store, id string, entries int) {
	t.Helper()
	l, head := ledger.New(store), ledger.Head{}
	for n := range entries {
		head = appended(t, l, head, incident(id, leak.Open), step(leak.Seen, fmt.Sprint(n)))
	}
}

// TestCheckpointsGoOn makes them in several lives of a process: each is that of the whole log, and none is made twice.
func TestCheckpointsGoOn(t *testing.T) {
	onEachStore(t, func(t *testing.T, store queue.Store) {
		var logged []ledger.Checkpoint
		for n := range 3 {
			grow(t, store, fmt.Sprint("a", n), 5)
			logged = append(logged, checkpointed(t, store))
			lines, stop := making(t, store) // a life in which nothing comes
			stop()
			if len(lines) > 0 {
				t.Errorf("said %s", <-lines)
			}
		}
		audit, err := ledger.Verify(t.Context(), store, logged, func(uint64, uint64) {})
		if err != nil || audit.Checkpoints != 3 || audit.Logged != 3 || len(audit.Problems) > 0 || audit.Last.String() != logged[2].String() {
			t.Errorf("got %+v, %v", audit, err)
		}
	})
}

// TestCheckpointsInTime: one comes after a thousand entries, or five minutes after an entry, and at the end.
func TestCheckpointsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		lines, stop := making(t, store)
		synctest.Wait()
		want := func(seqs ...uint64) {
			t.Helper()
			synctest.Wait()
			for _, seq := range seqs {
				if got := lines.line(t); got.Seq != seq {
					t.Errorf("got one of entry %d, want %d", got.Seq, seq)
				}
			}
			if len(lines) > 0 {
				t.Errorf("said %s", <-lines)
			}
		}
		grow(t, store, "a", 999)
		want()
		grow(t, store, "b", 1)
		want(1000)
		time.Sleep(time.Hour)
		want()
		grow(t, store, "c", 3)
		want()
		time.Sleep(5 * time.Minute)
		want(1003)
		grow(t, store, "d", 2)
		want()
		stop()
		want(1005)
	})
}

// TestCheckpointsOfSeveral: engines that share a store make one row of checkpoints, and each is logged.
func TestCheckpointsOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var logs []outside
		var stops []func()
		for range 4 {
			lines, stop := making(t, store)
			logs, stops = append(logs, lines), append(stops, stop)
		}
		synctest.Wait() // until each has read the log as it is
		for n := range 10 {
			grow(t, store, fmt.Sprint("a", n), 3)
			time.Sleep(6 * time.Minute)
			synctest.Wait()
		}
		for _, stop := range stops {
			stop()
		}
		seen := map[uint64]bool{}
		for _, lines := range logs {
			for len(lines) > 0 {
				told := lines.line(t)
				if told.Msg != "checkpoint" {
					t.Errorf("said %+v", told)
				}
				seen[told.Seq] = true
			}
		}
		audit, err := ledger.Verify(t.Context(), store, nil, func(uint64, uint64) {})
		if err != nil || len(audit.Problems) > 0 || audit.Checkpoints != 10 || audit.Uncovered != 0 || len(seen) != 10 {
			t.Errorf("got %+v, %v; logged %v", audit, err, seen)
		}
	})
}

// TestCheckpointAfterALostAnswer: the one that was stored is logged.
func TestCheckpointAfterALostAnswer(t *testing.T) {
	store := memory.New()
	grow(t, store, "a1", 3)
	if c := checkpointed(t, lossy{store}); c.Seq != 3 {
		t.Errorf("got %v", c)
	}
}

// clockless is a store whose clock went back: asked for what came since a time, it has missed something.
type clockless struct{ queue.Store }

func (c clockless) Follow(
	ctx context.Context, filter string, since time.Time, caughtUp func(), handle func(queue.Message) error,
) error {
	return c.Store.Follow(ctx, filter, since, caughtUp, func(m queue.Message) error {
		if !since.IsZero() && m.Seq == 5 {
			return nil
		}
		return handle(m)
	})
}

// TestCheckpointsAfterTheClockWentBack reads everything again, and goes on rightly.
func TestCheckpointsAfterTheClockWentBack(t *testing.T) {
	store := memory.New()
	grow(t, store, "a1", 3)
	checkpointed(t, store)
	grow(t, store, "b2", 4)
	if c := checkpointed(t, clockless{store}); c.Seq != 7 {
		t.Errorf("got %v", c)
	}
	audit, err := ledger.Verify(t.Context(), store, nil, func(uint64, uint64) {})
	if err != nil || len(audit.Problems) > 0 || audit.Uncovered != 0 {
		t.Errorf("got %+v, %v", audit, err)
	}
}

// TestNoCheckpointsOfABrokenLog: a log that does not fit its newest checkpoint is told, and covered up by no other one.
func TestNoCheckpointsOfABrokenLog(t *testing.T) {
	for name, forge := range map[string]func(b *book){
		"cut":        func(b *book) { b.entries = b.entries[:19] },
		"damaged":    func(b *book) { b.checkpoints[2].Data = []byte("{") },
		"short hash": func(b *book) { b.checkpoints[2].Data = []byte(`{"v":1,"seq":20,"count":20,"hash":"0a"}`) },
		"odd hash": func(b *book) {
			b.checkpoints[2].Data = fmt.Appendf(nil, `{"v":1,"seq":20,"count":20,"hash":"%s0"}`, strings.Repeat("0a", 32))
		},
		"damaged hash":      func(b *book) { b.checkpoints[2].Data = []byte(`{"v":1,"seq":20,"count":20,"hash":"xyz"}`) },
		"of another engine": nil,
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			store := memory.New()
			if forge == nil {
				b.checkpoints = nil
			} else {
				forge(b)
			}
			for _, m := range append(b.entries, b.checkpoints...) {
				if err := store.Append(t.Context(), queue.Message{Subject: m.Subject, Data: m.Data}); err != nil {
					t.Fatal(err)
				}
			}
			var running queue.Store = store
			if forge == nil {
				running = first{store, []byte(`{"v":1,"seq":20,"count":20,"hash":"` + strings.Repeat("0", 64) + `"}`)}
			}
			lines, stop := making(t, running)
			if told := lines.line(t); !strings.Contains(told.Msg, "does not fit its checkpoints") || told.Err == "" {
				t.Errorf("said %+v", told)
			}
			made := len(all(t, store, queue.CheckpointSubject))
			grow(t, store, "more", 10)
			stop()
			if now := len(all(t, store, queue.CheckpointSubject)); now != made || len(lines) > 0 {
				t.Errorf("%d checkpoints became %d, and %d lines", made, now, len(lines))
			}
		})
	}
}

// first is a store on which somebody else writes first.
type first struct {
	queue.Store
	data []byte
}

func (f first) AppendAfter(ctx context.Context, m queue.Message, last uint64) (uint64, error) {
	if err := f.Append(ctx, queue.Message{Subject: m.Subject, Data: f.data}); err != nil {
		return 0, err
	}
	return f.Store.AppendAfter(ctx, m, last)
}

func TestParseCheckpoint(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	for text, want := range map[string]string{
		"17:" + hash:                  "17:" + hash,
		"17:" + strings.ToUpper(hash): "17:" + hash,
		"17":                          "", "17:": "", "17:0a": "", ":" + hash: "", "-1:" + hash: "", "0:" + hash: "", "x:" + hash: "", "17:" + hash + "0a": "",
		"17:" + hash + "0": "", "17:" + hash[1:] + "x": "", "99999999999999999999:" + hash: "",
	} {
		got, err := ledger.ParseCheckpoint(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

// mute is a store that cannot be read, though written.
type mute struct{ queue.Store }

var errMute = errors.New("the store is mute")

func (mute) Last(context.Context, string) (queue.Message, error) { return queue.Message{}, errMute }

// TestCheckpointsOfAStoreThatCannotBeRead: it is an error, unless the process ends anyway.
func TestCheckpointsOfAStoreThatCannotBeRead(t *testing.T) {
	checkpoints := ledger.NewCheckpoints(mute{memory.New()}, slog.New(slog.DiscardHandler))
	if err := checkpoints.Run(t.Context()); !errors.Is(err, errMute) {
		t.Errorf("got %v, want %v", err, errMute)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := checkpoints.Run(ended); err != nil {
		t.Errorf("got %v at the end of the process, want nil", err)
	}
}
