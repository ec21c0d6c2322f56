package deliver

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"stanch/receiver/leak"
)

// group is what is told in one notice. The sender's lock guards it while the sender holds it; the teller has it to itself.
type group struct {
	due       time.Time
	members   map[uint64]member // by sequence
	announced *announcement     // nil: it was not yet
	tries     tries
}

// member is one entry that waits for its group to be told.
type member struct {
	entry  leak.Entry
	origin trace.SpanContext // of the reconcile that made it
	done   chan error        // yields when the group was told
}

func newGroup(due time.Time) *group {
	return &group{due: due, members: map[uint64]member{}}
}

// add takes an entry in, and returns what yields when the group was told. An entry that comes again, because its
// acknowledgement was overdue, replaces itself.
func (g *group) add(seq uint64, m member) <-chan error {
	m.done = make(chan error, 1)
	g.members[seq] = m
	return m.done
}

// expects reports whether an entry belongs to what was announced before a crash.
func (g *group) expects(seq uint64) bool {
	return g.announced != nil && slices.Contains(g.announced.Seqs, seq)
}

// complete reports whether everything that was announced has come back.
func (g *group) complete() bool {
	return g.announced == nil || len(g.members) == len(g.announced.Seqs)
}

// conclude acknowledges every member.
func (g *group) conclude() {
	for _, m := range g.members {
		m.done <- nil
	}
}

// release acknowledges, and takes out, the members that were told meanwhile: they were handed out again because their
// acknowledgement was overdue.
func (g *group) release(told func(seq uint64) bool) {
	for seq, m := range g.members {
		if told(seq) {
			m.done <- nil
			delete(g.members, seq)
		}
	}
}

// seqs are the sequences of the members, in order.
func (g *group) seqs() []uint64 { return slices.Sorted(maps.Keys(g.members)) }

// newest are the newest entries of each incident, in order.
func (g *group) newest() []leak.Entry {
	last := map[leak.Fingerprint]uint64{}
	for seq, m := range g.members {
		last[m.entry.Incident.ID] = max(last[m.entry.Incident.ID], seq)
	}
	var entries []leak.Entry
	for _, seq := range slices.Sorted(maps.Values(last)) {
		entries = append(entries, g.members[seq].entry)
	}
	return entries
}

// origins are where the traces of the members stood.
func (g *group) origins() []trace.SpanContext {
	var all []trace.SpanContext
	for _, seq := range g.seqs() {
		if origin := g.members[seq].origin; origin.IsValid() {
			all = append(all, origin)
		}
	}
	return all
}

// announcement names the members, under an id that is the same whenever the members are the same.
func (g *group) announcement() *announcement {
	seqs := g.seqs()
	ids := make([]string, len(seqs))
	for i, seq := range seqs {
		ids[i] = g.members[seq].entry.ID
	}
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return &announcement{ID: hex.EncodeToString(sum[:]), Seqs: seqs}
}
