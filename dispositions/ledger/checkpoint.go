package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"stanch/receiver/queue"
)

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

func decodeCheckpoint(m queue.Message) (c Checkpoint, err error) {
	if json.Unmarshal(m.Data, &c) != nil {
		return Checkpoint{}, fmt.Errorf("reading checkpoint %d: it is damaged: %w", m.Seq, ErrBroken)
	}
	if c.V > checkpointVersion {
		return Checkpoint{}, fmt.Errorf("reading checkpoint %d: version %d is newer than this program", m.Seq, c.V)
	}
	return c, nil
}
