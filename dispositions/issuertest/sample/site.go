// Package sample holds three issuers in memory that differ as much as issuers do: [Full] can do everything, as IBM Cloud IAM
// can; [DeleteOnly] knows its keys by id, tells how they stand and can only delete them; [ByValue] knows a key by nothing but
// its value, takes many at once, accepts everything and carries it out later. They are for tests: the suite passes on them, and
// the engine is tried with them. Nothing of the product imports them.
package sample

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// Site is the far side of a sample: a key service in memory. It goes by time.Now and starts no
// goroutine, so that it runs in a bubble of testing/synctest. Methods are safe for concurrent use.
type Site struct {
	own     leak.Secret   // our own credential; empty: it takes none
	byValue bool          // it knows keys by their value only
	settles time.Duration // how long a change takes until it holds

	mu     sync.Mutex
	ids    map[string]*entry
	values map[string]*entry
	calls  map[string]int
	fault  Fault
	lies   bool
	code   string // with which every trial is refused; empty: none
}

// Fault spoils calls: it is asked before each and after each that succeeded, and an error of it is the answer. It may wait, as
// long as ctx allows. The op is the name of the method of the issuer: Locate, Read, Delete, Batch ...
type Fault func(ctx context.Context, op string, after bool) error

// entry is one key.
type entry struct {
	value     leak.Secret
	key, next leak.Key // as it stands, and as it stands from a time on
	from      time.Time
	used      leak.Activity
}

// now is how the key stands; Gone: it was deleted.
func (e *entry) now() leak.Key {
	if time.Now().Before(e.from) {
		return e.key
	}
	return e.next
}

var (
	errEmpty = errors.New("the secret is empty")
	errID    = errors.New("the id is not that of a key")
	errOwn   = errors.New("the key is our own")
)

// keyID is what the id of a key looks like.
var keyID = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// blank reports whether a value is none.
func blank(secret leak.Secret) bool { return strings.TrimSpace(secret.Reveal()) == "" }

func newSite(own leak.Secret) *Site {
	s := &Site{own: own, ids: map[string]*entry{}, values: map[string]*entry{}, calls: map[string]int{}}
	if !own.Empty() {
		s.put(leak.Key{ID: "own", Name: "stanch", Own: true}, own)
	}
	return s
}

// Own is the credential that the issuer runs on; empty: it needs none.
func (s *Site) Own() leak.Secret { return s.own }

// Add adds a key and makes up its value, and its id and account where they are empty. It returns the key as it is located.
func (s *Site) Add(k leak.Key) dispositions.Target {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.ID == "" {
		k.ID = fmt.Sprintf("key-%d", len(s.values)+1)
	}
	if k.Account == "" {
		k.Account = "acme"
	}
	if k.CreatedAt.IsZero() {
		k.CreatedAt = time.Now()
	}
	value := leak.NewSecret("planted-sample-" + k.ID)
	if s.byValue {
		k.ID, k.Account = "", ""
	}
	return dispositions.Target{Key: s.put(k, value), Secret: value}
}

func (s *Site) put(k leak.Key, value leak.Secret) leak.Key {
	e := &entry{value: value, key: k, next: k}
	s.ids[k.ID], s.values[value.Reveal()] = e, e
	return k
}

// Standing is how a key stands now, whatever the issuer says of it; Gone: the far side has no such key.
func (s *Site) Standing(t dispositions.Target) leak.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(t); e != nil {
		return e.now()
	}
	return leak.Key{Gone: true}
}

// Change changes a key as somebody else may, at once.
func (s *Site) Change(t dispositions.Target, change func(*leak.Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(t)
	k := e.now()
	change(&k)
	e.key, e.next, e.from = k, k, time.Time{}
}

// Calls is how often an op was called.
func (s *Site) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Spoil spoils every call from now on; nil: none.
func (s *Site) Spoil(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Lie makes changes succeed and do nothing.
func (s *Site) Lie(lies bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lies = lies
}

// Refuse refuses every trial of a value with a code that is not documented; empty: none.
func (s *Site) Refuse(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
}

// call is one call of the far side. Its error says what was being done.
func (s *Site) call(ctx context.Context, op string, do func() error) error {
	fault, err := s.count(op), ctx.Err()
	if err == nil {
		err = fault(ctx, op, false)
	}
	if err == nil {
		err = s.locked(do)
	}
	if err == nil {
		err = fault(ctx, op, true)
	}
	if err != nil {
		return fmt.Errorf("asking the sample to %s: %w", op, err)
	}
	return nil
}

// count counts a call, and returns what spoils it.
func (s *Site) count(op string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[op]++
	if s.fault == nil {
		return func(context.Context, string, bool) error { return nil }
	}
	return s.fault
}

func (s *Site) locked(do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return do()
}

// find returns the key that a target names; nil: none. It runs under mu, as everything below.
func (s *Site) find(t dispositions.Target) *entry {
	if s.byValue {
		return s.values[t.Secret.Reveal()]
	}
	return s.ids[t.Key.ID]
}

// known returns a key that is there.
func known(e *entry) (leak.Key, error) {
	if e == nil || e.now().Gone {
		return leak.Key{}, leak.ErrNotFound
	}
	return e.now(), nil
}

// change changes a key that is there, as of when the change has settled. One that is so already, or will be, stays.
func (s *Site) change(e *entry, change func(*leak.Key)) error {
	if _, err := known(e); err != nil || s.lies {
		return err
	}
	next := e.next
	change(&next)
	if next != e.next {
		e.key, e.next, e.from = e.now(), next, time.Now().Add(s.settles)
	}
	return nil
}

// locate answers whose a value is.
func (s *Site) locate(ctx context.Context, secret leak.Secret) (k leak.Key, err error) {
	if blank(secret) {
		return k, fmt.Errorf("asking the sample to Locate: %w", errEmpty)
	}
	err = s.call(ctx, "Locate", func() error {
		e := s.values[secret.Reveal()]
		if k, err = known(e); err == nil {
			k.Used = e.used
		}
		return err
	})
	return k, err
}

// byID is one call about a key that is named by its id.
func (s *Site) byID(ctx context.Context, op string, t dispositions.Target, do func(e *entry) error) error {
	if !keyID.MatchString(t.Key.ID) {
		return fmt.Errorf("asking the sample to %s: %w", op, errID)
	}
	return s.call(ctx, op, func() error { return do(s.find(t)) })
}

// read answers how a key stands.
func (s *Site) read(ctx context.Context, t dispositions.Target) (k leak.Key, err error) {
	err = s.byID(ctx, "Read", t, func(e *entry) error {
		if k, err = known(e); err == nil {
			k.Used = e.used
		}
		return err
	})
	return k, err
}

// write changes a key, unless it is our own or locked.
func (s *Site) write(ctx context.Context, op string, t dispositions.Target, change func(*leak.Key)) error {
	return s.byID(ctx, op, t, func(e *entry) error {
		k, err := known(e)
		switch {
		case err != nil:
			return err
		case k.Own:
			return errOwn
		case k.Locked && op != "Lock" && op != "Unlock":
			return leak.ErrLocked
		}
		return s.change(e, change)
	})
}

// examine asks the far side for nothing but an answer.
func (s *Site) examine(ctx context.Context) []leak.Finding {
	var found leak.Findings
	if err := s.call(ctx, "Examine", func() error { return nil }); err != nil {
		found.Broken("key service", "%v", err)
	} else {
		found.Good("key service", "it answers")
	}
	return found
}
