package admit

import (
	"errors"
	"sync"

	"stanch/receiver/queue"
)

// ErrNotAttempted is wrapped by every error of a delivery that was no attempt, because nothing was tried yet. Such a delivery
// does not bring a page nearer.
var ErrNotAttempted = errors.New("nothing was tried yet")

// attemptsBeforePaging is how often a message is tried, within some seconds, before its failure is recorded and pages. It goes
// on being tried after that.
const attemptsBeforePaging = 4

// Attempts counts the deliveries of each message that were no attempts. The count is forgotten at a restart and not shared
// between engines; then a failure pages sooner, never later. The zero Attempts is ready; it is safe for concurrent use.
type Attempts struct {
	mu   sync.Mutex
	idle map[message]int
}

// message is how a message is known in all streams.
type message struct {
	subject string
	seq     uint64
}

// maxCounted bounds the counts, at more messages than may be in flight. Past it all are forgotten: they include those that
// another engine finished.
const maxCounted = 100_000

// Try takes a delivery, and tells it whether a failure is to be recorded now.
func (a *Attempts) Try(m queue.Message, take func(lastTry bool) error) error {
	err := take(a.last(m))
	a.note(m, err)
	return err
}

// last reports whether a delivery is the one whose failure is recorded and pages.
func (a *Attempts) last(m queue.Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return m.Delivered-a.idle[message{m.Subject, m.Seq}] >= attemptsBeforePaging
}

// note records how a delivery ended.
func (a *Attempts) note(m queue.Message, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	this := message{m.Subject, m.Seq}
	switch {
	case err == nil:
		delete(a.idle, this)
	case !errors.Is(err, ErrNotAttempted):
	case a.idle == nil, len(a.idle) >= maxCounted:
		a.idle = map[message]int{this: 1}
	default:
		a.idle[this]++
	}
}
