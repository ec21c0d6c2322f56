package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"stanch/receiver/queue"
)

// A checkpoint is appended after so many entries, or, when there are fewer, after a time: that is how much of the log's
// end could be cut off without anybody noticing.
const (
	checkpointEntries = 1000
	checkpointEvery   = 5 * time.Minute
)

// checkpointTimeout is how long the store may take for a checkpoint; at the end of the process, to read up to it as well.
const checkpointTimeout = 2 * time.Second

// Checkpoints makes checkpoints of a log while it grows: each is appended to a stream of its own, and logged as
// "checkpoint" with seq, count and hash, so that a copy of it lies outside the store. Several may run on one store; the
// one that appends a checkpoint logs it.
type Checkpoints struct {
	store queue.Store
	log   *slog.Logger
	due   chan struct{}

	mu      sync.Mutex
	digest  digest     // of what was read so far
	last    Checkpoint // the newest one
	lastSeq uint64     // its sequence in its stream
	behind  bool       // what was in the log at the start is not all read yet
}

// NewCheckpoints returns what makes checkpoints of the log in a store.
func NewCheckpoints(store queue.Store, log *slog.Logger) *Checkpoints {
	return &Checkpoints{store: store, log: log, due: make(chan struct{}, 1)}
}

// Run makes checkpoints until ctx ends, and then a last one. It goes on behind the newest checkpoint there is. When the
// log does not fit that one it says so in the log, once, and makes no more: they would cover up what "audit verify" finds.
func (c *Checkpoints) Run(ctx context.Context) error {
	err := c.run(ctx)
	if errors.Is(err, ErrBroken) {
		c.log.Error("the log does not fit its checkpoints: run 'stanch audit verify'", "err", err)
		<-ctx.Done()
		return nil
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("making checkpoints of the log: %w", err)
	}
	return nil
}

func (c *Checkpoints) run(ctx context.Context) error {
	if err := c.resume(ctx); err != nil {
		return err
	}
	group, working := errgroup.WithContext(ctx)
	group.Go(func() error { return c.follow(working) })
	group.Go(func() error { return c.write(working) })
	if err := group.Wait(); err != nil {
		return err
	}
	return c.finish(ctx)
}

// finish makes the last checkpoint, of as much of the log as can be read in a moment.
func (c *Checkpoints) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkpointTimeout)
	defer cancel()
	err := c.store.Follow(ctx, queue.AllIncidents, c.digest.at, cancel, c.add)
	if err == nil || errors.Is(err, errSkipped) {
		err = c.checkpoint(ctx)
	}
	if err != nil && !errors.Is(err, ErrBroken) {
		c.log.Warn("the last checkpoint cannot be stored", "err", err)
		return nil
	}
	return err
}

// resume takes up the newest checkpoint. A log that is shorter was cut.
func (c *Checkpoints) resume(ctx context.Context) error {
	if err := c.readLast(ctx); err != nil {
		return err
	}
	c.behind = true
	stats, err := c.store.Stats(ctx, queue.Incidents)
	if err != nil {
		return err
	}
	if stats.Last < c.last.Seq {
		return fmt.Errorf("the log ends with entry %d, and its checkpoint covers entry %d: %w", stats.Last, c.last.Seq, ErrBroken)
	}
	if c.last.Seq == 0 {
		return nil
	}
	c.digest, err = resumed(c.last)
	return err
}

// readLast reads the newest checkpoint, if there is one.
func (c *Checkpoints) readLast(ctx context.Context) error {
	message, err := c.store.Last(ctx, queue.CheckpointSubject)
	if errors.Is(err, queue.ErrNoMessage) {
		return nil
	}
	if err != nil {
		return err
	}
	last, err := decodeCheckpoint(message)
	if err != nil {
		return err
	}
	c.last, c.lastSeq = last, message.Seq
	return nil
}

// follow reads the log. What the newest checkpoint covers is not read again, unless the clock went back since: then the
// time that it names finds too little, and everything is read.
func (c *Checkpoints) follow(ctx context.Context) error {
	since := c.digest.at
	err := c.followSince(ctx, since)
	if errors.Is(err, errSkipped) && !since.IsZero() {
		c.mu.Lock()
		c.digest, c.behind = digest{}, true
		c.mu.Unlock()
		return c.followSince(ctx, time.Time{})
	}
	return err
}

func (c *Checkpoints) followSince(ctx context.Context, since time.Time) error {
	caughtUp := func() {
		c.mu.Lock()
		c.behind = false
		c.mu.Unlock()
		c.call()
	}
	return c.store.Follow(ctx, queue.AllIncidents, since, caughtUp, c.add)
}

// errSkipped means that an entry does not follow the one before it.
var errSkipped = fmt.Errorf("an entry of the log is missing: %w", ErrBroken)

// add takes one entry of the log.
func (c *Checkpoints) add(m queue.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Seq <= c.digest.seq {
		return nil
	}
	if m.Seq != c.digest.seq+1 {
		return fmt.Errorf("entry %d follows entry %d: %w", m.Seq, c.digest.seq, errSkipped)
	}
	c.digest.add(m)
	if c.digest.seq == c.last.Seq && c.digest.checkpoint().Hash != c.last.Hash {
		return fmt.Errorf("comparing the checkpoint of entry %d: %w", c.last.Seq, ErrBroken)
	}
	if !c.behind && c.digest.count >= c.last.Count+checkpointEntries {
		c.call()
	}
	return nil
}

// call asks for a checkpoint now.
func (c *Checkpoints) call() {
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// write makes a checkpoint whenever one is due, until ctx ends. One that cannot be stored is made the next time.
func (c *Checkpoints) write(ctx context.Context) error {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.due:
		}
		err := c.checkpoint(ctx)
		if errors.Is(err, ErrBroken) {
			return err
		}
		if err != nil {
			c.log.Warn("a checkpoint cannot be stored", "err", err)
		}
	}
}

// checkpoint makes one of what was read so far, unless that is covered.
func (c *Checkpoints) checkpoint(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkpointTimeout)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	made := c.digest.checkpoint()
	if made.Seq <= c.last.Seq {
		return nil
	}
	data, err := json.Marshal(made)
	if err != nil {
		return err
	}
	message := queue.Message{Subject: queue.CheckpointSubject, Data: data}
	seq, err := c.store.AppendAfter(ctx, message, c.lastSeq)
	if errors.Is(err, queue.ErrConflict) {
		return c.conflict(ctx, made)
	}
	if err != nil {
		return err
	}
	c.last, c.lastSeq = made, seq
	c.tell(made)
	return nil
}

// conflict takes over the checkpoint that another engine made, or our own if its acknowledgement was lost.
func (c *Checkpoints) conflict(ctx context.Context, made Checkpoint) error {
	if err := c.readLast(ctx); err != nil {
		return err
	}
	if c.last.Seq != made.Seq {
		return nil
	}
	if c.last.Hash != made.Hash {
		return fmt.Errorf("comparing the checkpoint of entry %d with another engine's: %w", made.Seq, ErrBroken)
	}
	c.tell(made)
	return nil
}

// tell puts a checkpoint outside the store.
func (c *Checkpoints) tell(made Checkpoint) {
	c.log.Info(CheckpointMessage, "seq", made.Seq, "count", made.Count, "hash", made.Hash)
}
