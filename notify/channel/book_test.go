package channel_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/receiver/leak"
)

// page is what the tests remember.
type page struct{ Count int }

const incident = leak.Fingerprint("incident")

func add(last page) (page, error) { return page{last.Count + 1}, nil }

// counting is a memory that counts what is saved, and can be told to fail.
type counting struct {
	notify.Memory
	saved int
	fault error
}

func (c *counting) Save(ctx context.Context, i leak.Fingerprint, text string) error {
	c.saved++
	if c.fault != nil {
		return c.fault
	}
	return c.Memory.Save(ctx, i, text)
}

func (c *counting) Load(ctx context.Context, i leak.Fingerprint) (string, error) {
	if c.fault != nil {
		return "", c.fault
	}
	return c.Memory.Load(ctx, i)
}

func (c *counting) All(ctx context.Context) (map[leak.Fingerprint]string, error) {
	if c.fault != nil {
		return nil, c.fault
	}
	return c.Memory.All(ctx)
}

func newBook() (*channel.Book[page], *counting) {
	memory := &counting{Memory: channel.NewMemory()}
	b := channel.NewBook[page]()
	b.Remember(memory)
	return b, memory
}

func count(t *testing.T, b *channel.Book[page]) int {
	t.Helper()
	got := 0
	if err := b.Look(t.Context(), func(all map[leak.Fingerprint]page) { got = all[incident].Count }); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestOneAtATime: changes do not overtake each other.
func TestOneAtATime(t *testing.T) {
	const many = 100
	b, _ := newBook()
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			if err := b.Change(t.Context(), incident, add); err != nil {
				t.Errorf("got %v, want no error", err)
			}
		})
	}
	all.Wait()
	if got := count(t, b); got != many {
		t.Errorf("got %d changes, want %d", got, many)
	}
}

// TestRemembersWithAnError: what happened before an error is remembered, even when there is no time left.
func TestRemembersWithAnError(t *testing.T) {
	b, _ := newBook()
	ctx, cancel := context.WithCancel(t.Context())
	wrong := errors.New("wrong")
	err := b.Change(ctx, incident, func(last page) (page, error) {
		cancel()
		next, _ := add(last)
		return next, wrong
	})
	if !errors.Is(err, wrong) {
		t.Errorf("got %v, want %v", err, wrong)
	}
	if got := count(t, b); got != 1 {
		t.Errorf("got %d changes, want one", got)
	}
}

// TestWritesChangesOnly: what stays as it is costs no write.
func TestWritesChangesOnly(t *testing.T) {
	b, memory := newBook()
	same := func(last page) (page, error) { return last, nil }
	for _, change := range []func(page) (page, error){same, add, same} {
		if err := b.Change(t.Context(), incident, change); err != nil {
			t.Fatal(err)
		}
	}
	if memory.saved != 1 {
		t.Errorf("got %d writes, want one", memory.saved)
	}
}

// TestUnreadable: what another version left behind is taken as nothing.
func TestUnreadable(t *testing.T) {
	b, memory := newBook()
	if err := memory.Save(t.Context(), incident, `{"Count":"seven"}`); err != nil {
		t.Fatal(err)
	}
	if err := b.Change(t.Context(), incident, add); err != nil {
		t.Fatal(err)
	}
	if got := count(t, b); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

// TestMemoryFails: without a memory nothing is done, and what was done and cannot be remembered is an error.
func TestMemoryFails(t *testing.T) {
	b, memory := newBook()
	memory.fault = errors.New("disk full")
	err := b.Change(t.Context(), incident, func(page) (page, error) {
		t.Error("changed something without knowing what it was")
		return page{}, nil
	})
	if !errors.Is(err, memory.fault) {
		t.Errorf("got %v, want %v", err, memory.fault)
	}
	if err := b.Look(t.Context(), func(map[leak.Fingerprint]page) { t.Error("looked at nothing") }); !errors.Is(err, memory.fault) {
		t.Errorf("got %v, want %v", err, memory.fault)
	}
	fault := memory.fault
	memory.fault = nil
	err = b.Change(t.Context(), incident, func(last page) (page, error) { memory.fault = fault; return add(last) })
	if !errors.Is(err, fault) {
		t.Errorf("got %v, want %v", err, fault)
	}
}

// TestNoTime: a change that has no time left neither waits nor begins.
func TestNoTime(t *testing.T) {
	b, _ := newBook()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Hold(t.Context(), func() error {
		return b.Hold(ctx, func() error { t.Error("got to hold what somebody else holds"); return nil })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := b.Change(ctx, incident, add); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
