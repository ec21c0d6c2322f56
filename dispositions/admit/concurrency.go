package admit

import (
	"sync"
	"time"
)

// concurrency is an adaptive limit on the passes at one issuer. It starts small and doubles with each round of passes until the
// issuer says that it is asked too much. Then it halves, and grows by one a round, so that it stays near what the issuer bears.
type concurrency struct {
	slots chan struct{} // holds one for each pass that may start

	mu        sync.Mutex
	limit     int // slots, those taken included
	owed      int // of those taken, how many are dropped when they are released
	threshold int // up to this limit each pass that ends adds a slot; above it, each round does
	ended     int // passes since the last slot was added
	pausedTo  time.Time
}

// initialLimit is the limit to begin with, if the issuer has room for as many.
const initialLimit = 32

func newConcurrency(most int) *concurrency {
	c := &concurrency{slots: make(chan struct{}, most), limit: min(most, initialLimit), threshold: most}
	for range c.limit {
		c.slots <- struct{}{}
	}
	return c
}

// release gives a slot back, and adds another when it is time for one.
func (c *concurrency) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended++
	if c.owed > 0 {
		c.owed--
	} else {
		c.slots <- struct{}{}
	}
	if c.limit < cap(c.slots) && (c.limit < c.threshold || c.ended >= c.limit) {
		c.limit, c.ended = c.limit+1, 0
		c.slots <- struct{}{}
	}
}

// pause stops everybody for a while, because a call that began at a time was refused. The limit halves once a pause: what was
// asked before the last halving says nothing about the smaller limit.
func (c *concurrency) pause(began time.Time, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	known := began.Before(c.pausedTo)
	c.pausedTo = later(c.pausedTo, now.Add(wait))
	if known {
		return
	}
	gone := c.limit / 2
	c.limit, c.threshold, c.ended = c.limit-gone, c.limit-gone, 0
	for ; gone > 0; gone-- {
		select {
		case <-c.slots:
		default:
			c.owed++
		}
	}
}

// pausedFor is how much longer nobody asks.
func (c *concurrency) pausedFor(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pausedTo.Sub(now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
