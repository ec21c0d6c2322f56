package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"stanch/notify"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

const (
	// maxRecent is how many entries a notifier certainly knows to have been told, the newest; recentAge, for how long. An
	// acknowledgement that a crash undoes is younger and among them.
	maxRecent = 2000
	recentAge = 10 * time.Minute
	// saveTimeout bounds the write of how far a notifier has come.
	saveTimeout = 10 * time.Second
)

// record is how far a notifier has come, on disk, so that a crash repeats one notice at most: it may undo
// acknowledgements. It is safe for concurrent use.
type record struct {
	store    queue.Store
	notifier string

	saving sync.Mutex // held from a change until it is on disk

	mu       sync.Mutex
	progress progress
}

// progress is what a record holds. Entries are named by their sequence in the log.
type progress struct {
	Told []uint64 `json:"told"` // oldest first
	// Announced is a group that is about to be told, and may have been.
	Announced *announcement `json:"announced,omitempty"`

	at []time.Time // when each of Told was, as far as this process knows
}

// announcement is which entries a group holds, and the id under which it is told.
type announcement struct {
	ID   string   `json:"id"`
	Seqs []uint64 `json:"seqs"`
}

// add notes that entries were told, and forgets those that are too old to come back, or too many.
func (p *progress) add(now time.Time, seqs ...uint64) {
	for _, seq := range seqs {
		p.Told, p.at = append(p.Told, seq), append(p.at, now)
	}
	old, _ := slices.BinarySearchFunc(p.at, now.Add(-recentAge), time.Time.Compare)
	old = max(old, len(p.Told)-maxRecent)
	p.Told, p.at = slices.Delete(p.Told, 0, old), slices.Delete(p.at, 0, old)
}

// loadRecord reads how far a notifier has come. What another version wrote counts for nothing.
func loadRecord(ctx context.Context, store queue.Store, notifier string) (*record, error) {
	r := &record{store: store, notifier: notifier}
	last, err := store.Last(ctx, queue.ProgressSubject(notifier))
	switch {
	case errors.Is(err, queue.ErrNoMessage):
		return r, nil
	case err != nil:
		return nil, fmt.Errorf("reading how far it has come: %w", err)
	}
	var p progress
	if json.Unmarshal(last.Data, &p) == nil {
		p.at = slices.Repeat([]time.Time{time.Now()}, len(p.Told))
		r.progress = p
	}
	return r, nil
}

// has reports whether an entry was told already, so that it only has to be acknowledged.
func (r *record) has(seq uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.progress.Told, seq)
}

// announced is the group that is about to be told; nil: none is.
func (r *record) announced() *announcement {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress.Announced
}

// change changes the record and writes it, even while everything ends: what was told must not be told again. With an error
// it is changed in this process only.
func (r *record) change(ctx context.Context, change func(*progress)) error {
	r.saving.Lock()
	defer r.saving.Unlock()
	r.mu.Lock()
	change(&r.progress)
	data, err := json.Marshal(r.progress)
	r.mu.Unlock()
	if err != nil {
		return fmt.Errorf("encoding how far it has come: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := r.store.Append(ctx, queue.Message{Subject: queue.ProgressSubject(r.notifier), Data: data}); err != nil {
		return fmt.Errorf("noting how far it has come: %w", err)
	}
	return nil
}

// newMemory returns the memory of the notifier of a configured name, in the store: what is saved is on disk. It outlives
// whatever serves the notifier, until it was not changed for queue.MaxToldAge.
func newMemory(store queue.Store, notifier string) notify.Memory { return memory{store, notifier} }

type memory struct {
	store    queue.Store
	notifier string
}

// Load implements [notify.Memory].
func (m memory) Load(ctx context.Context, incident leak.Fingerprint) (string, error) {
	last, err := m.store.Last(ctx, queue.ToldSubject(m.notifier, incident))
	switch {
	case errors.Is(err, queue.ErrNoMessage):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("remembering what was told: %w", err)
	}
	return string(last.Data), nil
}

// Save implements [notify.Memory].
func (m memory) Save(ctx context.Context, incident leak.Fingerprint, text string) error {
	subject := queue.ToldSubject(m.notifier, incident)
	var err error
	switch {
	case text == "":
		err = m.store.Remove(ctx, subject)
	case len(text) > notify.MaxMemory:
		err = fmt.Errorf("%w: %d bytes, and %d are kept", queue.ErrTooLarge, len(text), notify.MaxMemory)
	default:
		err = m.store.Append(ctx, queue.Message{Subject: subject, Data: []byte(text)})
	}
	if err != nil {
		return fmt.Errorf("noting what was told: %w", err)
	}
	return nil
}

// All implements [notify.Memory].
func (m memory) All(ctx context.Context) (map[leak.Fingerprint]string, error) {
	all := map[leak.Fingerprint]string{}
	for message, err := range m.store.Scan(ctx, queue.ToldSubject(m.notifier, "*")) {
		if err != nil {
			return nil, fmt.Errorf("remembering all that was told: %w", err)
		}
		incident := message.Subject[strings.LastIndexByte(message.Subject, '.')+1:]
		all[leak.Fingerprint(incident)] = string(message.Data)
	}
	return all, nil
}
