// Package deadletter is what no retry can help: people look at dead letters, and put back on its queue what can be helped after all.
package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// ErrNone means that there is no dead letter of an id: it was replayed, is forgotten, or never was.
var ErrNone = errors.New("no such dead letter: it was put back already, or is forgotten")

// Opener opens sealed alerts; seal.Identities is the one.
type Opener interface {
	Open(a leak.Alert) (leak.Content, error)
}

// Letters are what no retry can help: people look at them, and put back what can be helped after all. A letter that is
// put back is on its queue, on disk, before it is gone from the dead letters; a crash in between repeats it at most. Methods
// are safe for concurrent use. No field may be nil.
type Letters struct {
	Store      queue.Store
	Identities Opener
	// Follows reports whether pointers of a source are followed.
	Follows func(source string) bool
	// Reread makes the messages of a record that could not be read when it came, or says why it still cannot.
	Reread func(ctx context.Context, source string, at time.Time, record leak.Secret) ([]queue.Message, error)
}

// What is what a dead letter holds.
type What string

// What dead letters hold.
const (
	Alert   What = "alert"   // an alert that the engine could not open
	Pointer What = "pointer" // a pointer that could not be followed
	Record  What = "record"  // a record that was never an alert, because nobody could read it
	Damaged What = "damaged" // what nobody can tell
)

// Dead is a dead letter as people see it. What is sealed stays sealed.
type Dead struct {
	ID          uint64           `json:"id"`
	Source      string           `json:"source"`
	What        What             `json:"what"`
	Reason      string           `json:"reason"`
	At          time.Time        `json:"at"`                    // when it became one
	ForgottenAt time.Time        `json:"forgotten_at"`          // when it will be deleted
	Fingerprint leak.Fingerprint `json:"fingerprint,omitempty"` // of the secret; of a record as a whole
	Size        int              `json:"size"`                  // of what is sealed, in bytes
	Pointer     *leak.Pointer    `json:"pointer,omitempty"`
}

// letter is a dead letter as it is stored.
type letter struct {
	leak.DeadLetter
	seq    uint64
	stored time.Time
	what   What
}

// letters yields all dead letters, oldest first.
func (d *Letters) letters(ctx context.Context) iter.Seq2[letter, error] {
	return func(yield func(letter, error) bool) {
		for m, err := range d.Store.Scan(ctx, queue.AllDead) {
			if err != nil {
				yield(letter{}, fmt.Errorf("reading the dead letters: %w", err))
				return
			}
			if !yield(read(m), nil) {
				return
			}
		}
	}
}

func read(m queue.Message) letter {
	l := letter{seq: m.Seq, stored: m.Time}
	var err error
	switch l.DeadLetter, err = leak.Read[leak.DeadLetter](m.Data); {
	case errors.Is(err, leak.ErrNewer):
		l.what, l.DeadLetter = Damaged, leak.DeadLetter{Reason: "a newer version of stanch buried it, and can read it", At: m.Time}
	case err != nil:
		l.what, l.DeadLetter = Damaged, leak.DeadLetter{Reason: "the dead letter itself is damaged", At: m.Time}
	case l.Pointer != nil:
		l.what = Pointer
	case l.Record:
		l.what = Record
	case l.Alert.Fingerprint == "":
		l.what = Damaged
	default:
		l.what = Alert
	}
	return l
}

// source is that of what the letter holds.
func (l letter) source() string {
	if l.Pointer != nil {
		return l.Pointer.Source
	}
	return cmp.Or(l.Alert.Source, "unknown")
}

func (l letter) shown() Dead {
	return Dead{
		ID: l.seq, Source: l.source(), What: l.what, Reason: l.Reason, At: l.At, ForgottenAt: l.stored.Add(queue.MaxDeadAge),
		Fingerprint: l.Alert.Fingerprint, Size: len(l.Alert.Sealed), Pointer: l.Pointer,
	}
}

// List returns dead letters, newest first: those of a source, or all if it is empty, and the newest so many, or all if limit
// is 0.
func (d *Letters) List(ctx context.Context, source string, limit int) ([]Dead, error) {
	list := []Dead{}
	for l, err := range d.letters(ctx) {
		if err != nil {
			return nil, err
		}
		if source != "" && l.source() != source {
			continue
		}
		if list = append(list, l.shown()); limit > 0 && len(list) > 2*limit {
			list = slices.Delete(list, 0, limit)
		}
	}
	slices.Reverse(list)
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	return list, nil
}

