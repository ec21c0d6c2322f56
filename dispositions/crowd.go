package dispositions

import (
	"sync"
	"time"
)

// crowd is the turns at one issuer, and how many there may be. It starts with a few, and has more as turns end, up to all
// there are: twice as many for each round of turns, until the issuer says that it is asked too much. Then half of them are
// gone, and come back one a round, so that the crowd stays about as large as the issuer bears.
type crowd struct {
	places chan struct{} // holds one for each turn that may enter

	mu     sync.Mutex
	size   int // places, those taken included
	owed   int // of those taken, how many are gone when they are given back
	steep  int // up to which size each turn that ends makes a place
	ended  int // turns, since the last place was made, of a crowd of that size and more
	closed time.Time
}

// firstPlaces is with how many places a lane starts at most.
const firstPlaces = 32

func newCrowd(most int) *crowd {
	c := &crowd{places: make(chan struct{}, most), size: min(most, firstPlaces), steep: most}
	for range c.size {
		c.places <- struct{}{}
	}
	return c
}

// leave gives a place back, and makes another when it is time for one.
func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended++
	if c.owed > 0 {
		c.owed--
	} else {
		c.places <- struct{}{}
	}
	if c.size < cap(c.places) && (c.size < c.steep || c.ended >= c.size) {
		c.size, c.ended = c.size+1, 0
		c.places <- struct{}{}
	}
}

// close keeps everybody from asking for a while, because a question that was asked at a time was refused. What was asked
// before the crowd was made smaller says nothing of the smaller one.
func (c *crowd) close(asked time.Time, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	known := asked.Before(c.closed)
	c.closed = later(c.closed, now.Add(wait))
	if known {
		return
	}
	gone := c.size / 2
	c.size, c.steep, c.ended = c.size-gone, c.size-gone, 0
	for ; gone > 0; gone-- {
		select {
		case <-c.places:
		default:
			c.owed++
		}
	}
}

// closedFor is how long nobody asks any more.
func (c *crowd) closedFor(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed.Sub(now)
}
