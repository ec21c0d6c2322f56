package deadletter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stanch/dispositions/deadletter"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
	"stanch/receiver/queue/memory"
	"stanch/receiver/seal"
)

const buried = "planted-buried"

var errCrashed = errors.New("crashed")

// cemetery is a world with dead letters of every kind.
type cemetery struct {
	t         *testing.T
	store     queue.Store
	recipient *seal.Recipient
	ids       *seal.Identities
	dead      *deadletter.Letters
}

// newCemetery buries an alert (1) and a record (2) that open, an alert sealed to a key that is not here (3), pointers of a
// source that is followed (4) and of one that is not (5), a record that cannot be read (6), a queued alert that was damaged
// (7), and a message that is no dead letter (8).
func newCemetery(t *testing.T) *cemetery {
	t.Helper()
	store := memory.New()
	ids, recipient := sealing(t)
	c := &cemetery{t: t, store: store, recipient: recipient, ids: ids, dead: &deadletter.Letters{
		Store: store, Identities: ids, Follows: func(source string) bool { return source == "acme" },
		Reread: func(_ context.Context, source string, at time.Time, record leak.Secret) ([]queue.Message, error) {
			if !strings.HasPrefix(record.Reveal(), "good") {
				return nil, errors.New("the record has no token")
			}
			data := fmt.Appendf(nil, `{"source":%q,"received_at":%q}`, source, at.Format(time.RFC3339))
			return []queue.Message{{Subject: queue.AlertSubject(source), Data: data}, {Subject: queue.AlertSubject(source), Data: data}}, nil
		},
	}}
	_, strangers := sealing(t)
	c.bury(leak.DeadLetter{Alert: c.sealed(recipient, buried)})
	c.bury(leak.DeadLetter{Alert: c.sealed(recipient, "good "+buried), Record: true})
	c.bury(leak.DeadLetter{Alert: c.sealed(strangers, buried)})
	c.bury(leak.DeadLetter{Pointer: &leak.Pointer{V: 1, Source: "acme", Ref: "acme/app/7"}})
	c.bury(leak.DeadLetter{Pointer: &leak.Pointer{V: 1, Source: "gone", Ref: "gone/app/7"}})
	c.bury(leak.DeadLetter{Alert: c.sealed(recipient, "bad "+buried), Record: true})
	c.bury(leak.DeadLetter{Alert: leak.Alert{Sealed: []byte("{")}})
	if err := store.Append(t.Context(), queue.Message{Subject: queue.DeadSubject("gh"), Data: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	return c
}

// sealing is a pair of sealing keys of its own.
func sealing(t *testing.T) (*seal.Identities, *seal.Recipient) {
	t.Helper()
	dir := t.TempDir()
	if err := seal.Ensure(dir); err != nil {
		t.Fatal(err)
	}
	ids, err := seal.LoadIdentities(dir)
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := seal.LoadRecipient(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ids, recipient
}

func (c *cemetery) sealed(r *seal.Recipient, secret string) leak.Alert {
	c.t.Helper()
	alert, err := r.Seal("gh", time.Unix(1e9, 0).UTC(), leak.Content{Secret: leak.NewSecret(secret)})
	if err != nil {
		c.t.Fatal(err)
	}
	return alert
}

func (c *cemetery) bury(l leak.DeadLetter) {
	c.t.Helper()
	l.V, l.Reason, l.At = 1, "a reason", time.Unix(1e9, 0).UTC()
	source := "gh"
	if l.Pointer != nil {
		source = l.Pointer.Source
	}
	data, err := json.Marshal(l)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.store.Append(c.t.Context(), queue.Message{Subject: queue.DeadSubject(source), Data: data}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cemetery) left(source string, limit int) (ids []uint64) {
	c.t.Helper()
	list, err := c.dead.List(c.t.Context(), source, limit)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, d := range list {
		ids = append(ids, d.ID)
	}
	return ids
}

// wantQueued checks how many messages wait, by stream.
func (c *cemetery) wantQueued(alerts, pointers uint64) {
	c.t.Helper()
	for stream, want := range map[string]uint64{queue.Alerts: alerts, queue.Pointers: pointers} {
		if stats, err := c.store.Stats(c.t.Context(), stream); err != nil || stats.Messages != want {
			c.t.Errorf("%s: got %d messages, %v, want %d", stream, stats.Messages, err, want)
		}
	}
}

// wantSealed checks that what people see holds no secret.
func (c *cemetery) wantSealed(shown any) {
	c.t.Helper()
	data, err := json.Marshal(shown)
	if err != nil || strings.Contains(string(data), buried) {
		c.t.Errorf("got %s, %v", data, err)
	}
}

func TestDeadLettersAreListed(t *testing.T) {
	c := newCemetery(t)
	for _, row := range []struct {
		source string
		limit  int
		want   []uint64
	}{
		{"", 0, []uint64{8, 7, 6, 5, 4, 3, 2, 1}},
		{"", 2, []uint64{8, 7}},
		{"", 3, []uint64{8, 7, 6}},
		{"", 100, []uint64{8, 7, 6, 5, 4, 3, 2, 1}},
		{"gh", 0, []uint64{6, 3, 2, 1}},
		{"gh", 1, []uint64{6}},
		{"acme", 0, []uint64{4}},
		{"unknown", 0, []uint64{8, 7}},
		{"*", 0, nil},
	} {
		if got := c.left(row.source, row.limit); fmt.Sprint(got) != fmt.Sprint(row.want) {
			t.Errorf("%q, at most %d: got %v, want %v", row.source, row.limit, got, row.want)
		}
	}
}

// TestDeadLettersAreShown shows what each is, and what keeps it where it is; nothing is changed by that.
func TestDeadLettersAreShown(t *testing.T) {
	c := newCemetery(t)
	for id, want := range map[uint64]struct {
		what     deadletter.What
		source   string
		obstacle string
	}{
		1: {deadletter.Alert, "gh", ""},
		2: {deadletter.Record, "gh", ""},
		3: {deadletter.Alert, "gh", "sealed to an identity that is not among our keys"},
		4: {deadletter.Pointer, "acme", ""},
		5: {deadletter.Pointer, "gone", "source gone has no API"},
		6: {deadletter.Record, "gh", "the record has no token"},
		7: {deadletter.Damaged, "unknown", "it is damaged"},
		8: {deadletter.Damaged, "unknown", "it is damaged"},
	} {
		got, obstacle, err := c.dead.Show(t.Context(), id)
		if err != nil || got.ID != id || got.What != want.what || got.Source != want.source || got.ForgottenAt.Before(time.Now()) {
			t.Errorf("%d: got %+v, %v", id, got, err)
		}
		if (obstacle != nil) != (want.obstacle != "") || obstacle != nil && !strings.Contains(obstacle.Text, want.obstacle) {
			t.Errorf("%d: the obstacle is %v, want %q", id, obstacle, want.obstacle)
		}
		if id <= 3 && (got.Size < 100 || len(got.Fingerprint) != 64) {
			t.Errorf("%d: got %d bytes of %s", id, got.Size, got.Fingerprint)
		}
		c.wantSealed(got)
	}
	if _, _, err := c.dead.Show(t.Context(), 99); !errors.Is(err, deadletter.ErrNone) {
		t.Errorf("one that is not there: got %v", err)
	}
	c.wantQueued(0, 0)
	if got := c.left("", 0); len(got) != 8 {
		t.Errorf("left are %v", got)
	}
}

// TestDeadLettersAreReplayed puts back what can be, once, and leaves the rest where it is.
func TestDeadLettersAreReplayed(t *testing.T) {
	c := newCemetery(t)
	for _, id := range []uint64{3, 5, 6, 7, 8} {
		if _, err := c.dead.Replay(t.Context(), id); !refused(err) {
			t.Errorf("%d: got %v", id, err)
		}
	}
	c.wantQueued(0, 0)
	for _, id := range []uint64{1, 2, 4} {
		got, err := c.dead.Replay(t.Context(), id)
		if err != nil || got.ID != id {
			t.Errorf("%d: got %+v, %v", id, got, err)
		}
		c.wantSealed(got)
		if _, err := c.dead.Replay(t.Context(), id); !errors.Is(err, deadletter.ErrNone) {
			t.Errorf("%d again: got %v", id, err)
		}
	}
	c.wantQueued(3, 1) // a record may hold more than one alert
	if got := c.left("", 0); fmt.Sprint(got) != "[8 7 6 5 3]" {
		t.Errorf("left are %v", got)
	}
}

func refused(err error) bool {
	_, ok := errors.AsType[*leak.Refusal](err)
	return ok
}

// undying is a store whose process dies after something was put back, and before it is gone from the dead letters.
type undying struct{ queue.Store }

func (undying) Discard(context.Context, string, uint64) error { return errCrashed }

// TestReplayAfterACrash: the letter is still there, and putting it back again repeats nothing.
func TestReplayAfterACrash(t *testing.T) {
	c := newCemetery(t)
	real := c.dead.Store
	c.dead.Store = undying{real}
	for _, id := range []uint64{1, 2, 4} {
		if _, err := c.dead.Replay(t.Context(), id); !errors.Is(err, errCrashed) {
			t.Errorf("%d: got %v", id, err)
		}
	}
	if _, err := c.dead.ReplayAll(t.Context(), "", func(deadletter.Dead, deadletter.Replayed) {}); !errors.Is(err, errCrashed) {
		t.Errorf("all: got %v", err)
	}
	c.wantQueued(3, 1)
	c.dead.Store = real
	done, err := c.dead.ReplayAll(t.Context(), "", func(deadletter.Dead, deadletter.Replayed) {})
	if err != nil || done.Replayed != 3 {
		t.Errorf("got %+v, %v", done, err)
	}
	c.wantQueued(3, 1)
}

func TestReplayAll(t *testing.T) {
	c := newCemetery(t)
	var told []uint64
	tell := func(d deadletter.Dead, so deadletter.Replayed) {
		told = append(told, d.ID)
		if so.Replayed != 1 && so.Replayed != len(told)-1 { // the first pass put one back, the second the others
			t.Errorf("told of %d after %v", so.Replayed, told)
		}
	}
	done, err := c.dead.ReplayAll(t.Context(), "acme", tell)
	if err != nil || done.Replayed != 1 || len(done.Refused) != 0 {
		t.Errorf("of one source: got %+v, %v", done, err)
	}
	c.wantQueued(0, 1)
	done, err = c.dead.ReplayAll(t.Context(), "", tell)
	if err != nil || done.Replayed != 2 || len(done.Refused) != 4 || fmt.Sprint(told) != "[4 1 2]" {
		t.Errorf("got %+v, %v; told of %v", done, err, told)
	}
	if n := done.Refused["it is damaged: nobody can tell what it was"]; n != 2 {
		t.Errorf("%d are damaged, want 2", n)
	}
	c.wantSealed(done)
	if got := c.left("", 0); fmt.Sprint(got) != "[8 7 6 5 3]" {
		t.Errorf("left are %v", got)
	}
}