// Show returns one dead letter, and what keeps it from being put back now; nil: nothing does.
func (d *Letters) Show(ctx context.Context, id uint64) (dead Dead, obstacle *leak.Refusal, err error) {
	l, err := d.find(ctx, id)
	if err != nil {
		return Dead{}, nil, err
	}
	_, err = d.messages(ctx, l)
	if errors.As(err, &obstacle) {
		err = nil
	}
	return l.shown(), obstacle, err
}

func (d *Letters) find(ctx context.Context, id uint64) (letter, error) {
	for l, err := range d.letters(ctx) {
		if err != nil || l.seq == id {
			return l, err
		}
	}
	return letter{}, ErrNone
}

// Replay puts one dead letter back on its queue. The error is a *leak.Refusal when nothing would come of that, and
// ErrNone when there is none.
func (d *Letters) Replay(ctx context.Context, id uint64) (Dead, error) {
	l, err := d.find(ctx, id)
	if err != nil {
		return Dead{}, err
	}
	return l.shown(), d.replay(ctx, l)
}

func (d *Letters) replay(ctx context.Context, l letter) error {
	messages, err := d.messages(ctx, l)
	if err != nil {
		return err
	}
	for i := range messages {
		// The same letter put back again is absorbed for a while. The alert's own id would absorb too much: it may have come,
		// and died, a minute ago.
		messages[i].ID = fmt.Sprintf("dead letter %d.%d", l.seq, i)
	}
	if err := d.Store.Append(ctx, messages...); err != nil {
		return fmt.Errorf("putting a dead letter back: %w", err)
	}
	if err := d.Store.Discard(ctx, queue.Dead, l.seq); err != nil {
		return fmt.Errorf("removing a dead letter that was put back: %w", err)
	}
	return nil
}

// Replayed is how far putting back many dead letters has come.
type Replayed struct {
	Replayed int `json:"replayed"`
	// Refused counts the letters that stay, by what keeps them from being put back.
	Refused map[string]int `json:"refused"`
}

// ReplayAll puts back every dead letter of a source, or all if it is empty, that is there when it is called and can be put
// back. It calls progress after each.
func (d *Letters) ReplayAll(ctx context.Context, source string, progress func(Dead, Replayed)) (Replayed, error) {
	r := Replayed{Refused: map[string]int{}}
	for l, err := range d.letters(ctx) {
		if err != nil {
			return r, err
		}
		if source != "" && l.source() != source {
			continue
		}
		err := d.replay(ctx, l)
		refusal, refused := errors.AsType[*leak.Refusal](err)
		switch {
		case refused:
			r.Refused[refusal.Text]++
			continue
		case err != nil:
			return r, err
		}
		r.Replayed++
		progress(l.shown(), r)
	}
	return r, nil
}

// messages are what a dead letter becomes when it is put back. The error is a *leak.Refusal when it cannot be.
func (d *Letters) messages(ctx context.Context, l letter) ([]queue.Message, error) {
	switch l.what {
	case Pointer:
		return d.pointer(l)
	case Record:
		return d.record(ctx, l)
	case Alert:
		return d.alert(l.Alert)
	}
	return nil, leak.Refuse("it is damaged: nobody can tell what it was")
}

// pointer goes back only if somebody follows it.
func (d *Letters) pointer(l letter) ([]queue.Message, error) {
	if !d.Follows(l.Pointer.Source) {
		return nil, leak.Refuse("source %s has no API that is configured: it would come back at once", l.source())
	}
	return encoded(queue.PointerSubject(l.Pointer.Source), l.Pointer)
}

// alert goes back only if it opens with the keys that are here now.
func (d *Letters) alert(a leak.Alert) ([]queue.Message, error) {
	if _, err := d.Identities.Open(a); err != nil {
		return nil, leak.Refuse("%v: restore the identity that opens it, and start again", err)
	}
	return encoded(queue.AlertSubject(a.Source), a)
}

// record goes back only if it can be read now, as the alerts that it would have been.
func (d *Letters) record(ctx context.Context, l letter) ([]queue.Message, error) {
	content, err := d.Identities.Open(l.Alert)
	if err != nil {
		return nil, leak.Refuse("%v: restore the identity that opens it, and start again", err)
	}
	messages, err := d.Reread(ctx, l.Alert.Source, l.Alert.ReceivedAt, content.Secret)
	if err != nil {
		return nil, leak.Refuse("%v", err)
	}
	return messages, nil
}

func encoded(subject string, v any) ([]queue.Message, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding for %s: %w", subject, err)
	}
	return []queue.Message{{Subject: subject, Data: data}}, nil
}
