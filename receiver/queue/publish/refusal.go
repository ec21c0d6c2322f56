package publish

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"stanch/receiver/queue"
	"stanch/receiver/queue/natsclient"
	"stanch/receiver/queue/streams"
)

// Codes with which JetStream refuses a message.
const (
	codeStoreFailed      = 10077 // no room in the stream, or the message is too large; the text tells which
	codeTooLarge         = 10054
	codeNoResources      = 10023 // no room in the server
	codeAccountFull      = 10002
	codeStorageFull      = 10047
	codeWrongSequence    = 10071
	codeWrongSequenceNow = 10164 // with replicas
	codeInFlight         = 10158 // with replicas: another write on the subject is under way
)

// againFor says after which errors messages may be sent again. The stream ignores a second one with the same id, and one that
// replaces what its subject holds replaces itself. Any other might be stored twice.
func againFor(messages ...queue.Message) func(error) bool {
	for _, m := range messages {
		if s, err := streams.Of(m.Subject); err != nil || m.ID == "" && s.PerSubject != 1 {
			return natsclient.Unsent
		}
	}
	return natsclient.Unanswered
}

// storing turns what kept a message from being stored into an error that callers know.
func storing(err error) error {
	if err == nil {
		return nil
	}
	refusal, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return fmt.Errorf("storing: %w", err)
	}
	switch refusal.ErrorCode {
	case codeTooLarge:
		return fmt.Errorf("%w: %w", queue.ErrTooLarge, err)
	case codeNoResources, codeAccountFull, codeStorageFull:
		return fmt.Errorf("%w: %w", queue.ErrFull, err)
	case codeStoreFailed:
		return fmt.Errorf("%w: %w", storeFailure(refusal.Description), err)
	}
	return fmt.Errorf("storing: %w", err)
}

// storeFailure tells apart the failures to which JetStream gives one code.
func storeFailure(text string) error {
	switch text {
	case server.ErrMaxBytes.Error(), server.ErrMaxMsgs.Error():
		return queue.ErrFull
	case server.ErrMsgTooLarge.Error():
		return queue.ErrTooLarge
	}
	return errStore
}

var errStore = errors.New("the store failed")

// lost reports whether a compare-and-swap was refused, or ended without an answer that rules out that it was stored.
func lost(err error) bool {
	if err == nil || natsclient.Unsent(err) || errors.Is(err, queue.ErrForbidden) {
		return false
	}
	refusal, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return true
	}
	switch refusal.ErrorCode {
	case codeWrongSequence, codeWrongSequenceNow, codeInFlight:
		return true
	}
	return false
}
