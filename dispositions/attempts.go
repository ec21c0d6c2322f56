package dispositions

import (
	"errors"
	"sync"

	"stanch/receiver/queue"
)

// attempts counts how often a message went back to the queue because its issuer's lane was crowded: so many of its deliveries
// were no attempts, and must not page. It is forgotten at a restart, and other engines have counts of their own; then a
// failure pages sooner, and never later.
type attempts struct {
	mu      sync.Mutex
	crowded map[message]int
}

// message is how a message is known in all streams.
type message struct {
	subject string
	seq     uint64
}

// maxCrowded is how many messages are counted, more than may be handed out at once. What another engine ended is forgotten
// with all others when there are more.
const maxCrowded = 100_000

// last reports whether a delivery is the one whose failure is recorded and pages.
func (a *attempts) last(m queue.Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return m.Delivered-a.crowded[message{m.Subject, m.Seq}] >= attemptsBeforePaging
}

// note takes down how a delivery ended.
func (a *attempts) note(m queue.Message, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	this := message{m.Subject, m.Seq}
	switch {
	case err == nil:
		delete(a.crowded, this)
	case !errors.Is(err, errCrowded):
	case a.crowded == nil, len(a.crowded) >= maxCrowded:
		a.crowded = map[message]int{this: 1}
	default:
		a.crowded[this]++
	}
}

// try takes a turn for a message, and tells it whether a failure is recorded now.
func (a *attempts) try(m queue.Message, take func(lastTry bool) error) error {
	err := take(a.last(m))
	a.note(m, err)
	return err
}
