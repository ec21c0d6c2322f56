// Package telemetry is how a process reports on itself: its log, its traces and its version.
package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// NewLog returns a log that writes one JSON object a line, with durations in seconds. A record whose context belongs to a trace has
// the ids of trace and span as trace_id and span_id.
func NewLog(w io.Writer) *slog.Logger {
	inSeconds := func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.Float64Value(a.Value.Duration().Seconds())
		}
		return a
	}
	return slog.New(traced{slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: inSeconds})})
}

// traced adds the ids of trace and span to a record.
type traced struct{ slog.Handler }

// Handle implements [slog.Handler].
func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if at := trace.SpanContextFromContext(ctx); at.IsValid() {
		r.AddAttrs(slog.String("trace_id", at.TraceID().String()), slog.String("span_id", at.SpanID().String()))
	}
	return t.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{t.Handler.WithAttrs(attrs)} }

// WithGroup implements [slog.Handler].
func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }
