package deliver_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"stanch/notify/deliver"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// reconcileOf is where the trace of a reconcile stood when it wrote to the log.
func reconcileOf(i int) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, byte(i)}, SpanID: trace.SpanID{2, byte(i)}, TraceFlags: trace.FlagsSampled,
	})
}

// TestTrace: a notice is below the reconcile that it tells of; a group is a trace of its own and links to theirs.
func TestTrace(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	const alone, all = 10, 15
	synctest.Test(t, func(t *testing.T) {
		store, c := memory.New(), &channel{}
		stop := start(t, deliver.Config{
			Store: store, Registerer: prometheus.NewRegistry(), Tracer: tracer, Settings: calmSettings(map[string]*channel{"c": c}),
		})
		for i, e := range burst(all, nil) {
			logIn(t, store, reconcileOf(i), e)
		}
		time.Sleep(time.Hour)
		stop()
	})
	linked := map[trace.SpanID]bool{}
	below := map[trace.SpanID]bool{}
	for _, s := range recorder.Ended() {
		if s.Name() != "notice" {
			t.Errorf("got a span %s", s.Name())
		}
		if s.Parent().IsValid() {
			below[s.Parent().SpanID()] = s.Parent().TraceID() == s.SpanContext().TraceID()
		}
		for _, link := range s.Links() {
			linked[link.SpanContext.SpanID()] = link.SpanContext.TraceID() != s.SpanContext().TraceID()
		}
	}
	if len(recorder.Ended()) != alone+1 || len(below) != alone || len(linked) != all-alone {
		t.Errorf("got %d spans, %d below a reconcile, with %d links", len(recorder.Ended()), len(below), len(linked))
	}
	for i := range all {
		if id := reconcileOf(i).SpanID(); below[id] == linked[id] {
			t.Errorf("reconcile %d: a notice is below it: %v, linked to it: %v", i, below[id], linked[id])
		}
	}
}

// logIn appends an entry to the log in a trace.
func logIn(t *testing.T, store queue.Store, at trace.SpanContext, e leak.Entry) {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	ctx := trace.ContextWithSpanContext(t.Context(), at)
	if err := store.Append(ctx, queue.Message{Subject: queue.IncidentSubject(e.Incident.ID), Data: data}); err != nil {
		t.Fatal(err)
	}
}
