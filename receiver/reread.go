package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// errNoSource means that a record is of a source that is not configured any more.
var errNoSource = errors.New("its source is not configured")

// Reread reads a [Bad] record again, which a later version may be able to, and makes the messages of its alerts: sealed, and
// as received when the record was. Nothing is queued. An error says in words that hold nothing of the record why it cannot
// be read. The record must be one of an array; the body of an event cannot be read without its header.
func (h *Handler) Reread(ctx context.Context, source string, at time.Time, record leak.Secret) ([]queue.Message, error) {
	s := h.terms.Load().sources[source]
	if s == nil {
		return nil, errNoSource
	}
	parsed, err := s.Parse(http.Header{}, []byte("["+record.Reveal()+"]"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the record again: %w", err)
	case len(parsed.Bad) > 0:
		return nil, fmt.Errorf("reading the record again: %s", parsed.Bad[0].Reason)
	case len(parsed.Found) == 0:
		return nil, errors.New("reading the record again: it holds no alert")
	}
	messages, err := h.messages(ctx, &delivery{at: at, source: source}, parsed)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if m.Subject != queue.AlertSubject(source) {
			return nil, errors.New("the token is longer than an alert can be")
		}
	}
	return messages, nil
}
