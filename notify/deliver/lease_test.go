package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stanch/notify/deliver"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
)

// process is a dispatcher of its own on a store that several share, as another process would have it.
type process struct {
	*channel
	stop func()
}

func newProcess(t *testing.T, store queue.Store) *process {
	t.Helper()
	p := &process{channel: &channel{}}
	p.stop = start(t, deliver.Config{
		Store: store, Shared: true, Settings: deliver.Settings{Routes: map[string]deliver.Route{"c": {Notifier: p.channel, Burst: 1000}}},
	})
	return p
}

// TestSharedNotifier: of several processes one serves a notifier. When it ends in order another one takes its place at once,
// when it vanishes within half a minute, and each entry is told once.
func TestSharedNotifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memory.New()
		one := &cutOff{Store: shared}
		first := newProcess(t, one)
		time.Sleep(time.Second)
		second, third := newProcess(t, shared), newProcess(t, shared)
		told := func() (int, int, int) { return len(first.ids()), len(second.ids()), len(third.ids()) }
		want := func(when string, a, b, c int) {
			t.Helper()
			if x, y, z := told(); x != a || y != b || z != c {
				t.Errorf("%s: the processes told %d, %d and %d notices, want %d, %d and %d", when, x, y, z, a, b, c)
			}
		}
		tell := func(n int) {
			for i := range n {
				log(t, shared, news(fmt.Sprintf("%d-%d", time.Now().Unix(), i)))
			}
			time.Sleep(time.Minute)
		}
		// 1. One tells everything, for as long as it is there.
		tell(5)
		time.Sleep(time.Hour)
		tell(5)
		want("together", 10, 0, 0)
		// 2. It loses the store, and another takes its place.
		one.cut()
		tell(5)
		if x, y, z := told(); x != 10 || y+z != 5 {
			t.Errorf("after the first was cut off: the processes told %d, %d and %d notices, want 10 and 5 by one", x, y, z)
		}
		first.stop()
		// 3. It ends in order.
		heir, other := second, third
		if len(third.ids()) > 0 {
			heir, other = third, second
		}
		heir.stop()
		before := time.Now()
		log(t, shared, news("last"))
		for len(other.ids()) == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(before); took > 5*time.Second {
			t.Errorf("another one took its place after %v of fake time, want at once", took)
		}
		other.stop()
	})
}

// cutOff is the way of one process to a store, until it is cut.
type cutOff struct {
	queue.Store
	mu   sync.Mutex
	over bool
}

var errCut = errors.New("the store is out of reach")

func (c *cutOff) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}

func (c *cutOff) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

func (c *cutOff) Last(ctx context.Context, subject string) (queue.Message, error) {
	if c.gone() {
		return queue.Message{}, errCut
	}
	return c.Store.Last(ctx, subject)
}

func (c *cutOff) AppendAfter(ctx context.Context, m queue.Message, last uint64) (uint64, error) {
	if c.gone() {
		return 0, errCut
	}
	return c.Store.AppendAfter(ctx, m, last)
}

func (c *cutOff) Append(ctx context.Context, messages ...queue.Message) error {
	if c.gone() {
		return errCut
	}
	return c.Store.Append(ctx, messages...)
}

func (c *cutOff) Work(ctx context.Context, consumer queue.Consumer, handle func(context.Context, queue.Message) error) error {
	return c.Store.Work(ctx, consumer, func(ctx context.Context, m queue.Message) error {
		if c.gone() {
			return &queue.Later{Delay: time.Second, Err: errCut} // it would not have been handed out
		}
		return handle(ctx, m)
	})
}
