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
	rows   map[leak.Fingerprint]*row
	order  []*row // oldest first
	counts map[leak.State]int
	fused  map[leak.Fingerprint]Account
	live   map[leak.Fingerprint]time.Time // until when tokens of a dead key may work; those that are over are dropped when counted
}

type row struct {
	id       leak.Fingerprint
	state    leak.State
	received int64  // Unix nanoseconds
	words    string // what a text is looked for in
}

// Account is an account at an issuer, by its configured name.
type Account struct{ Issuer, ID string }

// NewIndex returns an index of a ledger, empty until Run has caught up.
func NewIndex(l *Ledger) *Index {
	return &Index{
		ledger: l, ready: make(chan struct{}), rows: map[leak.Fingerprint]*row{}, counts: map[leak.State]int{},
		fused: map[leak.Fingerprint]Account{}, live: map[leak.Fingerprint]time.Time{},
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
	return len(x.fused)
}

// FusedIn returns how many incidents the fuse holds in each account where it holds some.
func (x *Index) FusedIn() map[Account]int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	counts := map[Account]int{}
	for _, account := range x.fused {
		counts[account]++
	}
	return counts
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
	State leak.State       // empty: every state
	Text  string           // only those whose id begins with it, or whose key has it in its name or id, in either case; empty: all
	After leak.Fingerprint // only those that come after this incident, in the order of the list; empty: from the beginning
	Limit int              // the newest so many; 0: all
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

// IDs returns the ids of incidents, newest first. After an incident that there is not, there is none.
func (x *Index) IDs(q Query) []leak.Fingerprint {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ids := []leak.Fingerprint{}
	text := strings.ToLower(q.Text)
	for _, r := range slices.Backward(x.before(q.After)) {
		if q.Limit > 0 && len(ids) == q.Limit {
			break
		}
		if (q.State == "" || r.state == q.State) && r.has(text) {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// before are the rows that are older than an incident; all, when none is named. The lock is held.
func (x *Index) before(id leak.Fingerprint) []*row {
	if id == "" {
		return x.order
	}
	last, ok := x.rows[id]
	if !ok {
		return nil
	}
	at, _ := slices.BinarySearchFunc(x.order, last, older)
	return x.order[:at]
}

// older orders rows by age; of two that were received at once, the one that lists show later comes first.
func older(a, b *row) int {
	return cmp.Or(cmp.Compare(a.received, b.received), cmp.Compare(b.id, a.id))
}

// has reports whether a text, in lower case, is what the incident or its key is called.
func (r *row) has(text string) bool {
	return strings.HasPrefix(string(r.id), text) || strings.Contains(r.words, text)
}

// maxWords bounds what is kept of a key's name and id to be looked through, in bytes each.
const maxWords = 128

// wordsOf are the name and the id of a key as a text is looked for in them, in memory of their own.
func wordsOf(k leak.Key) string {
	return strings.ToLower(k.Name[:min(len(k.Name), maxWords)] + "\n" + k.ID[:min(len(k.ID), maxWords)])
}

func (x *Index) note(i leak.Incident) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.place(i.ID, i.ReceivedAt.UnixNano())
	if r.state != "" {
		x.counts[r.state]--
	}
	r.state = intern(i.State)
	x.counts[r.state]++
	if words := wordsOf(i.Key); r.words != words {
		r.words = words
	}
	delete(x.fused, i.ID)
	if i.State == leak.Held && i.Rule == leak.RuleFuse {
		x.fused[i.ID] = Account{strings.Clone(i.Issuer), strings.Clone(i.Key.Account)}
	}
	delete(x.live, i.ID)
	if i.TokensLiveUntil.After(time.Now()) {
		x.live[i.ID] = i.TokensLiveUntil
	}
}

// place returns the row of an incident, at its place in the order. The lock is held.
func (x *Index) place(id leak.Fingerprint, received int64) *row {
	r, known := x.rows[id]
	if known && r.received == received {
		return r
	}
	if !known {
		r = &row{id: leak.Fingerprint(strings.Clone(string(id)))}
		x.rows[r.id] = r
	} else if at, found := slices.BinarySearchFunc(x.order, r, older); found {
		x.order = slices.Delete(x.order, at, at+1)
	}
	r.received = received
	at, _ := slices.BinarySearchFunc(x.order, r, older)
	x.order = slices.Insert(x.order, at, r)
	return r
}

// intern returns the constant for a state, so that a row does not keep the entry that it was read from.
func intern(s leak.State) leak.State {
	if i := slices.Index(leak.States, s); i >= 0 {
		return leak.States[i]
	}
	return leak.State(strings.Clone(string(s)))
}
