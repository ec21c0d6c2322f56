package admit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stanch/dispositions/admit"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

func TestRate(t *testing.T) {
	for text, want := range map[string]admit.Rate{
		"20": {Times: 20, Per: time.Second}, "0.5": {Times: 0.5, Per: time.Second}, "20/s": {Times: 20, Per: time.Second},
		"600/min": {Times: 600, Per: time.Minute}, "60/h": {Times: 60, Per: time.Hour},
	} {
		var got admit.Rate
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, err, want)
		}
		var again admit.Rate
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q is written as %q, and read as %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "60/d", "60/", "/h", "NaN", "Inf", "1e300", "60 / h", "60/h/h"} {
		var got admit.Rate
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// FuzzRate: what is read is positive, and reads the same when it is written.
func FuzzRate(f *testing.F) {
	for _, s := range []string{"20", "600/min", "60/h", "0.5/s", "-1", "1/d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var r, again admit.Rate
		if r.UnmarshalText([]byte(s)) != nil {
			return
		}
		if r.Times <= 0 || r.Per <= 0 {
			t.Errorf("%q is read as %+v", s, r)
		}
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Errorf("%q is written as %q, and read as %+v, %v", s, r, again, err)
		}
	})
}

func TestPostpone(t *testing.T) {
	plain := errors.New("a failure")
	for _, row := range []struct {
		err  error
		want time.Duration // 0: it is not postponed
	}{
		{plain, 0},
		{&leak.Throttled{After: 30 * time.Second, Err: plain}, 30 * time.Second},
		{&leak.Throttled{After: -time.Second, Err: plain}, time.Second},
		{&leak.Throttled{After: 1000 * time.Hour, Err: plain}, 5 * time.Minute},
		{fmt.Errorf("asking: %w", &leak.Throttled{After: 2 * time.Second, Err: plain}), 2 * time.Second},
	} {
		got := admit.Postpone(row.err)
		later, postponed := errors.AsType[*queue.Later](got)
		if postponed != (row.want > 0) || postponed && later.Delay != row.want || admit.Postponed(got) != postponed {
			t.Errorf("%v: got %v, want a delay of %v", row.err, got, row.want)
		}
		if !errors.Is(got, plain) {
			t.Errorf("%v: the failure is lost", got)
		}
	}
}

// TestAttempts: a delivery that was no attempt does not bring a page nearer.
func TestAttempts(t *testing.T) {
	var a admit.Attempts
	idle := &queue.Later{Err: fmt.Errorf("waiting: %w", admit.ErrNotAttempted)}
	var pages []bool
	for delivered := range 8 {
		err := errors.New("a failure")
		if delivered < 3 {
			err = idle
		}
		m := queue.Message{Subject: "alerts.gh", Seq: 7}
		m.Delivered = delivered + 1
		_ = a.Try(m, func(lastTry bool) error { pages = append(pages, lastTry); return err })
	}
	if want := []bool{false, false, false, false, false, false, true, true}; !slices.Equal(pages, want) {
		t.Errorf("got %v, want %v", pages, want)
	}
}

var able = leak.Abilities{Disable: true, Delete: true}

func leaked(n int, account string) leak.Incident {
	return leak.Incident{ID: leak.Fingerprint(fmt.Sprint(n)), Issuer: "ibm", Key: leak.Key{Account: account}}
}

func TestFuse(t *testing.T) {
	begun := time.Unix(1e9, 0)
	f := admit.NewFuse(admit.FuseLimit{Max: 2, Per: time.Minute})
	want := func(n int, account string, action leak.Action, able leak.Abilities, after time.Duration, want admit.Verdict) {
		t.Helper()
		if got := f.Admit(leaked(n, account), action, able, begun.Add(after)); got != want {
			t.Errorf("incident %d, %s %s: got %+v, want %+v", n, account, action, got, want)
		}
	}
	for n := range 2 {
		want(n, "acme", leak.Delete, able, 0, admit.Verdict{Action: leak.Delete})
	}
	want(1, "acme", leak.Delete, able, 0, admit.Verdict{Action: leak.Delete}) // the same again
	want(2, "acme", leak.Delete, able, 0, admit.Verdict{Action: leak.Disable})
	want(3, "acme", leak.Disable, able, 0, admit.Verdict{Action: leak.Disable})
	want(4, "acme", leak.Disable, able, 0, admit.Verdict{Action: leak.Disable, Held: true})
	want(5, "acme", leak.Delete, able, time.Second, admit.Verdict{Action: leak.Disable, Held: true, Told: true})
	want(6, "other", leak.Delete, able, time.Second, admit.Verdict{Action: leak.Delete})
	want(7, "acme", leak.Delete, able, 2*time.Minute, admit.Verdict{Action: leak.Delete})
}

