package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"stanch/cmd/stanch/role"
	"stanch/receiver/outbound"
	"stanch/receiver/queue/span"
)

const (
	// flushTimeout is how long the last spans have to be sent away when the service ends.
	flushTimeout = 5 * time.Second
	// lossInterval is the shortest time between two warnings that spans are lost.
	lossInterval = 10 * time.Minute
)

// Tracing makes spans and sends them to a collector, by OTLP over HTTP. A nil Tracing makes none. Nothing ever waits for the
// collector: spans are dropped instead.
type Tracing struct {
	provider *sdktrace.TracerProvider
	log      *slog.Logger
}

// StartTracing starts tracing if OpenTelemetry's environment variables ask for it, and returns nil otherwise. The libraries read
// from those variables where spans go, which are sampled and how many are kept.
func StartTracing(ctx context.Context, r role.Roles, log *slog.Logger) *Tracing {
	wanted, problem := tracesWanted(os.Getenv)
	if problem != "" {
		log.Warn("nothing is traced", "err", problem)
	}
	if !wanted {
		return nil
	}
	otel.SetLogger(logr.New(sink{log}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("tracing failed", "err", err) }))
	sender, err := otlptracehttp.New(ctx)
	if err != nil {
		log.Warn("nothing is traced", "err", err)
		return nil
	}
	return &Tracing{log: log, provider: sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&exporter{SpanExporter: sender, log: log}), sdktrace.WithResource(self(ctx, r)),
	)}
}

// tracesWanted reports whether an environment asks for traces, by an endpoint or by the one exporter that there is.
// OTEL_SDK_DISABLED has the last word. A problem is something that it asks for and does not get.
func tracesWanted(env func(string) string) (wanted bool, problem string) {
	there := env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" || env("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
	exporter := strings.TrimSpace(env("OTEL_TRACES_EXPORTER"))
	switch {
	case strings.EqualFold(strings.TrimSpace(env("OTEL_SDK_DISABLED")), "true"), exporter == "none":
		return false, ""
	case exporter == "":
		return there, ""
	case exporter == "otlp":
		return true, ""
	}
	return false, "OTEL_TRACES_EXPORTER must be otlp or none"
}

// self describes the process in every span. Environment variables may add to that, or override it.
func self(ctx context.Context, r role.Roles) *resource.Resource {
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(
			attribute.String("service.name", "stanch"),
			attribute.String("service.version", Version()),
			attribute.StringSlice("stanch.roles", r.Names()),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		otel.Handle(err)
	}
	return about
}

// Tracer returns what makes spans, or nil when there are none.
func (t *Tracing) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(span.Scope)
}

// End sends the last spans, for flushTimeout at most.
func (t *Tracing) End() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if t.provider.Shutdown(ctx) != nil {
		t.log.Warn("the last spans are lost")
	}
}

// exporter sends spans. When it fails it logs that now and then, without the collector's answer or URL, which may hold credentials.
// The batch processor makes one call at a time.
type exporter struct {
	sdktrace.SpanExporter
	log  *slog.Logger
	lost int
	said time.Time
}

// ExportSpans implements [sdktrace.SpanExporter].
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	e.lost += len(spans)
	if time.Since(e.said) >= lossInterval {
		e.log.Warn("spans are lost", "count", e.lost, "err", reasonOfLoss(ctx, err))
		e.lost, e.said = 0, time.Now()
	}
	return nil
}

var errNotTaken = errors.New("the collector does not take them")

func reasonOfLoss(ctx context.Context, err error) error {
	if _, unanswered := errors.AsType[*url.Error](err); unanswered || ctx.Err() != nil {
		return outbound.Cause(ctx, err)
	}
	return errNotTaken
}

// sink logs OpenTelemetry's own messages without their values, which include headers from the environment.
type sink struct{ log *slog.Logger }

// Init implements [logr.LogSink].
func (sink) Init(logr.RuntimeInfo) {}

// Enabled implements [logr.LogSink]: errors and warnings, as OpenTelemetry numbers them.
func (sink) Enabled(level int) bool { return level <= 1 }

// Info implements [logr.LogSink].
func (s sink) Info(_ int, text string, _ ...any) { s.log.Warn("open telemetry", "text", text) }

// Error implements [logr.LogSink].
func (s sink) Error(_ error, text string, _ ...any) { s.log.Warn("open telemetry", "text", text) }

// WithValues implements [logr.LogSink].
func (s sink) WithValues(...any) logr.LogSink { return s }

// WithName implements [logr.LogSink].
func (s sink) WithName(string) logr.LogSink { return s }
