package collect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"stanch/receiver"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/span"
)

// Reasons for which a pointer is not followed to the source.
var (
	errNoSource = errors.New("its source is not configured any more")
	errOwn      = errors.New("we did it ourselves")
)

// follow takes one pointer: it fetches the alert from the source and queues it. A nil error settles the pointer.
func (c *Collector) follow(ctx context.Context, m queue.Message) (err error) {
	ctx, s := span.Continue(ctx, c.tracer, "fetch")
	defer func() { s.End(failure(err)) }()
	p, err := leak.Read[leak.Pointer](m.Data)
	switch {
	case errors.Is(err, leak.ErrNewer):
		return queue.LeftToNewer(err)
	case err != nil:
		return c.bury(ctx, leak.Pointer{Source: "unknown"}, "the queued pointer is damaged")
	}
	s.Set(span.Source, p.Source)
	found, err := c.fetch(ctx, p)
	if err != nil {
		return c.unfetched(ctx, p, err)
	}
	return c.queue(ctx, p, found)
}

// fetch asks the source for the alert that a pointer points to.
func (c *Collector) fetch(ctx context.Context, p leak.Pointer) ([]leak.Content, error) {
	source, ok := c.settings.Load().sources[p.Source]
	if !ok {
		return nil, errNoSource
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if isOwn(ctx, source.Vendor, p) {
		return nil, errOwn
	}
	return source.Vendor.Fetch(WithCause(ctx, p.Cause), p.Ref)
}

// isOwn reports whether a pointer tells of something that we did ourselves. In doubt it is followed: one request too many
// costs nothing.
func isOwn(ctx context.Context, v Vendor, p leak.Pointer) bool {
	aware, ok := v.(Selfaware)
	if !ok || p.By == "" {
		return false
	}
	self, err := aware.Self(ctx)
	return err == nil && strings.EqualFold(self, p.By)
}

// unfetched decides what becomes of a pointer whose alert could not be fetched: nothing, a dead letter, or another try.
func (c *Collector) unfetched(ctx context.Context, p leak.Pointer, err error) error {
	switch {
	case errors.Is(err, errOwn):
		c.fetched(ctx, p.Source, resultOwn)
		return nil
	case errors.Is(err, ErrGone):
		c.fetched(ctx, p.Source, resultGone)
		c.log.InfoContext(ctx, "pointer leads nowhere", "source", p.Source, "ref", p.Ref)
		return nil
	case errors.Is(err, errNoSource), errors.Is(err, ErrNoSecret):
		return c.bury(ctx, p, err.Error())
	case time.Since(p.ReceivedAt) > giveUpAfter:
		return c.bury(ctx, p, fmt.Sprintf("asked for %d days: %v", giveUpAfter/(24*time.Hour), err))
	}
	c.fetched(ctx, p.Source, resultRetried)
	return retryLater(fmt.Errorf("fetching an alert of %s: %w", p.Source, err))
}

// queue seals the alert, once for each place where it was seen, and queues it. All of it is on disk before the pointer is
// settled.
func (c *Collector) queue(ctx context.Context, p leak.Pointer, found []leak.Content) error {
	var messages []queue.Message
	for _, content := range found {
		content.Swept = p.Swept
		message, err := receiver.AlertMessage(c.seal, p.Source, p.ReceivedAt, content)
		if errors.Is(err, receiver.ErrTooLong) {
			return c.bury(ctx, p, err.Error())
		}
		if err != nil {
			return err
		}
		message.ID = "" // an alert that is fetched again is news, such as one that was reopened: it must not be absorbed
		messages = append(messages, message)
	}
	if err := c.store.Append(ctx, messages...); err != nil {
		return fmt.Errorf("queueing a fetched alert: %w", err)
	}
	c.fetched(ctx, p.Source, resultQueued)
	c.log.InfoContext(ctx, "alert fetched", "source", p.Source, "ref", p.Ref, "event", p.Event, "sightings", len(found))
	return nil
}

// bury moves a pointer that no retry can help to the dead letters.
func (c *Collector) bury(ctx context.Context, p leak.Pointer, reason string) error {
	message, err := encode(queue.DeadSubject(p.Source), leak.DeadLetter{V: leak.Version, Reason: reason, Pointer: &p, At: time.Now()})
	if err != nil {
		return err
	}
	if err := c.store.Append(ctx, message); err != nil {
		return fmt.Errorf("storing a dead letter: %w", err)
	}
	c.fetched(ctx, p.Source, resultDead)
	c.log.ErrorContext(ctx, "pointer became a dead letter", "source", p.Source, "ref", p.Ref, "reason", reason)
	return nil
}

// fetched counts and traces what became of a pointer.
func (c *Collector) fetched(ctx context.Context, source, result string) {
	c.metrics.fetched(source, result)
	span.Of(ctx).Set(span.Result, result)
}

// failure returns the error that makes a span one that failed; waiting because the source asks for it is not a failure.
func failure(err error) error {
	if _, later := errors.AsType[*queue.Later](err); later {
		return nil
	}
	return err
}