// TestFuseWithoutDisable: at an issuer that cannot disable, a delete past the fuse is held, and never becomes a disable.
func TestFuseWithoutDisable(t *testing.T) {
	f, now := admit.NewFuse(admit.FuseLimit{Max: 1, Per: time.Minute}), time.Unix(1e9, 0)
	final := leak.Abilities{Delete: true}
	f.Admit(leaked(1, "acme"), leak.Delete, final, now)
	if got := f.Admit(leaked(2, "acme"), leak.Delete, final, now); got != (admit.Verdict{Action: leak.Delete, Held: true}) {
		t.Errorf("got %+v, want a delete that is held", got)
	}
}

// TestFuseIsReadBack: what the log says counts as if this engine had done it.
func TestFuseIsReadBack(t *testing.T) {
	f, now := admit.NewFuse(admit.FuseLimit{Max: 1, Per: time.Minute}), time.Unix(1e9, 0)
	done := leaked(1, "acme")
	done.Intended = leak.Disable
	f.Note(leak.Entry{Incident: done, Steps: []leak.Step{{Step: leak.Intended, At: now}}})
	held := leaked(2, "acme")
	held.Rule, held.Action = leak.RuleFuse, leak.Disable
	f.Note(leak.Entry{Incident: held, Steps: []leak.Step{{Step: leak.HeldBack, At: now}}})
	if got := f.Admit(leaked(3, "acme"), leak.Disable, able, now); !got.Held || !got.Told {
		t.Errorf("got %+v, want it held, and told already", got)
	}
}

// TestLimiter: a limiter has as many slots as it may, and who finds none goes back without having tried.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admit.NewLimiter(t.Context(), admit.Limit{InFlight: 2})
		first, err := l.Acquire(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		_, err = l.Acquire(t.Context(), 1)
		if !admit.Postponed(err) || !errors.Is(err, admit.ErrNotAttempted) {
			t.Errorf("got %v, want that it comes back", err)
		}
		first()
		if _, err := l.Acquire(t.Context(), 1); err != nil {
			t.Errorf("a slot was released, and got %v", err)
		}
	})
}

// TestLimiterAlone: where there is no other issuer, who finds no slot waits for one.
func TestLimiterAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admit.NewLimiter(t.Context(), admit.Limit{InFlight: 1, Alone: true})
		release, _ := l.Acquire(t.Context(), 1)
		time.AfterFunc(time.Hour, release)
		begun := time.Now()
		if _, err := l.Acquire(t.Context(), 1); err != nil || time.Since(begun) != time.Hour {
			t.Errorf("got %v after %s", err, time.Since(begun))
		}
	})
}

// TestLimiterEnds: when the settings are replaced, whoever waits goes back.
func TestLimiterEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over, end := context.WithCancel(t.Context())
		l := admit.NewLimiter(over, admit.Limit{InFlight: 1, Alone: true, Rate: admit.Rate{Times: 1, Per: time.Hour}})
		_, _ = l.Acquire(t.Context(), 1)
		time.AfterFunc(time.Minute, end)
		if _, err := l.Acquire(t.Context(), 1); !admit.Postponed(err) {
			t.Errorf("got %v, want that it comes back", err)
		}
	})
}

// TestPauses: a call that is refused for now is made again after the pause, nobody calls during it, and a long one goes back.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admit.NewLimiter(t.Context(), admit.Limit{InFlight: 8})
		calls, begun := 0, time.Now()
		err := l.Do(t.Context(), func() error {
			if calls++; calls < 3 {
				return &leak.Throttled{After: 2 * time.Second, Err: errors.New("429")}
			}
			return nil
		})
		if err != nil || calls != 3 || time.Since(begun) != 4*time.Second {
			t.Errorf("got %v after %d calls and %s", err, calls, time.Since(begun))
		}
		_ = l.Do(t.Context(), func() error { return &leak.Throttled{After: time.Minute, Err: errors.New("429")} })
		called := false
		err = l.Do(t.Context(), func() error { called = true; return nil })
		if later, ok := errors.AsType[*queue.Later](err); !ok || called || later.Delay != time.Minute {
			t.Errorf("during a pause of a minute: got %v, called %v", err, called)
		}
	})
}

