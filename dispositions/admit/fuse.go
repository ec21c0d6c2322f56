package admit

import (
	"maps"
	"sync"
	"time"

	"stanch/receiver/leak"
)

// FuseLimit bounds the destructive actions in one account: at most Max disables and at most Max deletes within Per. Past it a
// delete becomes a disable where the issuer can disable, and everything else is held until somebody approves it: a flood of
// forged or mistaken alerts must not take a company's keys away.
type FuseLimit struct {
	Max int
	Per time.Duration
}

// DefaultFuse is the limit that applies when nobody configured one.
var DefaultFuse = FuseLimit{Max: 50, Per: 10 * time.Minute}

// Fuse remembers which incidents were acted on in each account, and when somebody was told that it holds keys there. It is
// filled from the log by [Fuse.Note], so that a restart does not reset it. It is safe for concurrent use.
type Fuse struct {
	mu     sync.Mutex
	limit  FuseLimit
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

// Verdict is what the fuse says of an action.
type Verdict struct {
	Action leak.Action // what may be done
	Held   bool        // a person must approve it first
	Told   bool        // somebody was told already that the fuse holds keys of this account
}

// NewFuse returns a fuse that nothing was spent of.
func NewFuse(limit FuseLimit) *Fuse {
	return &Fuse{limit: limit, spent: map[fuseKey]map[leak.Fingerprint]time.Time{}, floods: map[fuseKey]*flood{}}
}

// Use replaces the limit; what was spent stays spent.
func (f *Fuse) Use(limit FuseLimit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit = limit
}

// Note counts what the log says: actions that the engine announced, our own a second time at most, and what was held.
// What a person approved is not counted.
func (f *Fuse) Note(e leak.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, step := range e.Steps {
		switch {
		case step.Step == leak.Intended:
			f.spend(fuseKey{e.Incident.Issuer, e.Incident.Key.Account, e.Incident.Intended}, e.Incident.ID, step.At)
		case step.Step == leak.HeldBack && e.Incident.Rule == leak.RuleFuse:
			f.hold(fuseKey{e.Incident.Issuer, e.Incident.Key.Account, e.Incident.Action}, e.Incident.ID, step.At)
		}
	}
}

// Admit says which action may be taken: the one asked for, or disable instead of delete where the issuer disables; and whether
// it is held. It counts what it admits.
func (f *Fuse) Admit(i leak.Incident, action leak.Action, able leak.Abilities, now time.Time) Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := fuseKey{i.Issuer, i.Key.Account, action}
	if action == leak.Delete && able.Disable && !f.room(key, i.ID, now) {
		key.action = leak.Disable
	}
	if !f.room(key, i.ID, now) {
		return Verdict{Action: key.action, Held: true, Told: f.hold(key, i.ID, now)}
	}
	f.spend(key, i.ID, now)
	return Verdict{Action: key.action}
}

// hold notes that an incident is held, and reports whether another one's notice tells of it.
func (f *Fuse) hold(key fuseKey, id leak.Fingerprint, now time.Time) (told bool) {
	run := f.floods[key]
	if run == nil || now.Sub(run.last) >= f.limit.Per {
		run = &flood{told: id}
		f.floods[key] = run
	}
	run.last = later(run.last, now)
	return run.told != id
}

func (f *Fuse) spend(key fuseKey, id leak.Fingerprint, at time.Time) {
	if f.spent[key] == nil {
		f.spent[key] = map[leak.Fingerprint]time.Time{}
	}
	f.spent[key][id] = at
}

// room reports whether one more incident may be acted on. One that is counted already always may.
func (f *Fuse) room(key fuseKey, id leak.Fingerprint, now time.Time) bool {
	spent := f.spent[key]
	over := func(at time.Time) bool { return now.Sub(at) >= f.limit.Per }
	if at, counted := spent[id]; counted && !over(at) || len(spent) < f.limit.Max {
		return true
	}
	maps.DeleteFunc(spent, func(_ leak.Fingerprint, at time.Time) bool { return over(at) })
	return len(spent) < f.limit.Max
}
