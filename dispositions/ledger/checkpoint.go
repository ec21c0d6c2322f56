package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
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

// lastCheckpointTimeout is how long the last checkpoint may take, which is made when the process ends.
const lastCheckpointTimeout = 2 * time.Second

// CheckpointMessage is the message of the line that is logged for each checkpoint, with its seq, count and hash.
const CheckpointMessage = "checkpoint"

// checkpointVersion is the version of Checkpoint that this package writes; it reads those up to it.
const checkpointVersion = 1

// Checkpoint commits to every entry of the log up to one. Whoever keeps a copy of it elsewhere can tell whether any of
// these was changed, moved, put in or lost since.
type Checkpoint struct {
	V     int    `json:"v"`     // format version, 1
	Seq   uint64 `json:"seq"`   // of the last entry that it covers
	Count uint64 `json:"count"` // of those entries: as many as Seq, because none is ever deleted
	// Hash is h(Count) in hex, where h(0) is 32 zero bytes and h(n) the SHA-256 of h(n-1) and the SHA-256 of the nth entry.
	Hash string    `json:"hash"`
	At   time.Time `json:"at"` // when the last entry was stored
}

// String is the form in which people hand a checkpoint on: SEQ:HASH.
func (c Checkpoint) String() string { return fmt.Sprintf("%d:%s", c.Seq, c.Hash) }

// ParseCheckpoint reads what String returned. Count is Seq, and the time is not known.
func ParseCheckpoint(s string) (Checkpoint, error) {
	before, hash, _ := strings.Cut(s, ":")
	seq, err := strconv.ParseUint(before, 10, 64)
	if raw, bad := hex.DecodeString(hash); err != nil || bad != nil || len(raw) != sha256.Size || seq == 0 {
		return Checkpoint{}, errors.New("a checkpoint is the number of an entry and 64 hexadecimal digits, with a colon between them")
	}
	return Checkpoint{V: checkpointVersion, Seq: seq, Count: seq, Hash: strings.ToLower(hash)}, nil
}

// digest is the rolling hash over the log, as far as it was read.
type digest struct {
	seq, count uint64
	sum        [sha256.Size]byte
	at         time.Time
}

func (d *digest) add(m queue.Message) {
	entry := sha256.Sum256(m.Data)
	d.seq, d.at = m.Seq, m.Time
	d.count++
	d.sum = sha256.Sum256(append(d.sum[:], entry[:]...))
}

func (d *digest) checkpoint() Checkpoint {
	return Checkpoint{V: checkpointVersion, Seq: d.seq, Count: d.count, Hash: hex.EncodeToString(d.sum[:]), At: d.at.UTC()}
}

// resumed is the digest that a checkpoint holds.
func resumed(c Checkpoint) (d digest, err error) {
	raw, err := hex.DecodeString(c.Hash)
	if err != nil || len(raw) != sha256.Size {
		return digest{}, fmt.Errorf("reading the checkpoint of entry %d: it is damaged: %w", c.Seq, ErrBroken)
	}
	d = digest{seq: c.Seq, count: c.Count, at: c.At}
	copy(d.sum[:], raw)
	return d, nil
}

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
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.follow(ctx) })
	group.Go(func() error { return c.write(ctx) })
	return group.Wait()
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

func decodeCheckpoint(m queue.Message) (c Checkpoint, err error) {
	if json.Unmarshal(m.Data, &c) != nil {
		return Checkpoint{}, fmt.Errorf("reading checkpoint %d: it is damaged: %w", m.Seq, ErrBroken)
	}
	if c.V > checkpointVersion {
		return Checkpoint{}, fmt.Errorf("reading checkpoint %d: version %d is newer than this program", m.Seq, c.V)
	}
	return c, nil
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

// write makes a checkpoint whenever one is due, and when ctx ends. One that cannot be stored is made the next time.
func (c *Checkpoints) write(ctx context.Context) error {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
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
	return nil
}

// checkpoint makes one of what was read so far, unless that is covered.
func (c *Checkpoints) checkpoint(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCheckpointTimeout)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	made := c.digest.checkpoint()
	if c.behind || made.Seq <= c.last.Seq {
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
