package dispositions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stanch/dispositions"
	"stanch/dispositions/admit"
	"stanch/dispositions/policy"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

var errCrashed = errors.New("the process is gone")

// crash stops the process at one point: the write or the call with that number fails, before or after it took effect,
// and so does everything after it.
type crash struct {
	at    int64
	after bool
	count atomic.Int64
	gone  chan struct{} // closed when the process is
}

func crashAfter(at int64, after bool) *crash {
	return &crash{at: at, after: after, gone: make(chan struct{})}
}

// pass counts a point and reports whether the process is still there before and after it.
func (c *crash) pass(do func() error) error {
	n := c.count.Add(1)
	if n > c.at {
		return errCrashed
	}
	var err error
	if n != c.at || c.after {
		err = do()
	}
	if n == c.at {
		close(c.gone)
		return errCrashed
	}
	return err
}

type crashingStore struct {
	queue.Store
	*crash
}

func (s crashingStore) Append(ctx context.Context, m ...queue.Message) error {
	return s.pass(func() error { return s.Store.Append(ctx, m...) })
}

func (s crashingStore) AppendAfter(ctx context.Context, m queue.Message, last uint64) (seq uint64, err error) {
	err = s.pass(func() (err error) { seq, err = s.Store.AppendAfter(ctx, m, last); return err })
	return seq, err
}

func (s crashingStore) Remove(ctx context.Context, subject string) error {
	return s.pass(func() error { return s.Store.Remove(ctx, subject) })
}

// Work hands out nothing any more when the process is gone.
func (s crashingStore) Work(ctx context.Context, c queue.Consumer, handle func(context.Context, queue.Message) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := s.Store.Work(ctx, c, handle); err != nil {
		return err
	}
	select {
	case <-s.gone:
		return errCrashed
	default:
		return nil
	}
}

type crashingCloud struct {
	*cloud
	*crash
}

func (c crashingCloud) Locate(ctx context.Context, s leak.Secret) (k leak.Key, err error) {
	err = c.pass(func() (err error) { k, err = c.cloud.Locate(ctx, s); return err })
	return k, err
}

func (c crashingCloud) Read(ctx context.Context, t dispositions.Target) (k leak.Key, err error) {
	err = c.pass(func() (err error) { k, err = c.cloud.Read(ctx, t); return err })
	return k, err
}

func (c crashingCloud) Disable(ctx context.Context, t dispositions.Target) error {
	return c.pass(func() error { return c.cloud.Disable(ctx, t) })
}

func (c crashingCloud) Enable(ctx context.Context, t dispositions.Target) error {
	return c.pass(func() error { return c.cloud.Enable(ctx, t) })
}

func (c crashingCloud) Delete(ctx context.Context, t dispositions.Target) error {
	return c.pass(func() error { return c.cloud.Delete(ctx, t) })
}

func (c crashingCloud) Unlock(ctx context.Context, t dispositions.Target) error {
	return c.pass(func() error { return c.cloud.Unlock(ctx, t) })
}

// TestStoppedBetweenAnyTwoTurns stops the process at every write and every call, before and after it, and starts it
// again: the key ends in its state with one outcome, and is not acted on more than twice.
func TestStoppedBetweenAnyTwoTurns(t *testing.T) {
	keys := map[string]leak.Key{
		"disable":   {Setting: leak.Disable},
		"delete":    {Setting: leak.Delete},
		"none":      {Setting: leak.Nothing},
		"disabled":  {Setting: leak.Disable, Disabled: true},
		"to unlock": {Setting: leak.Delete, Locked: true},
	}
	for name, key := range keys {
		for point := int64(1); point <= 9; point++ {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/%v", name, point, after), func(t *testing.T) {
					inFakeTime(t, func(w *world) {
						w.t, w.policy = t, policy.Config{Unlock: true}
						key.ID = "ApiKey-1"
						id := w.report(w.cloud.add(key), "https://example.com/1")
						w.crashAt(point, after)
						w.work(time.Hour)
						w.wantConverged(id, key)
					})
				})
			}
		}
	}
}

