package receiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// Reread reads a [Bad] record of a source again, which a later version may be able to, and makes the messages of its alerts:
// sealed, and as received when the record was. Nothing is queued. An error says in words that hold nothing of the record why
// it cannot be read. The record must be one of an array, with the fields as its vendor calls them; the body of an event
// cannot be read without its header.
func Reread(
	ctx context.Context, seal sealer, names Fields, source string, at time.Time, record leak.Secret,
) ([]queue.Message, error) {
	parsed, err := ParseRecords([]byte("["+record.Reveal()+"]"), names)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the record again: %w", err)
	case len(parsed.Bad) > 0:
		return nil, fmt.Errorf("reading the record again: %s", parsed.Bad[0].Reason)
	case len(parsed.Found) == 0:
		return nil, errors.New("reading the record again: it holds no alert")
	}
	messages, err := (&delivery{at: at, source: source}).messages(ctx, seal, parsed)
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
