package ledger

import (
	"fmt"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

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
