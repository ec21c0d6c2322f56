package queue

import (
	"context"
	"net/http"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceparent is the header that has the trace context of who stored a message, as W3C Trace Context fixed it, in the
// spelling of Go's headers. Baggage is not carried.
const traceparent = "Traceparent"

// label puts the trace context that ctx has into the headers of a message; without one they stay as they are.
func label(ctx context.Context, h nats.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(http.Header(h)))
}

// originOf reads the trace context of who stored a message; invalid: it has none.
func originOf(h nats.Header) trace.SpanContext {
	if len(h[traceparent]) == 0 {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(http.Header(h)))
	return trace.SpanContextFromContext(ctx)
}

// tracing is a context in which what is done about a message belongs to the trace of who stored it.
func tracing(ctx context.Context, m Message) context.Context {
	if !m.origin.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, m.origin)
}
