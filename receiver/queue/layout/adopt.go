package layout

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue/streams"
)

const (
	// adoptWait is how long leases last for a moment, so that messages that nobody works on any more are due at once.
	adoptWait = 10 * time.Millisecond
	// adoptPass is how long the server may take to go through the messages that are due, which it does 100 ms after the
	// change. If it takes longer, they come back when their leases end, as they would have anyway.
	adoptPass = 300 * time.Millisecond
)

// Adopt makes the messages that a process was working on when it died come back at once, instead of when their leases end:
// a leaked key must not wait for that. No consumer may be at work yet; Work sets it right again. A message that was
// sent back for later comes back up to a lease too early.
func Adopt(ctx context.Context, laid map[string]jetstream.Stream) error {
	var some bool
	for _, s := range streams.All() {
		found, err := adoptIn(ctx, laid[s.Name])
		if err != nil {
			return fmt.Errorf("adopting what is unsettled in %s: %w", s.Name, err)
		}
		some = some || found
	}
	if !some {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(adoptPass):
		return nil
	}
}

// adoptIn does so for one stream, and reports whether there was anything to adopt.
func adoptIn(ctx context.Context, s jetstream.Stream) (found bool, err error) {
	consumers := s.ListConsumers(ctx)
	for info := range consumers.Info() {
		if info.Config.Durable == "" || info.NumAckPending == 0 {
			continue
		}
		found = true
		config := info.Config
		config.AckWait = adoptWait
		if _, err := s.UpdateConsumer(ctx, config); err != nil {
			return found, err
		}
	}
	return found, consumers.Err()
}
