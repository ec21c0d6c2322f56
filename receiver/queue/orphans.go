package queue

import (
	"context"
	"fmt"
	"time"
)

const (
	// orphanWait is what ackWait is for a moment, so that what nobody works on any more is due at once.
	orphanWait = 10 * time.Millisecond
	// orphanPass is how long the server may take to go through what is due; it does so 100 ms after the change. When it
	// takes longer, those messages come back after ackWait, as they would have anyway.
	orphanPass = 300 * time.Millisecond
)

// adopt makes what was being worked on when the last process died come back at once, instead of when ackWait is over: a
// leaked key must not wait for that. Nobody else may be consuming, and nobody may have begun; Work sets ackWait right
// again. A message that was sent back for later comes back up to ackWait too early.
func (j *JetStream) adopt(ctx context.Context) error {
	var found bool
	for _, s := range table {
		some, err := j.adoptIn(ctx, s)
		if err != nil {
			return fmt.Errorf("adopting what is unsettled in %s: %w", s.name, err)
		}
		found = found || some
	}
	if !found {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(orphanPass):
		return nil
	}
}

// adoptIn does so for one stream, and reports whether there was anything.
func (j *JetStream) adoptIn(ctx context.Context, s stream) (found bool, err error) {
	consumers := j.streams[s.name].ListConsumers(ctx)
	for info := range consumers.Info() {
		if info.Config.Durable == "" || info.NumAckPending == 0 {
			continue
		}
		found = true
		config := info.Config
		config.AckWait = orphanWait
		if _, err := j.streams[s.name].UpdateConsumer(ctx, config); err != nil {
			return found, err
		}
	}
	return found, consumers.Err()
}
