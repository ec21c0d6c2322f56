// Package span traces an alert on its way with OpenTelemetry. An attribute holds a configured name, a word of a closed set, a
// number, or the fingerprint of an incident: never a URL, a place, the value of a key, or the text of an error, which the log
// has under the same trace id. Where nothing is traced, or a trace is not sampled, a span costs nothing.
package span

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the name of the tracer whose spans these are.
const Scope = "stanch"

// Key names an attribute.
type Key string

// The attributes of spans. Those of HTTP have the names of OpenTelemetry's semantic conventions.
const (
	Source   Key = "stanch.source"   // configured name
	Notifier Key = "stanch.notifier" // configured name
	Issuer   Key = "stanch.issuer"   // configured name
	Incident Key = "stanch.incident" // fingerprint
	Action   Key = "stanch.action"
	State    Key = "stanch.state"
	Result   Key = "stanch.result" // as the metric of the same thing has it
	Alerts   Key = "stanch.alerts" // how many
	Pointers Key = "stanch.pointers"
	Bad      Key = "stanch.bad"   // records that became dead letters
	Count    Key = "stanch.count" // incidents that a notice stands for which gathers several

	Method  Key = "http.request.method"
	Route   Key = "http.route"
	Status  Key = "http.response.status_code"
	Address Key = "server.address"
)

// Span is one span. The zero Span is none. It is safe for concurrent use.
type Span struct{ span trace.Span }

// Root begins the span of a request from outside, which began at a time. It always starts a new trace, even if the request
// names one: nobody outside chooses our trace ids, or whether we sample. A nil tracer makes no span.
func Root(ctx context.Context, t trace.Tracer, name string, began time.Time) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return recorded(t.Start(ctx, name,
		trace.WithNewRoot(), trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindServer)))
}

// Continue begins the span of our own work. Work on a message is below the span of whoever stored it, which the queue puts
// into ctx; other work starts a new trace. Work on several messages links to the spans of those who stored the others. A nil
// tracer makes no span.
func Continue(ctx context.Context, t trace.Tracer, name string, others ...trace.SpanContext) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	kind := trace.SpanKindInternal
	if trace.SpanContextFromContext(ctx).IsRemote() {
		kind = trace.SpanKindConsumer
	}
	links := make([]trace.Link, len(others))
	for i, other := range others {
		links[i].SpanContext = other
	}
	return recorded(t.Start(ctx, name, trace.WithSpanKind(kind), trace.WithLinks(links...)))
}

// Start begins a span below the one that ctx has, if that one is recorded in this process.
func Start(ctx context.Context, name string) (context.Context, Span) {
	return below(ctx, name, trace.SpanKindInternal)
}

// Produce is Start for storing a message that another part takes up.
func Produce(ctx context.Context, name string) (context.Context, Span) {
	return below(ctx, name, trace.SpanKindProducer)
}

func below(ctx context.Context, name string, kind trace.SpanKind) (context.Context, Span) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, Span{}
	}
	return recorded(above.TracerProvider().Tracer(Scope).Start(ctx, name, trace.WithSpanKind(kind)))
}

// recorded keeps only the context of a span that is not sampled; it tells whoever continues the trace not to sample either.
func recorded(ctx context.Context, s trace.Span) (context.Context, Span) {
	if !s.IsRecording() {
		return ctx, Span{}
	}
	return ctx, Span{s}
}

// Of is the span that a context belongs to, if it is recorded in this process.
func Of(ctx context.Context) Span {
	_, s := recorded(ctx, trace.SpanFromContext(ctx))
	return s
}

// In returns a context in which what is done belongs to the span.
func (s Span) In(ctx context.Context) context.Context {
	if s.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// Set sets an attribute. It ignores an empty value.
func (s Span) Set(key Key, value string) {
	if s.span != nil && value != "" {
		s.span.SetAttributes(attribute.String(string(key), value))
	}
}

// SetInt sets an attribute to a number.
func (s Span) SetInt(key Key, value int) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int(string(key), value))
	}
}

// End ends the span. An error marks it as failed; its text is not kept.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}
