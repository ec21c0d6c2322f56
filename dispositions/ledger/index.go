package ledger

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"stanch/receiver/leak"
)

// Index knows the state of every incident, so that lists and counts need not walk the log. It folds the log once and
// then follows it; what it answers before it has caught up is incomplete. It keeps little of an incident, because there
// can be a million. It is safe for concurrent use.
type Index struct {
	ledger *Ledger
	ready  chan struct{}

	mu     sync.RWMutex
	rows   map[leak.Fingerprint]row
	counts map[leak.State]int
	fused  int
	live   map[leak.Fingerprint]time.Time // until when tokens of a dead key may work; those that are over are dropped when counted
}

type row struct {
	state    leak.State
	received int64 // Unix nanoseconds
	fused    bool
}

// NewIndex returns an index of a ledger, empty until Run has caught up.
func NewIndex(l *Ledger) *Index {
	return &Index{
		ledger: l, ready: make(chan struct{}), rows: map[leak.Fingerprint]row{}, counts: map[leak.State]int{},
		live: map[leak.Fingerprint]time.Time{},
	}
}

// Run keeps the index until ctx ends.
func (x *Index) Run(ctx context.Context) error {
	return x.ledger.Follow(ctx, time.Time{}, func() { close(x.ready) }, func(e leak.Entry) { x.note(e.Incident) })
}

// Ready is closed when everything that was in the log when Run began is known.
func (x *Index) Ready() <-chan struct{} { return x.ready }

// Counts returns how many incidents there are in each state.
func (x *Index) Counts() map[leak.State]int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	counts := make(map[leak.State]int, len(leak.States))
	for _, state := range leak.States {
		counts[state] = x.counts[state]
	}
	return counts
}

// Fused returns how many incidents the fuse holds.
func (x *Index) Fused() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.fused
}

// TokensLive returns how many incidents have a dead key whose tokens may still work.
func (x *Index) TokensLive() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(x.live, func(_ leak.Fingerprint, until time.Time) bool { return !until.After(now) })
	return len(x.live)
}

// Query says which incidents a list is to show.
type Query struct {
	State leak.State // empty: every state
	Limit int        // the newest so many; 0: all
}

// Find returns the one incident whose id begins with a prefix, as people copy it from a table. It returns ErrNoIncident
// when there is none, and an error when there are several.
func (x *Index) Find(prefix string) (leak.Fingerprint, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if _, ok := x.rows[leak.Fingerprint(prefix)]; ok {
		return leak.Fingerprint(prefix), nil
	}
	var found leak.Fingerprint
	for id := range x.rows {
		if prefix == "" || !strings.HasPrefix(string(id), prefix) {
			continue
		}
		if found != "" {
			return "", errors.New("several incidents begin like that: give more of the id")
		}
		found = id
	}
	if found == "" {
		return "", ErrNoIncident
	}
	return found, nil
}

// IDs returns the ids of incidents, newest first.
func (x *Index) IDs(q Query) []leak.Fingerprint {
	x.mu.RLock()
	ids := make([]leak.Fingerprint, 0, len(x.rows))
	for id, r := range x.rows {
		if q.State == "" || r.state == q.State {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b leak.Fingerprint) int {
		return cmp.Or(cmp.Compare(x.rows[b].received, x.rows[a].received), cmp.Compare(a, b))
	})
	x.mu.RUnlock()
	if q.Limit > 0 && len(ids) > q.Limit {
		ids = ids[:q.Limit]
	}
	return ids
}

func (x *Index) note(i leak.Incident) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old, ok := x.rows[i.ID]; ok {
		x.count(old, -1)
	}
	fresh := row{state: intern(i.State), received: i.ReceivedAt.UnixNano(), fused: i.State == leak.Held && i.Rule == FuseRule}
	x.rows[i.ID] = fresh
	delete(x.live, i.ID)
	if i.TokensLiveUntil.After(time.Now()) {
		x.live[i.ID] = i.TokensLiveUntil
	}
	x.count(fresh, 1)
}

func (x *Index) count(r row, by int) {
	x.counts[r.state] += by
	if r.fused {
		x.fused += by
	}
}

// FuseRule is the rule that an incident names which the fuse holds back.
const FuseRule = "fuse"

// intern returns the constant for a state, so that a row does not keep the entry that it was read from.
func intern(s leak.State) leak.State {
	if i := slices.Index(leak.States, s); i >= 0 {
		return leak.States[i]
	}
	return leak.State(strings.Clone(string(s)))
}
