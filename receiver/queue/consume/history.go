package consume

import (
	"context"
	"iter"

	"stanch/receiver/queue"
)

// History is a sequence of messages, oldest first. After those that were stored at the call it yields one zero Message, and
// then those that come. It ends with an error, that of its context included, or when the loop over it does.
type History = iter.Seq2[queue.Message, error]

// Scan yields the messages of a history that were stored at the call.
func Scan(messages History) History {
	return func(yield func(queue.Message, error) bool) {
		for m, err := range messages {
			if err == nil && m.Seq == 0 || !yield(m, err) {
				return
			}
		}
	}
}

// Follow passes a history to handle, as queue.Store.Follow says, until ctx ends.
func Follow(ctx context.Context, messages History, caughtUp func(), handle func(queue.Message) error) error {
	for m, err := range messages {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case m.Seq == 0:
			caughtUp()
		default:
			if err := handle(m); err != nil {
				return err
			}
		}
	}
	return nil
}
