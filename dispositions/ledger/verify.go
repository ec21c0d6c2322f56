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

// link is the newest entry of an incident so far.
type link struct {
	seq  uint64
	at   time.Time
	step leak.StepName
	prev string // the hash that it names
	hash string
	// doubt is the problem that this entry does not name the one before it. Which of the two was changed shows when the
	// next one comes.
	doubt *Problem
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
	case c.Count != c.Seq || len(list) > 0 && list[len(list)-1].Seq >= c.Seq:
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

// chain checks an entry against the one before it of its incident.
func (v *verifier) chain(m queue.Message) {
	id := incidentOf(m)
	before := v.links[id]
	now := &link{seq: m.Seq, at: m.Time, hash: hash(m.Data)}
	v.links[id] = now
	entry, err := decode(m)
	if err != nil {
		v.problem(Problem{Entry: m.Seq, Incident: id, At: m.Time, Text: err.Error()})
		return
	}
	now.prev = entry.Prev
	if len(entry.Steps) > 0 {
		now.step = entry.Steps[len(entry.Steps)-1].Step
	}
	switch {
	case entry.Incident.ID != id:
		v.problem(now.problem(id, fmt.Sprintf("the entry is of incident %s, and lies with another", entry.Incident.ID.Short())))
	case before == nil && entry.Prev != "":
		p := now.problem(id, "the entry is the first of its incident and names one before it: what came before it is missing")
		p.Expected = entry.Prev
		v.problem(p)
	case before != nil && entry.Prev != before.hash:
		v.mismatch(id, before, now)
	}
}

// mismatch notes that an entry does not name the one before it. If the one before did not name its predecessor either, that
// one is what was changed; otherwise it is the predecessor, as far as anybody can tell.
func (v *verifier) mismatch(id leak.Fingerprint, before, now *link) {
	if before.doubt != nil {
		*before.doubt = before.problem(id, "the entry neither names the one before it of its incident, nor is it named by "+
			"the one after it: it was changed, moved or put in")
		before.doubt.Found = before.hash
		before.doubt.Expected, before.doubt.span = now.prev, now.seq
		return
	}
	p := before.problem(id, fmt.Sprintf("entry %d, the next one of the incident, names another one before it: "+
		"this entry was changed, or those between the two are missing", now.seq))
	p.Expected, p.Found, p.span = now.prev, before.hash, now.seq
	now.doubt = v.problem(p)
}

func (l *link) problem(id leak.Fingerprint, text string) Problem {
	return Problem{Entry: l.seq, Incident: id, Step: l.step, At: l.at, Text: text}
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

// explained reports whether a problem may lie among some entries already, which makes a checkpoint behind them wrong too.
func (v *verifier) explained(from, to uint64) bool {
	return slices.ContainsFunc(v.problems, func(p *Problem) bool { return p.span >= from && p.Entry <= to })
}

// ends are the newest entries of incidents among some entries: no later one vouches for them, so that only a checkpoint
// can tell that one of them was changed.
func (v *verifier) ends(from, to uint64) (ids []leak.Fingerprint) {
	for id, l := range v.links {
		if l.seq >= from && l.seq <= to {
			ids = append(ids, id)
		}
	}
	return ids
}

// track is a row of checkpoints along the log.
type track struct {
	what string
	list []Checkpoint // by entry
	next int
	good Checkpoint   // the newest that fits
	bad  []Checkpoint // those since then that do not
}

// pass compares the checkpoints of the entry that was just read. When one fits, the log up to there is as it was, and the
// ones before it that do not fit were changed themselves.
func (t *track) pass(v *verifier) {
	for ; t.next < len(t.list) && t.list[t.next].Seq <= v.digest.seq; t.next++ {
		c := t.list[t.next]
		if found := v.digest.checkpoint(); c.Seq != found.Seq || c.Count != found.Count || c.Hash != found.Hash {
			t.bad = append(t.bad, c)
			continue
		}
		for _, wrong := range t.bad {
			v.problem(Problem{Entry: wrong.Seq, At: wrong.At, Found: wrong.Hash, Text: fmt.Sprintf(
				"%s of entry %d was changed: it does not fit, and a later one does", t.what, wrong.Seq)})
		}
		t.good, t.bad = c, nil
	}
}

// end settles what no later checkpoint explains.
func (t *track) end(v *verifier) {
	if len(t.bad) > 0 && !v.explained(t.good.Seq+1, t.bad[0].Seq) {
		v.problem(t.changed(v))
	}
	if t.next == len(t.list) || v.explained(v.digest.seq+1, t.list[t.next].Seq) {
		return
	}
	cut := t.list[t.next]
	v.problem(Problem{Entry: v.digest.seq + 1, To: cut.Seq, At: cut.At, Expected: cut.Hash, Text: fmt.Sprintf(
		"the log ends with entry %d, and %s covers entry %d: its end was cut off", v.digest.seq, t.what, cut.Seq)})
}

// changed is the problem that a checkpoint does not fit although the entries before it seem to be in order.
func (t *track) changed(v *verifier) Problem {
	first, last := t.good.Seq+1, t.bad[0].Seq
	p := Problem{Entry: first, To: last, At: t.bad[0].At, Text: fmt.Sprintf(
		"%s of entry %d does not fit: of the entries from %d on one was changed, moved or put in, or is missing", t.what, last, first)}
	if ends := v.ends(first, last); len(ends) == 1 {
		p = v.links[ends[0]].problem(ends[0], fmt.Sprintf("%s of entry %d does not fit: this entry, to which no later one "+
			"refers, was changed, or another one before the checkpoint was moved or put in, or is missing", t.what, last))
	}
	p.Expected = t.bad[0].Hash
	return p
}
