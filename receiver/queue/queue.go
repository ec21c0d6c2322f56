// Package queue is the contract of what stanch stores: the streams of NATS JetStream, by name and limit, and the few
// things that a part may do with them. Nothing is acknowledged before it is on disk. The packages below it keep the
// contract: embedded runs a NATS server inside the process, cluster uses one outside, and memory is their twin for tests
// and simulations. All of them pass the suite in queuetest.
package queue

import (
	"context"
	"errors"
	"iter"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Errors that callers decide on.
var (
	// ErrNoMessage means that a subject holds no message.
	ErrNoMessage = errors.New("no such message")
	// ErrConflict means that the last sequence on the subject is not the expected one, or that nobody can tell whether the
	// message was stored: read the last message and compare.
	ErrConflict = errors.New("somebody else wrote first")
	// ErrFull means that a limit of the stream or of the store is reached. Nothing of that message was stored.
	ErrFull = errors.New("the queue is full")
	// ErrTooLarge means that a message is larger than its stream takes.
	ErrTooLarge = errors.New("the message is too large for its stream")
	// ErrForbidden means that the server does not let our credential do that. Nothing was done, and trying again is no use.
	ErrForbidden = errors.New("the server does not allow it")
)

// Message is one stored message. No raw token is ever in a subject or an id.
type Message struct {
	Subject string
	ID      string // the stream ignores a second message with the same ID within its window; empty: none
	Data    []byte

	// The rest is set on messages read, and ignored on messages written.
	Seq       uint64            // in the stream
	Time      time.Time         // when it was stored
	Delivered int               // how often Work has delivered it, this time included
	Origin    trace.SpanContext // of whoever stored it; only Work sets it
}

// Store keeps messages in streams. A message belongs to the stream whose subjects match its own. The trace context in ctx
// is stored with a message. Methods are safe for concurrent use.
type Store interface {
	// Append stores messages and returns when every one of them is on disk. On an error some may be stored: append
	// them again.
	Append(ctx context.Context, messages ...Message) error
	// AppendAfter stores a message only if the last sequence on its subject is last (0: there is none), and returns
	// the new sequence. ErrConflict: it is not, or the answer was lost and the message may be stored all the same.
	AppendAfter(ctx context.Context, message Message, last uint64) (uint64, error)
	// Last returns the newest message on a subject, never a stale one, or ErrNoMessage.
	Last(ctx context.Context, subject string) (Message, error)
	// Scan yields the messages that match a filter and were stored when it was called, oldest first. An error ends it.
	Scan(ctx context.Context, filter string) iter.Seq2[Message, error]
	// Follow passes every message that matches a filter and was stored since a time (zero: all) to handle, oldest first,
	// and then those that come, one at a time. It calls caughtUp once, after everything that was stored at the call. It
	// returns nil when ctx ends, or the error of handle.
	Follow(ctx context.Context, filter string, since time.Time, caughtUp func(), handle func(Message) error) error
	// Prepare makes the consumer that c names, if it does not exist yet, so that it misses nothing stored from then on.
	Prepare(ctx context.Context, c Consumer) error
	// Work consumes a stream as c says. It returns nil when ctx ends. Handlers that still run then have DrainTimeout to
	// end; their context outlives ctx by that much.
	//
	// The handler's error decides about the message: nil settles it for good, [Later] brings it back after the delay it
	// names, [Postponed] when its verdict says so, and any other error after a delay that grows from one second to five
	// minutes. While a handler runs, or its verdict is awaited, nobody else gets the message. The handler's context
	// carries the trace context of whoever stored the message, as a remote one.
	Work(ctx context.Context, c Consumer, handle func(context.Context, Message) error) error
	// Remove deletes what a subject holds; none is no error.
	Remove(ctx context.Context, subject string) error
	// Discard deletes one message of a stream, by its sequence; that it is gone already is no error. It refuses a work
	// queue, where consumers settle messages.
	Discard(ctx context.Context, stream string, seq uint64) error
	// Stats reports on a stream.
	Stats(ctx context.Context, stream string) (Stats, error)
}

// Consumer says how Work consumes a stream.
type Consumer struct {
	Stream  string
	Name    string // durable: work goes on where the last run of that name stopped
	Workers int    // handlers at once; 0: one
	// New makes a consumer that does not exist yet start with what comes, not with what is stored.
	New bool
}

// Stats is the state of a stream.
type Stats struct {
	Messages uint64
	Bytes    uint64
	// Oldest is when the oldest message was stored; zero when there is none.
	Oldest time.Time
	// First and Last are the sequences of the oldest message that is there and of the newest that ever was. Where nothing
	// was ever deleted, First is 1 and Last is Messages. Without a message First is the one after Last; both are 0 when
	// there never was one.
	First, Last uint64
	// Changed names a setting of the stream, as NATS calls it, that is not as stanch made it; empty: there is none.
	Changed string
}

// Later is the error of a handler that wants its message back after a delay.
type Later struct {
	Delay time.Duration
	Err   error // why; for the log
}

// Error says why.
func (l *Later) Error() string { return l.Err.Error() }

// Unwrap returns why.
func (l *Later) Unwrap() error { return l.Err }

// newerDelay is how long a message waits for a program that can read it.
const newerDelay = 10 * time.Second

// LeftToNewer is the error of a handler that cannot read a message because a newer version wrote it. Another process of
// that version will take it.
func LeftToNewer(err error) error { return &Later{Delay: newerDelay, Err: err} }

// Postponed is the error of a handler that frees its worker before it knows what becomes of its message, such as one that
// gathers several. The message stays leased until the verdict comes, which counts as what the handler returned. When ctx
// ends first, the message is delivered again.
type Postponed struct {
	Verdict <-chan error // yields once
}

// Error says that there is no verdict yet.
func (*Postponed) Error() string { return "not decided yet" }

// DrainTimeout is how long handlers may still run once Work is told to end. An issuer that takes longer is not worth
// waiting for, because every reconcile can be taken up again.
const DrainTimeout = 10 * time.Second

// Draining returns a context that ends DrainTimeout after ctx does, so that what was begun can end.
func Draining(ctx context.Context) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(DrainTimeout, cancel)
		context.AfterFunc(lasting, func() { timer.Stop() })
	})
	return lasting, func() { stop(); cancel() }
}