// TestConcurrencyAdapts: the limit halves when the issuer is asked too much, once a pause, and grows again.
func TestConcurrencyAdapts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admit.NewLimiter(t.Context(), admit.Limit{InFlight: 16})
		free := func() (n int) {
			var all []func()
			for {
				release, err := l.Acquire(t.Context(), 1)
				if err != nil {
					break
				}
				all = append(all, release)
			}
			n = len(all)
			for _, release := range all {
				release()
			}
			return n
		}
		if n := free(); n != 16 {
			t.Errorf("%d slots to begin with, want 16", n)
		}
		for range 3 { // answers to calls that were under way together
			_ = l.Do(t.Context(), func() error { return &leak.Throttled{After: 10 * time.Second, Err: errors.New("429")} })
		}
		if n := free(); n != 8 {
			t.Errorf("%d slots after a pause, want 8", n)
		}
		for range 40 {
			free()
		}
		if n := free(); n != 16 {
			t.Errorf("%d slots after many passes, want 16", n)
		}
	})
}

// TestBatch: the first goes at once, and what comes meanwhile goes together, so much as one call takes.
func TestBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		b := admit.NewBatch(t.Context(), 3, admit.Rate{Times: 60, Per: time.Hour}, func(_ context.Context, items []int) []error {
			sizes = append(sizes, len(items))
			time.Sleep(time.Second)
			answers := make([]error, len(items))
			for i, n := range items {
				if n == 4 {
					answers[i] = errors.New("a bad one")
				}
			}
			return answers
		})
		var group sync.WaitGroup
		var failed sync.Map
		begun := time.Now()
		for n := range 6 {
			group.Go(func() {
				time.Sleep(time.Duration(n) * time.Millisecond)
				if err := b.Do(t.Context(), n); err != nil {
					failed.Store(n, err)
				}
			})
		}
		group.Wait()
		if !slices.Equal(sizes, []int{1, 3, 2}) {
			t.Errorf("got calls of %v, want 1, 3 and 2", sizes)
		}
		if took := time.Since(begun); took != 2*time.Minute+time.Second {
			t.Errorf("three calls at 60 an hour took %s", took)
		}
		failed.Range(func(n, _ any) bool {
			if n != 4 {
				t.Errorf("%v failed with its neighbour", n)
			}
			return true
		})
		if _, ok := failed.Load(4); !ok {
			t.Error("a bad one was accepted")
		}
	})
}

// TestBatchAnswersAll: a call that answers for other than its keys leaves each of them unresolved, and the end of the settings
// ends the waiting.
func TestBatchAnswersAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over, end := context.WithCancel(t.Context())
		b := admit.NewBatch(over, 10, admit.Rate{}, func(context.Context, []int) []error { return nil })
		if err := b.Do(t.Context(), 1); err == nil {
			t.Error("no answer is taken for success")
		}
		end()
		if err := b.Do(t.Context(), 1); err == nil {
			t.Error("a call was made after the end")
		}
	})
}

// TestRestGrows: what finds no slot rests longer each time, up to a bound.
func TestRestGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admit.NewLimiter(t.Context(), admit.Limit{InFlight: 1})
		_, _ = l.Acquire(t.Context(), 1)
		for delivered, rest := range map[int]time.Duration{
			0: 2 * time.Second, 1: 2 * time.Second, 2: 4 * time.Second, 4: 16 * time.Second, 6: 64 * time.Second, 50: 64 * time.Second,
		} {
			for range 20 {
				_, err := l.Acquire(t.Context(), delivered)
				later, ok := errors.AsType[*queue.Later](err)
				if !ok || later.Delay < rest/2 || later.Delay >= rest/2+rest {
					t.Fatalf("delivered %d times: got %v, want a rest of about %s", delivered, err, rest)
				}
			}
		}
	})
}

