package dispositions

import (
	"sync"
	"time"

	"stanch/receiver/leak"
)

// Fuse bounds the destructive actions in one account: at most Max disables and at most Max deletes within Per. Past it
// a delete becomes a disable, and a disable is held until somebody approves it: a flood of forged or mistaken alerts
// must not take a company's keys away.
type Fuse struct {
	Max int
	Per time.Duration
}

// DefaultFuse is the fuse that nobody configured.
var DefaultFuse = Fuse{Max: 50, Per: 10 * time.Minute}

// fuse remembers which incidents were acted on in each account. It is filled from the log, so that a restart does not
// reset it.
type fuse struct {
	Fuse

	mu    sync.Mutex
	spent map[fuseKey]map[leak.Fingerprint]time.Time
}

type fuseKey struct {
	issuer, account string
	action          leak.Action
}

func newFuse(f Fuse) *fuse {
	return &fuse{Fuse: f, spent: map[fuseKey]map[leak.Fingerprint]time.Time{}}
}

// note counts an action that the log announces, our own a second time at most.
func (f *fuse) note(e leak.Entry) {
	for _, step := range e.Steps {
		if step.Step != leak.Intended {
			continue
		}
		f.mu.Lock()
		f.spend(e.Incident.Issuer, e.Incident.Key.Account, e.Incident.Intended, e.Incident.ID, step.At)
		f.mu.Unlock()
	}
}

// admit returns the action that may be taken, which is the one asked for, disable instead of delete, or, held, none. It
// counts what it admits.
func (f *fuse) admit(issuer, account string, action leak.Action, id leak.Fingerprint, now time.Time) (leak.Action, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if action == leak.Delete && !f.room(fuseKey{issuer, account, leak.Delete}, id, now) {
		action = leak.Disable
	}
	if !f.room(fuseKey{issuer, account, action}, id, now) {
		return action, false
	}
	f.spend(issuer, account, action, id, now)
	return action, true
}

func (f *fuse) spend(issuer, account string, action leak.Action, id leak.Fingerprint, at time.Time) {
	key := fuseKey{issuer, account, action}
	if f.spent[key] == nil {
		f.spent[key] = map[leak.Fingerprint]time.Time{}
	}
	f.spent[key][id] = at
}

// room reports whether one more incident may be acted on. One that was counted already always may.
func (f *fuse) room(key fuseKey, id leak.Fingerprint, now time.Time) bool {
	spent := f.spent[key]
	for other, at := range spent {
		if now.Sub(at) >= f.Per {
			delete(spent, other)
		}
	}
	_, counted := spent[id]
	return counted || len(spent) < f.Max
}
