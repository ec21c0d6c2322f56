package receiver_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"stanch/receiver"
	"stanch/receiver/feedfake"
	"stanch/receiver/queue/memory"
)

const tracedBody = `[{"source":"commit","token":"token-1","type":"ibm_cloud_iam_key","url":"https://example.com/r"}]`

// deliverTo delivers one alert in this process, with headers, and returns the status.
func deliverTo(h http.Handler, header http.Header) int {
	r := httptest.NewRequest(http.MethodPost, "/hooks/gh", bytes.NewReader([]byte(tracedBody)))
	r.Header = header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func tracing(tb testing.TB, signer *feedfake.Signer, tracer trace.Tracer) http.Handler {
	tb.Helper()
	recipient, _ := newSealing(tb)
	return receiver.New(receiver.Config{
		Sources: map[string]receiver.Source{"gh": newPartner(tb, feedfake.NewKeyServer(signer))},
		Limits:  receiver.Limits{Body: 1 << 20, AlertsPerDelivery: 10, InFlightBytes: 1 << 26},
		Seal:    recipient, Store: memory.New(), Tracer: tracer,
	})
}

// TestTrace: a verified delivery has a span, with its steps below; strangers' requests have none, and crowd nothing out.
func TestTrace(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	signer := newSigner(t)
	h := tracing(t, signer, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test"))
	if got := deliverTo(h, http.Header{}); got != http.StatusUnauthorized {
		t.Errorf("unsigned: got %d", got)
	}
	if got := recorder.Started(); len(got) != 0 {
		t.Errorf("a delivery that is not verified has %d spans", len(got))
	}
	if got := deliverTo(h, signer.GitHubHeader([]byte(tracedBody))); got != http.StatusNoContent {
		t.Errorf("signed: got %d", got)
	}
	var names []string
	for _, s := range recorder.Ended() {
		names = append(names, s.Name())
	}
	if len(names) != 3 || names[0] != "seal" || names[1] != "enqueue" || names[2] != "delivery" {
		t.Errorf("got the spans %v", names)
	}
}

// BenchmarkTracing is what a delivery of one alert costs, with a store in memory, without tracing, in a trace that is not
// sampled, and in one that is.
func BenchmarkTracing(b *testing.B) {
	signer := newSigner(b)
	header := signer.GitHubHeader([]byte(tracedBody))
	sampled := func(s sdktrace.Sampler) trace.Tracer {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSpanProcessor(tracetest.NewSpanRecorder())).Tracer("test")
	}
	for _, c := range []struct {
		name   string
		tracer trace.Tracer
	}{{"off", nil}, {"unsampled", sampled(sdktrace.NeverSample())}, {"sampled", sampled(sdktrace.AlwaysSample())}} {
		b.Run(c.name, func(b *testing.B) {
			h := tracing(b, signer, c.tracer)
			b.ReportAllocs()
			for b.Loop() {
				if got := deliverTo(h, header); got != http.StatusNoContent {
					b.Fatalf("got %d", got)
				}
			}
		})
	}
}
