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
	// lossInterval is how often it is said at most that spans are lost.
	lossInterval = 10 * time.Minute
)

// Tracing makes spans and sends them to a collector, by OTLP over HTTP; nil: nobody asked for that, and there is nothing of
// it. Whatever becomes of the collector, nothing else waits for it: spans are lost instead.
type Tracing struct {
	provider *sdktrace.TracerProvider
	log      *slog.Logger
}

// StartTracing traces if OpenTelemetry's environment variables ask for it. Where spans go, which are sampled, and how many are
// kept is what those variables say, which the libraries read themselves.
func StartTracing(ctx context.Context, r role.Roles, log *slog.Logger) *Tracing {
	wanted, problem := tracesWanted(os.Getenv)
	if problem != "" {
		log.Warn("nothing is traced", "err", problem)
	}
	if !wanted {
		return nil
	}
	otel.SetLogger(logr.New(sink{log}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("tracing is not as it must be", "err", err) }))
	sender, err := otlptracehttp.New(ctx)
	if err != nil {
		log.Warn("nothing is traced", "err", err)
		return nil
	}
	return &Tracing{log: log, provider: sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&exporter{SpanExporter: sender, log: log}), sdktrace.WithResource(self(ctx, r)),
	)}
}

// tracesWanted reports whether an environment asks for traces: it says where they go, or by which exporter, of which there is
// one. OTEL_SDK_DISABLED has the last word. A problem is what it asks for and does not get.
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

// self is what every span says of its process. Variables of the environment may say more, or otherwise.
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

// Tracer is what spans are made with; nil: none are.
func (t *Tracing) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(span.Scope)
}

// End sends the last spans away, for as long as flushTimeout.
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

// exporter sends spans away. That it cannot is said in the log now and then, without the collector's answer or its URL, which
// may hold credentials. The processor of batches calls it once at a time.
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

// sink logs what OpenTelemetry says of itself, without the values that it adds: headers of the environment are among them.
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
