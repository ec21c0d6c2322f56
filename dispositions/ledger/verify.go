package ledger

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// maxProblems is how many problems a verification lists. The first one is what matters.
const maxProblems = 100

// progressEvery is after how many entries a verification says how far it has come.
const progressEvery = 1000

// Audit is what a verification of the log found.
type Audit struct {
	Entries     uint64 `json:"entries"`
	Incidents   int    `json:"incidents"`
	Checkpoints int    `json:"checkpoints"` // those in the store
	Logged      int    `json:"logged"`      // those from outside, which were given
	// Last commits to the log as it was read: what to expect of it from now on.
	Last Checkpoint `json:"last"`
	// Uncovered is how many entries at the end are newer than the newest checkpoint, of the store or from outside.
	Uncovered uint64 `json:"uncovered"`
	// Problems are where the log does not fit, by entry. The first is where to look; none: the log is as it was written.
	Problems []Problem `json:"problems"`
	Omitted  int       `json:"omitted,omitempty"` // further problems
}

// Problem is one place where the log does not fit.
type Problem struct {
	Entry uint64 `json:"entry,omitempty"` // its number in the log; 0: it is not about an entry
	// To is set when nobody can tell which one of the entries from Entry to To it is.
	To       uint64           `json:"to,omitempty"`
	Incident leak.Fingerprint `json:"incident,omitempty"`
	Step     leak.StepName    `json:"step,omitempty"` // the last one in the entry
	At       time.Time        `json:"at,omitzero"`    // when the entry was stored
	Text     string           `json:"text"`           // one sentence, for people
	Expected string           `json:"expected,omitempty"`
	Found    string           `json:"found,omitempty"`

	// span is the last entry that the problem may reach to, when it is not Entry or To.
	span uint64
}

// Reader is what a verification needs of a store.
type Reader interface {
	Scan(ctx context.Context, filter string) iter.Seq2[queue.Message, error]
	Stats(ctx context.Context, stream string) (queue.Stats, error)
}

// Verify reads the whole log that is in a store when it is called, and checks that nothing was changed, moved, put in or
// lost: each entry names the one before it of its incident, none is missing, the checkpoints in the store fit, and those
// that were logged outside of it, in any order, fit as well. It calls progress now and then. What does not fit is a
// [Problem]; an error means that the log could not be read.
func Verify(ctx context.Context, store Reader, logged []Checkpoint, progress func(done, all uint64)) (Audit, error) {
	v := &verifier{links: make(map[leak.Fingerprint]*link)}
	v.stored.what = "the checkpoint in the store"
	v.logged = track{what: "the checkpoint logged outside the store", list: sorted(logged)}
	v.audit.Logged = len(v.logged.list)
	if err := v.readCheckpoints(ctx, store); err != nil {
		return Audit{}, fmt.Errorf("reading the checkpoints: %w", err)
	}
	stats, err := v.stats(ctx, store, queue.Incidents)
	if err != nil {
		return Audit{}, err
	}
	for m, err := range store.Scan(ctx, queue.AllIncidents) {
		if err != nil {
			return Audit{}, fmt.Errorf("reading the log: %w", err)
		}
		v.entry(m)
		if v.digest.count%progressEvery == 0 {
			progress(m.Seq, max(m.Seq, stats.Last))
		}
	}
	v.end(stats)
	return v.audit, nil
}

// sorted are checkpoints by the entry that they cover, without those that are there twice.
func sorted(list []Checkpoint) []Checkpoint {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Checkpoint) int { return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Hash, b.Hash)) })
	return slices.CompactFunc(list, func(a, b Checkpoint) bool { return a.Seq == b.Seq && a.Hash == b.Hash })
}

// verifier is a verification under way.
type verifier struct {
	audit          Audit
	digest         digest
	links          map[leak.Fingerprint]*link // the newest of each incident so far
	stored, logged track
	problems       []*Problem
}

func (v *verifier) problem(p Problem) *Problem {
	p.span = max(p.span, p.Entry, p.To)
	if p.To == p.Entry {
		p.To = 0
	}
	v.problems = append(v.problems, &p)
	return &p
}

// stats looks at a stream as a whole.
func (v *verifier) stats(ctx context.Context, store Reader, stream string) (queue.Stats, error) {
	stats, err := store.Stats(ctx, stream)
	if err == nil && stats.Changed != "" {
		v.problem(Problem{Text: fmt.Sprintf("stream %s is not as stanch made it: %s was changed", stream, stats.Changed)})
	}
	return stats, err
}

// readCheckpoints reads those in the store.
func (v *verifier) readCheckpoints(ctx context.Context, store Reader) error {
	stats, err := v.stats(ctx, store, queue.Checkpoints)
	if err != nil {
		return err
	}
	var seq uint64
	for m, err := range store.Scan(ctx, queue.CheckpointSubject) {
		if err != nil {
			return err
		}
		if m.Seq != seq+1 {
			v.problem(Problem{Text: "checkpoints are missing: " + numbers(seq+1, m.Seq-1)})
		}
		seq = m.Seq
		v.checkpoint(m)
	}
	if seq < stats.Last {
		v.problem(Problem{Text: "checkpoints are missing: " + numbers(seq+1, stats.Last)})
	}
	return nil
}

// checkpoint takes one from the store.
func (v *verifier) checkpoint(m queue.Message) {
	v.audit.Checkpoints++
	c, err := decodeCheckpoint(m)
	switch list := v.stored.list; {
	case err != nil:
		v.problem(Problem{At: m.Time, Text: err.Error()})
	case c.Seq == 0 || c.Count != c.Seq || len(list) > 0 && list[len(list)-1].Seq >= c.Seq:
		v.problem(Problem{
			Entry: c.Seq, At: m.Time,
			Text: fmt.Sprintf("checkpoint %d, of entry %d, does not follow the one before it: it was changed", m.Seq, c.Seq),
		})
	default:
		v.stored.list = append(list, c)
	}
}

// numbers are the numbers from one to another as people write them.
func numbers(from, to uint64) string {
	if from == to {
		return fmt.Sprintf("number %d", from)
	}
	return fmt.Sprintf("numbers %d to %d", from, to)
}

// entry takes the next entry of the log.
func (v *verifier) entry(m queue.Message) {
	if want := v.digest.seq + 1; m.Seq != want {
		v.missing(want, m.Seq-1)
	}
	v.digest.add(m)
	v.chain(m)
	v.stored.pass(v)
	v.logged.pass(v)
}

func (v *verifier) missing(from, to uint64) {
	v.problem(Problem{Entry: from, To: to, Text: "entries of the log are missing, or cannot be read: " + numbers(from, to)})
}

// end checks what shows only when the whole log was read.
func (v *verifier) end(stats queue.Stats) {
	if v.digest.seq < stats.Last {
		v.missing(v.digest.seq+1, stats.Last)
	}
	v.stored.end(v)
	v.logged.end(v)
	v.audit.Entries, v.audit.Incidents = v.digest.count, len(v.links)
	v.audit.Last = v.digest.checkpoint()
	v.audit.Uncovered = v.digest.seq - min(v.digest.seq, max(v.stored.good.Seq, v.logged.good.Seq))
	slices.SortStableFunc(v.problems, func(a, b *Problem) int { return cmp.Compare(a.Entry, b.Entry) })
	v.audit.Omitted = max(0, len(v.problems)-maxProblems)
	v.audit.Problems = make([]Problem, 0, len(v.problems))
	for _, p := range v.problems[:len(v.problems)-v.audit.Omitted] {
		v.audit.Problems = append(v.audit.Problems, *p)
	}
}
