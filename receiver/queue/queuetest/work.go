package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"stanch/receiver/queue"
)

var engine = queue.Consumer{Stream: queue.Alerts, Name: "engine"}

// worker works in the background.
func worker(
	t *testing.T, s queue.Store, c queue.Consumer, handle func(context.Context, queue.Message) error,
) running {
	return start(t, func(ctx context.Context) error { return s.Work(ctx, c, handle) })
}

// telling returns a handler that settles everything, and says what it saw.
func telling() (func(context.Context, queue.Message) error, <-chan queue.Message) {
	saw := make(chan queue.Message, 1000)
	return func(_ context.Context, m queue.Message) error {
		saw <- m
		return nil
	}, saw
}

// datas is the data of the next n messages, sorted.
func datas(t *testing.T, saw <-chan queue.Message, n int) []string {
	t.Helper()
	var data []string
	for range n {
		data = append(data, string(mustWait(t, saw, "message").Data))
	}
	slices.Sort(data)
	return data
}

func testWorkSettles(t *testing.T, s queue.Store) {
	first := alert("1")
	first.ID = "id"
	Append(t, s, first)
	handle, saw := telling()
	r := worker(t, s, engine, handle)
	m := mustWait(t, saw, "message")
	if m.Subject != first.Subject || m.ID != first.ID || m.Seq != 1 || m.Delivered != 1 || m.Time.IsZero() {
		t.Errorf("got %+v, want the message, delivered once", m)
	}
	Append(t, s, alert("2"), alert("3"))
	wantData(t, "what comes", datas(t, saw, 2), "2", "3")
	r.stop(t)
	wantCount(t, s, queue.Alerts, 0)
}

// testWorkLater: Later brings a message back after the delay, delivered once more.
func testWorkLater(t *testing.T, s queue.Store) {
	Append(t, s, alert("1"))
	const delay = 300 * time.Millisecond
	times := make(chan time.Time, 10)
	r := worker(t, s, engine, func(_ context.Context, m queue.Message) error {
		if times <- time.Now(); m.Delivered < 3 {
			return fmt.Errorf("not yet: %w", &queue.Later{Delay: delay, Err: errors.New("try later")})
		}
		return nil
	})
	last := mustWait(t, times, "message")
	for range 2 {
		next := mustWait(t, times, "message again")
		if passed := next.Sub(last); passed < delay/2 {
			t.Errorf("came back after %v, want %v at least", passed, delay)
		}
		last = next
	}
	r.stop(t)
	wantCount(t, s, queue.Alerts, 0)
}

// testWorkError: an error brings a message back, and does not keep others waiting.
func testWorkError(t *testing.T, s queue.Store) {
	Append(t, s, alert("bad"), alert("good"))
	saw := make(chan string, 10)
	r := worker(t, s, engine, func(_ context.Context, m queue.Message) error {
		saw <- fmt.Sprint(string(m.Data), m.Delivered)
		if string(m.Data) == "bad" && m.Delivered == 1 {
			return errors.New("did not work")
		}
		return nil
	})
	wantSaw(t, saw, "bad1", "good1", "bad2")
	r.stop(t)
	wantCount(t, s, queue.Alerts, 0)
}

func testWorkPanic(t *testing.T, s queue.Store) {
	Append(t, s, alert("1"))
	handle, saw := telling()
	r := worker(t, s, engine, func(ctx context.Context, m queue.Message) error {
		if m.Delivered == 1 {
			panic("a value that might be a secret")
		}
		return handle(ctx, m)
	})
	if m := mustWait(t, saw, "message again"); m.Delivered != 2 {
		t.Errorf("delivered %d times, want 2", m.Delivered)
	}
	r.stop(t)
}

// testWorkManyWait: however many messages wait to come back, new ones are handled. NATS would stop at 1,000.
func testWorkManyWait(t *testing.T, s queue.Store) {
	const waiting = 1200
	Append(t, s, numbered(waiting)...)
	Append(t, s, alert("new"))
	handle, saw := telling()
	sent := make(chan struct{}, 2*waiting)
	c := engine
	c.Workers = 8
	r := worker(t, s, c, func(ctx context.Context, m queue.Message) error {
		if string(m.Data) == "new" {
			return handle(ctx, m)
		}
		sent <- struct{}{}
		return &queue.Later{Delay: time.Hour, Err: errors.New("tomorrow")}
	})
	mustWait(t, saw, "new message")
	for range waiting {
		mustWait(t, sent, "message")
	}
	r.stop(t)
	if len(sent) > 0 {
		t.Errorf("%d messages came back too early", len(sent))
	}
	wantCount(t, s, queue.Alerts, waiting)
}

