package issuertest

import (
	"context"
	"testing"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

func testDisable(t *testing.T, h Harness) {
	w := h.New(t)
	d, ok := w.Issuer.(dispositions.Disabler)
	if !ok {
		t.Skip("no Disabler")
	}
	id, secret := w.AddKey(false)
	for _, turn := range []string{"once", "twice"} {
		if err := d.Disable(context.Background(), named(id)); err != nil {
			t.Fatalf("Disable %s: %v", turn, err)
		}
		w.mustStand(t, id, State{Disabled: true})
		if key := w.mustRead(t, id); !key.Disabled {
			t.Errorf("disabled %s, and read as %+v", turn, key)
		}
	}
	if key := w.mustLocate(t, secret); !key.Disabled || key.ID != id {
		t.Errorf("a disabled key is located as %+v", key)
	}
	w.wants(t, "Disable of an unknown key", d.Disable(context.Background(), named(w.UnknownID)), leak.ErrNotFound)
}

func testEnable(t *testing.T, h Harness) {
	w := h.New(t)
	d, ok := w.Issuer.(dispositions.Disabler)
	e, able := w.Issuer.(dispositions.Enabler)
	if !ok || !able {
		t.Skip("no Disabler and Enabler")
	}
	id, _ := w.AddKey(false)
	if err := d.Disable(context.Background(), named(id)); err != nil {
		t.Fatalf("Disable: %v", err)
	}
	if err := e.Enable(context.Background(), named(id)); err != nil {
		t.Fatalf("Enable: %v", err)
	}
	w.mustStand(t, id, State{})
	if key := w.mustRead(t, id); key.Disabled {
		t.Errorf("enabled, and read as %+v", key)
	}
	w.wants(t, "Enable of an unknown key", e.Enable(context.Background(), named(w.UnknownID)), leak.ErrNotFound)
}

func testDelete(t *testing.T, h Harness) {
	w := h.New(t)
	d, ok := w.Issuer.(dispositions.Deleter)
	if !ok {
		t.Skip("no Deleter")
	}
	id, secret := w.AddKey(false)
	if err := d.Delete(context.Background(), named(id)); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	if state, exists := w.State(id); exists {
		t.Errorf("deleted, and the far side has it as %+v", state)
	}
	_, err := w.read(context.Background(), id)
	w.wants(t, "Read of a deleted key", err, leak.ErrNotFound, secret)
	_, err = w.Issuer.Locate(context.Background(), secret)
	w.wants(t, "Locate of a deleted key", err, leak.ErrNotFound, secret)
	w.wants(t, "Delete of a deleted key", d.Delete(context.Background(), named(id)), leak.ErrNotFound, secret)
}

func testLock(t *testing.T, h Harness) {
	w := h.New(t)
	l, ok := w.Issuer.(dispositions.Locker)
	if !ok {
		t.Skip("no Locker")
	}
	id, _ := w.AddKey(false)
	for n, step := range []struct {
		do   func(context.Context, dispositions.Target) error
		want bool
	}{{l.Lock, true}, {l.Lock, true}, {l.Unlock, false}, {l.Unlock, false}} {
		if err := step.do(context.Background(), named(id)); err != nil {
			t.Fatalf("step %d: %v", n, err)
		}
		w.mustStand(t, id, State{Locked: step.want})
		if key := w.mustRead(t, id); key.Locked != step.want {
			t.Errorf("step %d: read as %+v, want locked %v", n, key, step.want)
		}
	}
	w.wants(t, "Unlock of an unknown key", l.Unlock(context.Background(), named(w.UnknownID)), leak.ErrNotFound)
}

func testLocked(t *testing.T, h Harness) {
	w := h.New(t)
	l, ok := w.Issuer.(dispositions.Locker)
	if !ok {
		t.Skip("no Locker")
	}
	id, secret := w.AddKey(true)
	for _, c := range w.writes(id) {
		if c.name != "Disable" && c.name != "Delete" {
			continue
		}
		w.wants(t, c.name+" of a locked key", c.do(context.Background()), leak.ErrLocked, secret)
		w.mustStand(t, id, State{Locked: true})
	}
	if key := w.mustLocate(t, secret); !key.Locked {
		t.Errorf("a locked key is located as %+v", key)
	}
	if err := l.Unlock(context.Background(), named(id)); err != nil {
		t.Fatalf("Unlock: %v", err)
	}
	for _, c := range w.writes(id) {
		if c.name != "Disable" && c.name != "Delete" {
			continue
		}
		if err := c.do(context.Background()); err != nil {
			t.Errorf("%s of an unlocked key: %v", c.name, err)
		}
	}
}
