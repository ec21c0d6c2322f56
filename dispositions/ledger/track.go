package ledger

import (
	"fmt"
	"slices"

	"stanch/receiver/leak"
)

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