// TestCallsAreBounded: a call that goes on being refused for now fails after four, and a pause of exactly five seconds is waited for.
func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admit.NewLimiter(t.Context(), admit.Limit{InFlight: 1})
		calls, begun := 0, time.Now()
		err := l.Do(t.Context(), func() error {
			calls++
			return &leak.Throttled{After: 5 * time.Second, Err: errors.New("429")}
		})
		if admit.Pause(err) != 5*time.Second || calls != 4 || time.Since(begun) != 15*time.Second {
			t.Errorf("got %v after %d calls and %s, want four in 15 s", err, calls, time.Since(begun))
		}
	})
}

// TestRateAllowsASecondsWorth: as many as a second allows go at once, and the next ones in even steps.
func TestRateAllowsASecondsWorth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			rate  admit.Rate
			first int
			step  time.Duration
		}{
			{admit.Rate{Times: 4}, 4, 250 * time.Millisecond},
			{admit.Rate{Times: 240, Per: time.Minute}, 4, 250 * time.Millisecond},
			{admit.Rate{Times: 30, Per: time.Minute}, 1, 2 * time.Second},
		} {
			l := admit.NewLimiter(t.Context(), admit.Limit{InFlight: 10, Rate: row.rate, Alone: true})
			begun := time.Now()
			for range row.first {
				_, _ = l.Acquire(t.Context(), 1)
			}
			if took := time.Since(begun); took != 0 {
				t.Errorf("%s: the first %d took %s", row.rate, row.first, took)
			}
			_, _ = l.Acquire(t.Context(), 1)
			if took := time.Since(begun).Round(time.Millisecond); took != row.step {
				t.Errorf("%s: the next one came after %s, want %s", row.rate, took, row.step)
			}
		}
	})
}

// TestConcurrencyGrowsByOne: after a pause each round of passes adds one slot, and no more.
func TestConcurrencyGrowsByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := admit.NewLimiter(t.Context(), admit.Limit{InFlight: 16})
		_ = l.Do(t.Context(), func() error { return &leak.Throttled{After: 10 * time.Second, Err: errors.New("429")} })
		held := []func(){}
		for {
			release, err := l.Acquire(t.Context(), 1)
			if err != nil {
				break
			}
			held = append(held, release)
		}
		if len(held) != 8 {
			t.Fatalf("%d slots after a pause, want 8", len(held))
		}
		for round := 8; round < 12; round++ {
			for range round - 1 { // one pass less than a round
				held[0]()
				release, err := l.Acquire(t.Context(), 1)
				if err != nil {
					t.Fatal(err)
				}
				held[0] = release
			}
			if _, err := l.Acquire(t.Context(), 1); err == nil {
				t.Fatalf("a slot was added before %d passes had ended", round)
			}
			held[0]()
			held[0], _ = l.Acquire(t.Context(), 1)
			release, err := l.Acquire(t.Context(), 1)
			if err != nil {
				t.Fatalf("no slot was added after %d passes", round)
			}
			held = append(held, release)
		}
	})
}

// TestFuseForgets: what was spent counts until exactly the time has passed.
func TestFuseForgets(t *testing.T) {
	begun := time.Unix(1e9, 0)
	for after, held := range map[time.Duration]bool{time.Minute - 1: true, time.Minute: false} {
		f := admit.NewFuse(admit.FuseLimit{Max: 1, Per: time.Minute})
		f.Admit(leaked(1, "acme"), leak.Disable, able, begun)
		if got := f.Admit(leaked(2, "acme"), leak.Disable, able, begun.Add(after)); got.Held != held {
			t.Errorf("after %s: got %+v, want held %v", after, got, held)
		}
	}
}

// TestBatchFailsForAll: a call that cannot be made fails for everybody who waits for it.
func TestBatchFailsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over, end := context.WithCancel(t.Context())
		b := admit.NewBatch(over, 10, admit.Rate{Times: 1, Per: time.Hour}, func(_ context.Context, items []int) []error {
			return make([]error, len(items))
		})
		_ = b.Do(t.Context(), 0)
		var group sync.WaitGroup
		for n := range 5 {
			group.Go(func() {
				if err := b.Do(t.Context(), n); err == nil {
					t.Error("a call was made after the end")
				}
			})
		}
		time.AfterFunc(time.Minute, end)
		group.Wait()
	})
}
