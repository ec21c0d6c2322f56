package receiver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"stanch/receiver/queue/span"
)

// Faults of a delivery that the Handler itself finds.
var (
	errUnknownSource = errors.New("there is no such source")
	errMethod        = errors.New("the path does not allow the method")
	errContentType   = errors.New("the source does not accept the declared content type")
	errTooLarge      = errors.New("the body is too large")
	errThrottled     = errors.New("the address keeps failing verification")
	errUnread        = errors.New("the body did not arrive completely and in time")
	errBusy          = errors.New("the deliveries in flight use up the memory reserved for them")
	errAnswer        = errors.New("the engine's answer does not match the question")
	errPanic         = errors.New("the source panicked")
)

// answer is how a delivery ends: the status for the sender, and the result for metrics and log.
type answer struct {
	result string
	status int
	level  slog.Level
}

var (
	stored        = answer{"stored", http.StatusNoContent, slog.LevelInfo}
	read          = answer{"read", http.StatusOK, slog.LevelInfo} // one of the source's documents
	unknownSource = answer{"unknown_source", http.StatusNotFound, slog.LevelDebug}
)

// notStored answers every error that nobody classified: a failure never looks like a success, nor like something not worth
// sending again.
var notStored = answer{"not_stored", http.StatusServiceUnavailable, slog.LevelError}

// answers maps errors to answers; the first match wins. Whatever may be an alert gets a 5xx when it is not stored, because a
// sender gives up on a 4xx; 429 is therefore only for senders that have just failed verification. Results that strangers
// can cause without end are logged at debug level.
var answers = []struct {
	err error
	answer
}{
	{ErrIgnored, answer{"ignored", http.StatusNoContent, slog.LevelInfo}},
	{errMethod, answer{"method", http.StatusMethodNotAllowed, slog.LevelDebug}},
	{errContentType, answer{"content_type", http.StatusUnsupportedMediaType, slog.LevelWarn}},
	{errThrottled, answer{"throttled", http.StatusTooManyRequests, slog.LevelDebug}},
	{ErrUnverified, answer{"unverified", http.StatusUnauthorized, slog.LevelWarn}},
	{ErrUnavailable, answer{"unavailable", http.StatusServiceUnavailable, slog.LevelError}},
	{ErrFormat, answer{"format", http.StatusBadRequest, slog.LevelError}},
	{ErrTooMany, answer{"too_many", http.StatusRequestEntityTooLarge, slog.LevelError}},
	{errTooLarge, answer{"too_large", http.StatusRequestEntityTooLarge, slog.LevelWarn}},
	{errUnread, answer{"unread", http.StatusServiceUnavailable, slog.LevelWarn}},
	{errBusy, answer{"busy", http.StatusServiceUnavailable, slog.LevelWarn}},
	{errPanic, answer{"panic", http.StatusServiceUnavailable, slog.LevelError}},
}

// answerTo is the only place where an error becomes an answer.
func answerTo(err error) answer {
	if err == nil {
		return stored
	}
	if errors.Is(err, errUnknownSource) {
		return unknownSource
	}
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return a.answer
		}
	}
	return notStored
}

// write sends the document that was asked for, or the status and its name alone.
func (a answer) write(w http.ResponseWriter, d *delivery) {
	switch a.status {
	case http.StatusOK:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, d.document) // the reader may be gone
		return
	case http.StatusNoContent:
		w.WriteHeader(a.status)
		return
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "30")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "60")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", d.method())
	}
	http.Error(w, http.StatusText(a.status), a.status)
}

// record counts and logs a delivery: one line, and nothing in it that the sender chose.
func (h *Handler) record(ctx context.Context, d *delivery, a answer, err error) {
	took := time.Since(d.at)
	h.metrics.observe(d, a.result, took)
	attrs := []any{
		"source", d.source, "result", a.result,
		"alerts", d.alerts, "pointers", d.pointers, "bad", d.bad, "duration", took,
	}
	if err != nil {
		attrs = append(attrs, "err", err)
	}
	h.log.Log(d.span.In(ctx), a.level, "delivery", attrs...)
	d.trace(a, err)
}

// trace puts into the delivery's span what the log line says, and ends it. A mistake of the sender is not a failure.
func (d *delivery) trace(a answer, err error) {
	d.span.Set(span.Result, a.result)
	d.span.SetInt(span.Alerts, d.alerts)
	d.span.SetInt(span.Pointers, d.pointers)
	d.span.SetInt(span.Bad, d.bad)
	status := a.status
	if d.feedback != nil {
		status = http.StatusOK
	}
	d.span.SetInt(span.Status, status)
	if status < http.StatusInternalServerError {
		err = nil
	}
	d.span.End(err)
}
