package span_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"stanch/receiver/queue/span"
)

// recording returns a tracer, and what it has recorded.
func recording(t testing.TB, s sdktrace.Sampler) (trace.Tracer, func() []sdktrace.ReadOnlySpan) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder), sdktrace.WithSampler(s))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return provider.Tracer(span.Scope), recorder.Ended
}

// stranger is a trace context from outside.
func stranger(flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{9}, SpanID: trace.SpanID{9}, TraceFlags: flags, Remote: true,
	})
}

// TestWay follows a delivery to its reconcile, as the processes of two roles see it.
func TestWay(t *testing.T) {
	tracer, ended := recording(t, sdktrace.ParentBased(sdktrace.AlwaysSample()))
	began := time.Now().Add(-time.Second)
	ctx, delivery := span.Root(t.Context(), tracer, "delivery", began)
	stored, enqueue := span.Produce(ctx, "enqueue")
	enqueue.SetInt(span.Alerts, 1)
	enqueue.End(nil)
	delivery.Set(span.Source, "gh")
	delivery.Set(span.Issuer, "")
	delivery.End(nil)

	taken := trace.ContextWithRemoteSpanContext(t.Context(), trace.SpanContextFromContext(stored))
	ctx, reconcile := span.Continue(taken, tracer, "reconcile", stranger(0))
	_, locate := span.Start(ctx, "locate")
	locate.End(errors.New("planted-error"))
	reconcile.End(nil)

	spans := map[string]sdktrace.ReadOnlySpan{}
	for _, s := range ended() {
		spans[s.Name()] = s
	}
	for name, above := range map[string]string{"enqueue": "delivery", "reconcile": "enqueue", "locate": "reconcile"} {
		if got, want := spans[name].Parent().SpanID(), spans[above].SpanContext().SpanID(); got != want {
			t.Errorf("%s is not below %s", name, above)
		}
		if spans[name].SpanContext().TraceID() != spans["delivery"].SpanContext().TraceID() {
			t.Errorf("%s is of another trace", name)
		}
	}
	if got := spans["delivery"]; !got.StartTime().Equal(began) || got.SpanKind() != trace.SpanKindServer || len(got.Attributes()) != 1 {
		t.Errorf("delivery: began at %v, is a %v, says %v", got.StartTime(), got.SpanKind(), got.Attributes())
	}
	if got := spans["locate"]; got.Status().Code != codes.Error || got.Status().Description != "" || len(got.Events()) > 0 {
		t.Errorf("the failure shows as %+v with %d events", got.Status(), len(got.Events()))
	}
	if links := spans["reconcile"].Links(); len(links) != 1 || links[0].SpanContext.TraceID() != stranger(0).TraceID() {
		t.Errorf("reconcile links to %v", links)
	}
}

// TestRootIsItsOwn: whatever trace a context has, a root has another, and samples as we do.
func TestRootIsItsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		flags   trace.TraceFlags
		sampler sdktrace.Sampler
		spans   int
	}{
		"told not to sample": {0, sdktrace.ParentBased(sdktrace.AlwaysSample()), 1},
		"told to sample":     {trace.FlagsSampled, sdktrace.ParentBased(sdktrace.NeverSample()), 0},
	} {
		tracer, ended := recording(t, c.sampler)
		ctx, s := span.Root(trace.ContextWithSpanContext(t.Context(), stranger(c.flags)), tracer, "delivery", time.Now())
		s.End(nil)
		if got := trace.SpanContextFromContext(ctx).TraceID(); got == stranger(0).TraceID() || !got.IsValid() {
			t.Errorf("%s: got trace %v", name, got)
		}
		if got := len(ended()); got != c.spans {
			t.Errorf("%s: got %d spans, want %d", name, got, c.spans)
		}
	}
}

// TestNotSampled: a trace that is not sampled stays so when another process continues it.
func TestNotSampled(t *testing.T) {
	tracer, ended := recording(t, sdktrace.ParentBased(sdktrace.AlwaysSample()))
	ctx, reconcile := span.Continue(trace.ContextWithSpanContext(t.Context(), stranger(0)), tracer, "reconcile")
	_, record := span.Produce(ctx, "record")
	record.End(nil)
	reconcile.End(nil)
	if got := len(ended()); got != 0 {
		t.Errorf("got %d spans", got)
	}
}

// TestTransport: a request shows as method, host and status, and is sent as it is.
func TestTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Traceparent") != "" || r.Header.Get("Tracestate") != "" || r.Header.Get("Baggage") != "" {
			t.Errorf("the request tells of our trace: %v", r.Header)
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	tracer, ended := recording(t, sdktrace.AlwaysSample())
	ctx, above := span.Continue(t.Context(), tracer, "reconcile")
	defer above.End(nil)
	client := &http.Client{Transport: span.Transport(http.DefaultTransport)}
	for _, path := range []string{
		"http://planted-user:planted-password@" + server.Listener.Addr().String() + "/planted-path?planted-query",
		"http://127.0.0.1:1/",
	} {
		request, err := http.NewRequestWithContext(ctx, "PLANTED", path, strings.NewReader("planted-body"))
		if err != nil {
			t.Fatal(err)
		}
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}
	got := ended()
	if len(got) != 2 {
		t.Fatalf("got %d spans, want 2", len(got))
	}
	for i, s := range got {
		said := map[string]string{}
		for _, a := range s.Attributes() {
			said[string(a.Key)] = a.Value.String()
		}
		want := map[string]string{"http.request.method": "_OTHER", "server.address": "127.0.0.1", "http.response.status_code": "418"}
		if i == 1 {
			delete(want, "http.response.status_code")
		}
		if !maps.Equal(said, want) || s.Name() != "_OTHER" || s.Status().Code != codes.Error || s.SpanKind() != trace.SpanKindClient {
			t.Errorf("got %s %v, %+v, want %v", s.Name(), said, s.Status(), want)
		}
	}
}

// way is a reconcile with its phases, as the engine does it.
func way(ctx context.Context, tracer trace.Tracer) {
	ctx, reconcile := span.Continue(ctx, tracer, "reconcile")
	reconcile.Set(span.Incident, "c44fc00b29f8")
	for _, name := range []string{"locate", "decide", "intend", "act", "prove", "record"} {
		_, s := span.Start(ctx, name)
		s.Set(span.Issuer, "ibm")
		s.End(nil)
	}
	reconcile.Set(span.State, "contained")
	reconcile.End(nil)
}

// TestOffCostsNothing: without a tracer nothing is allocated.
func TestOffCostsNothing(t *testing.T) {
	if got := testing.AllocsPerRun(100, func() { way(context.Background(), nil) }); got != 0 {
		t.Errorf("got %v allocations a reconcile without a tracer", got)
	}
}

// BenchmarkReconcile is what the spans of one reconcile cost, sampled and not, beside those that are off.
func BenchmarkReconcile(b *testing.B) {
	always, _ := recording(b, sdktrace.AlwaysSample())
	never, _ := recording(b, sdktrace.NeverSample())
	for _, c := range []struct {
		name   string
		tracer trace.Tracer
	}{{"off", nil}, {"unsampled", never}, {"sampled", always}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				way(b.Context(), c.tracer)
			}
		})
	}
}
