// Package receiver takes deliveries from sources and queues what they say. The [Handler] holds the steps that all
// deliveries share (limits, sealing, queueing, the answer, log and metrics); a [Source] holds what is unique to a vendor.
// Nothing is parsed before it is verified, nothing is queued before it is sealed, and a delivery is acknowledged only
// when every record of it is on disk.
package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"stanch/receiver/leak"
	"stanch/receiver/penalty"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// GitHub waits 15 seconds for an answer (partner agreement, 3.1), and counts a later one as none. What is not read or
// stored by then is refused with 503 while the sender still listens. Hooks wait only 10 seconds: a delivery stored after
// that counts as failed at the vendor, and is absorbed if it comes again.
const (
	readTimeout     = 8 * time.Second
	deliveryTimeout = 14 * time.Second
)

// sealer seals what an alert says as soon as it is known. The receiver holds only the public half of the key.
type sealer interface {
	Seal(source string, at time.Time, c leak.Content) (leak.Alert, error)
}

// appender stores messages; on return without an error every one of them is on disk.
type appender interface {
	Append(ctx context.Context, messages ...queue.Message) error
}

// Config is what a Handler needs. Only Sources, Seal and Store are required.
type Config struct {
	Sources  map[string]Source // by configured name, which must be a valid queue subject token
	Limits   Limits
	Seal     sealer
	Store    appender
	Requests requester             // asks the engine for labels; nil: no sender is told any
	Log      *slog.Logger          // nil: nothing is logged
	Metrics  prometheus.Registerer // nil: nothing is exported
	Tracer   trace.Tracer          // nil: nothing is traced
}

// Handler serves POST /hooks/NAME for every configured source, the paths of a Pather below that, and nothing else.
// It is safe for concurrent use.
//
// It never refuses an address for what came from it before, but verifies every delivery. An address that keeps failing
// loses its share of the memory for bodies, its 401 (it gets 429) and its lines in the log.
type Handler struct {
	settings  atomic.Pointer[settings]
	seal      sealer
	store     appender
	requests  requester
	log       *slog.Logger
	metrics   *metrics
	tracer    trace.Tracer
	penalties *penalty.Register
}

// New makes a Handler. It panics when its metrics are registered already: the wiring is wrong then.
func New(c Config) *Handler {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{
		seal:      c.Seal,
		store:     c.Store,
		requests:  c.Requests,
		log:       c.Log,
		metrics:   newMetrics(c.Metrics),
		tracer:    c.Tracer,
		penalties: penalty.New(),
	}
	h.Use(c.Sources, c.Limits)
	return h
}

// ServeHTTP takes one delivery and answers it. No answer holds anything of the request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d := &delivery{at: time.Now(), address: penalty.AddressOf(r)}
	err := h.receive(w, r, d)
	if errors.Is(err, ErrUnverified) && h.penalties.Add(d.address) {
		err = fmt.Errorf("%w: %w", errThrottled, err)
	}
	a := answerTo(err)
	if err == nil && d.document != "" {
		a = read
	}
	h.record(r.Context(), d, a, err)
	if err == nil && d.feedback != nil {
		writeFeedback(w, d.feedback)
		return
	}
	a.write(w, d)
}

// delivery is what is known about one request while it is handled.
type delivery struct {
	at      time.Time
	address penalty.Address
	source  string // configured name; empty until it is found, and if there is no such source
	span    span.Span
	// document answers a request that reads; empty: the request delivers.
	document string

	alerts, pointers, bad int // stored; bad as dead letters

	named    []leak.Labelled // the names of the alerts found, in their order
	feedback []byte          // the body of the answer; nil: none. It may hold secrets, for their own sender only
}

// method is the only method that the request's path allows.
func (d *delivery) method() string {
	if d.document != "" {
		return http.MethodGet
	}
	return http.MethodPost
}

// receive takes a delivery through all its steps, in the order in which a stranger costs us least: the header before the
// body, the proof before the parser, the disk before the answer.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request, d *delivery) (err error) {
	defer recoverInto(&err, h.log)
	settings := h.settings.Load()
	source, err := settings.admit(r, d)
	if err != nil {
		return err
	}
	body, release, err := readBody(w, r, settings.budget(h.penalties.Suspects(d.address)), settings.limits.Body)
	defer release()
	if err != nil {
		return err
	}
	// If the sender hangs up we store all the same: it would only send again what is already safe.
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), d.at.Add(deliveryTimeout))
	defer cancel()
	if err := source.Verify(ctx, r.Header, body); err != nil {
		return err
	}
	h.penalties.Forgive(d.address)
	if d.document != "" {
		return nil
	}
	err = h.take(d.traced(ctx, h.tracer), d, source, r.Header, body, settings.limits)
	if m, ok := source.(Rememberer); ok && (err == nil || errors.Is(err, ErrIgnored)) {
		m.Remember(r.Header)
	}
	return err
}

// traced begins the span of a verified delivery, as of its receipt. Unverified deliveries have none, so that strangers
// cannot crowd out what matters; and no delivery continues a trace that its sender names.
func (d *delivery) traced(ctx context.Context, t trace.Tracer) context.Context {
	ctx, d.span = span.Root(ctx, t, "delivery", d.at)
	d.span.Set(span.Method, d.method())
	d.span.Set(span.Route, route)
	d.span.Set(span.Source, d.source)
	return ctx
}

// route is the path of every delivery, as traces show it.
const route = "/hooks/{name}"

// take parses a verified delivery and stores what it says.
func (h *Handler) take(ctx context.Context, d *delivery, s Source, header http.Header, body []byte, l Limits) error {
	parsed, err := s.Parse(header, body)
	if err != nil {
		return err
	}
	// The whole delivery is refused, because a part of it cannot be acknowledged alone, and anything dropped in silence
	// would be lost. The sender still holds everything, and the operator can raise the limit.
	if len(parsed.Found)+len(parsed.Pointers)+len(parsed.Bad) > l.AlertsPerDelivery {
		return ErrTooMany
	}
	if err := h.enqueue(ctx, d, parsed, body); err != nil {
		return err
	}
	d.feedback = h.feedback(ctx, s, d, parsed.Found)
	return nil
}

// accepts reports whether a body is declared as plain JSON, as something else that the source accepts, or not at all. A
// compressed body is refused: its true size would be known only after unpacking it.
func accepts(source Source, header http.Header) bool {
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false
	}
	declared := header.Get("Content-Type")
	if declared == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(declared)
	if err != nil || kind == "application/json" {
		return err == nil
	}
	other, ok := source.(MediaTyper)
	return ok && slices.Contains(other.MediaTypes(), kind)
}

// recoverInto turns a panic into an error, so that one delivery never costs another. The panic's value may be a part of
// the delivery and is dropped; a stack holds addresses, not contents.
func recoverInto(err *error, log *slog.Logger) {
	if recover() == nil {
		return
	}
	log.Error("handling a delivery panicked", "stack", string(debug.Stack()))
	*err = errPanic
}