// crashAt runs an engine that crashes. Its failing calls are not worth waiting for longer than a moment.
func (w *world) crashAt(point int64, after bool) {
	c := crashAfter(point, after)
	stop := w.engine(crashingStore{w.store, c}, crashingCloud{w.cloud, c})
	time.Sleep(500 * time.Millisecond)
	stop()
}

func (w *world) wantConverged(id leak.Fingerprint, key leak.Key) {
	w.t.Helper()
	state, outcome := leak.Contained, leak.Proved
	if key.Setting == leak.Nothing {
		state, outcome = leak.Left, leak.Spared
	}
	if i := w.incident(id); i.State != state || i.Intended != "" || i.SightingCount != 1 {
		w.t.Errorf("got %s, intended %q, %d sightings; want %s", i.State, i.Intended, i.SightingCount, state)
	}
	if n := strings.Count(w.steps(id), string(outcome)); n != 1 {
		w.t.Errorf("%d outcomes in %q, want one", n, w.steps(id))
	}
	now, there := w.cloud.get(key.ID)
	wantThere, wantDisabled := key.Setting != leak.Delete, key.Setting == leak.Disable
	if there != wantThere || now.Disabled != wantDisabled {
		w.t.Errorf("the key: there %v, disabled %v", there, now.Disabled)
	}
	for _, op := range []string{"disable", "delete"} {
		if n := w.cloud.count(op, key.ID); n > 2 {
			w.t.Errorf("%s was called %d times", op, n)
		}
	}
	if w.kept(id) {
		w.t.Error("the secret is still kept")
	}
	stats, err := w.store.Stats(context.Background(), queue.Alerts)
	if err != nil || stats.Messages != 0 {
		w.t.Errorf("the queue still holds %d, %v", stats.Messages, err)
	}
}

// TestTwoEngines lets two engines work off the same alerts: CAS keeps one outcome an incident.
func TestTwoEngines(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.fuse = admit.FuseLimit{Max: 1000, Per: time.Minute}
		var ids []leak.Fingerprint
		for n := range 50 {
			value := w.cloud.add(leak.Key{ID: fmt.Sprintf("ApiKey-%d", n), Setting: leak.Disable})
			for place := range 4 {
				w.report(value, fmt.Sprintf("https://example.com/%d", place))
			}
			ids = append(ids, w.report(value, "https://example.com/last"))
		}
		stop := w.engine(w.store, w.cloud)
		w.work(time.Minute)
		stop()
		for _, id := range ids {
			if i := w.incident(id); i.State != leak.Contained || i.SightingCount != 5 {
				w.t.Errorf("got %s, %d sightings", i.State, i.SightingCount)
			}
			if n := strings.Count(w.steps(id), "proved"); n != 1 {
				w.t.Errorf("%d outcomes: %s", n, w.steps(id))
			}
		}
	})
}

// TestOutlives lets one of two engines die for good: the other ends what it had in the retry queue within minutes. While both live
// they ask the issuer no more often than one does alone.
func TestOutlives(t *testing.T) {
	inFakeTime(t, func(w *world) {
		const keys = 10
		asked := 0
		w.cloud.spoil(func(string, bool) error { asked++; return errors.New("status 503") })
		c := crashAfter(1<<40, false)
		mortal := w.engine(crashingStore{w.store, c}, crashingCloud{w.cloud, c})
		survivor := w.engine(w.store, w.cloud)
		var ids []leak.Fingerprint
		for n := range keys {
			value := w.cloud.add(leak.Key{ID: fmt.Sprintf("ApiKey-%d", n), Setting: leak.Disable})
			ids = append(ids, w.report(value, "https://example.com/1"))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if asked > 20*keys {
			t.Errorf("the issuer was asked %d times about %d keys within an hour", asked, keys)
		}
		close(c.gone)
		mortal()
		w.cloud.spoil(nil)
		time.Sleep(10 * time.Minute)
		survivor()
		for _, id := range ids {
			if i := w.incident(id); i.State != leak.Contained {
				t.Errorf("the engine that lives left an incident %s: %s", i.State, w.steps(id))
			}
		}
	})
}
