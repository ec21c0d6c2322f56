package dispositions

import (
	"maps"
	"sync"
	"time"

	"stanch/dispositions/ledger"
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

// fuse remembers which incidents were acted on in each account, and when somebody was told that it holds keys there. It
// is filled from the log, so that a restart does not reset it.
type fuse struct {
	mu     sync.Mutex
	limit  Fuse
	spent  map[fuseKey]map[leak.Fingerprint]time.Time
	floods map[fuseKey]*flood
}

type fuseKey struct {
	issuer, account string
	action          leak.Action
}

// flood is a run of incidents of one account that the fuse holds, none of them long after the one before.
type flood struct {
	told leak.Fingerprint // the incident whose notice tells of all of them
	last time.Time
}

func newFuse() *fuse {
	return &fuse{spent: map[fuseKey]map[leak.Fingerprint]time.Time{}, floods: map[fuseKey]*flood{}}
}

// use replaces the limits; what was spent stays spent.
func (f *fuse) use(limit Fuse) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = limit
}

// note counts what the log says: actions that the engine announced, our own a second time at most, and what was held.
// What a person approved is not counted.
func (f *fuse) note(e leak.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, step := range e.Steps {
		switch {
		case step.Step == leak.Intended:
			f.spend(fuseKey{e.Incident.Issuer, e.Incident.Key.Account, e.Incident.Intended}, e.Incident.ID, step.At)
		case step.Step == leak.HeldBack && e.Incident.Rule == ledger.FuseRule:
			f.hold(fuseKey{e.Incident.Issuer, e.Incident.Key.Account, leak.Disable}, e.Incident.ID, step.At)
		}
	}
}

// admit returns the action that may be taken: the one asked for, or disable instead of delete; and whether it is held. It
// counts what it admits.
func (f *fuse) admit(issuer, account string, action leak.Action, id leak.Fingerprint, now time.Time) (leak.Action, verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if action == leak.Delete && !f.room(fuseKey{issuer, account, leak.Delete}, id, now) {
		action = leak.Disable
	}
	key := fuseKey{issuer, account, action}
	if !f.room(key, id, now) {
		return action, verdict{held: true, told: f.hold(key, id, now)}
	}
	f.spend(key, id, now)
	return action, verdict{}
}

// hold notes that an incident is held, and reports whether another one's notice tells of it.
func (f *fuse) hold(key fuseKey, id leak.Fingerprint, now time.Time) (told bool) {
	run := f.floods[key]
	if run == nil || now.Sub(run.last) >= f.limit.Per {
		run = &flood{told: id}
		f.floods[key] = run
	}
	run.last = later(run.last, now)
	return run.told != id
}

func (f *fuse) spend(key fuseKey, id leak.Fingerprint, at time.Time) {
	if f.spent[key] == nil {
		f.spent[key] = map[leak.Fingerprint]time.Time{}
	}
	f.spent[key][id] = at
}

// room reports whether one more incident may be acted on. One that is counted already always may.
func (f *fuse) room(key fuseKey, id leak.Fingerprint, now time.Time) bool {
	spent := f.spent[key]
	over := func(at time.Time) bool { return now.Sub(at) >= f.limit.Per }
	if at, counted := spent[id]; counted && !over(at) || len(spent) < f.limit.Max {
		return true
	}
	maps.DeleteFunc(spent, func(_ leak.Fingerprint, at time.Time) bool { return over(at) })
	return len(spent) < f.limit.Max
}