// testWorkParallel: as many handlers run at once as there are workers, and no more.
func testWorkParallel(t *testing.T, s queue.Store) {
	const workers, messages = 4, 20
	Append(t, s, numbered(messages)...)
	var running, most atomic.Int32
	entered, leave := make(chan struct{}, messages), make(chan struct{})
	c := engine
	c.Workers = workers
	r := worker(t, s, c, func(context.Context, queue.Message) error {
		now := running.Add(1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		entered <- struct{}{}
		<-leave
		running.Add(-1)
		return nil
	})
	for range workers {
		mustWait(t, entered, "handler")
	}
	close(leave)
	for range messages - workers {
		mustWait(t, entered, "handler")
	}
	r.stop(t)
	if got := most.Load(); got != workers {
		t.Errorf("%d handlers at once, want %d", got, workers)
	}
	wantCount(t, s, queue.Alerts, 0)
}

func testWorkTwoNames(t *testing.T, s queue.Store) {
	Append(t, s, entry("a", "1"), entry("b", "2"))
	for _, name := range []string{"console", "slack"} {
		handle, saw := telling()
		r := worker(t, s, queue.Consumer{Stream: queue.Incidents, Name: name}, handle)
		wantData(t, name, datas(t, saw, 2), "1", "2")
		r.stop(t)
	}
	wantData(t, "log", scanned(t, s, queue.AllIncidents), "1", "2")
}

func testWorkOneConsumerAQueue(t *testing.T, s queue.Store) {
	Append(t, s, alert("1"))
	handle, saw := telling()
	r := worker(t, s, engine, handle)
	mustWait(t, saw, "message")
	r.stop(t)
	for _, c := range []queue.Consumer{
		{Stream: queue.Alerts, Name: "another"},
		{Stream: queue.Alerts, Name: "engine", New: true},
		{Stream: "ELSEWHERE", Name: "engine"},
	} {
		if err := s.Work(t.Context(), c, handle); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func testWorkNew(t *testing.T, s queue.Store) {
	Append(t, s, entry("a", "old"))
	c := queue.Consumer{Stream: queue.Incidents, Name: "console", New: true}
	// 1. The consumer starts with what comes after it was made, whether or not anybody works yet.
	for range 2 {
		if err := s.Prepare(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	Append(t, s, entry("b", "new"))
	handle, saw := telling()
	r := worker(t, s, c, handle)
	wantData(t, "at first", datas(t, saw, 1), "new")
	r.stop(t)
	// 2. Then it goes on where it stopped: New no longer matters.
	Append(t, s, entry("c", "meanwhile"))
	handle, saw = telling()
	r = worker(t, s, c, handle)
	wantData(t, "then", datas(t, saw, 1), "meanwhile")
	r.stop(t)
}

// testWorkDrains: when ctx ends, a running handler ends undisturbed, its message is settled, and no other is begun.
func testWorkDrains(t *testing.T, s queue.Store) {
	Append(t, s, numbered(5)...)
	entered, leave := make(chan context.Context, 5), make(chan struct{})
	r := worker(t, s, engine, func(ctx context.Context, _ queue.Message) error {
		entered <- ctx
		<-leave
		return ctx.Err()
	})
	ctx := mustWait(t, entered, "handler")
	r.cancel()
	if ctx.Err() != nil {
		t.Error("the handler was cancelled at once")
	}
	close(leave)
	r.stop(t)
	if len(entered) > 0 {
		t.Error("another handler was begun")
	}
	wantCount(t, s, queue.Alerts, 4)
	// What was on its way is not lost, and does not wait.
	handle, saw := telling()
	r = worker(t, s, engine, handle)
	wantData(t, "the rest", datas(t, saw, 4), "1", "2", "3", "4")
	r.stop(t)
}

func testWorkResumes(t *testing.T, s queue.Store) {
	c := queue.Consumer{Stream: queue.Incidents, Name: "console"}
	Append(t, s, entry("a", "1"), entry("a", "2"))
	handle, saw := telling()
	r := worker(t, s, c, handle)
	wantData(t, "at first", datas(t, saw, 2), "1", "2")
	r.stop(t)
	Append(t, s, entry("a", "3"))
	handle, saw = telling()
	r = worker(t, s, c, handle)
	wantData(t, "then", datas(t, saw, 1), "3")
	r.stop(t)
	if len(saw) > 0 {
		t.Errorf("got %q again", (<-saw).Data)
	}
}

// testWorkPostponed: however many messages wait for a verdict, what is new is handled; the verdict is what the handler
// would have returned.
func testWorkPostponed(t *testing.T, s queue.Store) {
	const waiting = 300
	Append(t, s, numbered(waiting)...)
	verdicts := make(chan chan error, waiting)
	saw := make(chan queue.Message, waiting)
	r := worker(t, s, engine, func(_ context.Context, m queue.Message) error {
		if string(m.Data) == "new" || m.Delivered > 1 {
			saw <- m
			return nil
		}
		verdict := make(chan error, 1)
		verdicts <- verdict
		return fmt.Errorf("gathering: %w", &queue.Postponed{Verdict: verdict})
	})
	var all []chan error
	for range waiting {
		all = append(all, mustWait(t, verdicts, "message"))
	}
	Append(t, s, alert("new"))
	if m := mustWait(t, saw, "new message"); string(m.Data) != "new" {
		t.Errorf("got %q, delivered %d times, before there was a verdict", m.Data, m.Delivered)
	}
	all[0] <- errors.New("once more")
	for _, verdict := range all[1:] {
		verdict <- nil
	}
	if m := mustWait(t, saw, "message again"); m.Delivered != 2 || len(m.Data) == 0 {
		t.Errorf("got %+v, want a message again, whole", m)
	}
	r.stop(t)
	wantCount(t, s, queue.Alerts, 0)
}

// testWorkPostponedEnds: what has no verdict when Work ends comes back to the next one at once.
func testWorkPostponedEnds(t *testing.T, s queue.Store) {
	Append(t, s, numbered(20)...)
	taken := make(chan struct{}, 20)
	r := worker(t, s, engine, func(context.Context, queue.Message) error {
		taken <- struct{}{}
		return &queue.Postponed{Verdict: make(chan error)}
	})
	for range 20 {
		mustWait(t, taken, "message")
	}
	r.stop(t)
	handle, saw := telling()
	r = worker(t, s, engine, handle)
	for range 20 {
		if m := mustWait(t, saw, "message again"); m.Delivered < 2 { // a worker that was about to end may have had it too
			t.Errorf("delivered %d times, want 2 at least", m.Delivered)
		}
	}
	r.stop(t)
	wantCount(t, s, queue.Alerts, 0)
}

// testWorkTrace: the handler works in the trace of whoever stored the message, and no other than that: alone, among many, in
// a batch, and in the log. Its delivery again is in the same. Without a trace there is none.
func testWorkTrace(t *testing.T, s queue.Store) {
	origin := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: trace.FlagsSampled,
	})
	traced := trace.ContextWithSpanContext(t.Context(), origin)
	many := numbered(50)
	if err := errors.Join(s.Append(traced, alert("one")), s.Append(traced, many[:2]...), s.Append(traced, many...)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AppendAfter(traced, entry("a", "step"), 0); err != nil {
		t.Fatal(err)
	}
	Append(t, s, alert("none"))
	saw := make(chan trace.SpanContext, 200)
	handle := func(ctx context.Context, m queue.Message) error {
		got := trace.SpanContextFromContext(ctx)
		if want := string(m.Data) != "none"; got.IsValid() != want {
			t.Errorf("%s: got trace %v, want one: %v", m.Data, got.TraceID(), want)
		}
		if saw <- got; string(m.Data) == "one" && m.Delivered == 1 {
			return &queue.Later{Err: errors.New("again")}
		}
		return nil
	}
	alerts := worker(t, s, engine, handle)
	log := worker(t, s, queue.Consumer{Stream: queue.Incidents, Name: "console"}, handle)
	for range len(many) + 6 {
		got := mustWait(t, saw, "message")
		if got.IsValid() && (!got.Equal(origin.WithRemote(true)) || !got.IsRemote()) {
			t.Errorf("got span %v of trace %v, remote %v", got.SpanID(), got.TraceID(), got.IsRemote())
		}
	}
	alerts.stop(t)
	log.stop(t)
}
