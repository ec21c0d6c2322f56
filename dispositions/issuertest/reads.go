package issuertest

import (
	"context"
	"testing"

	"stanch/receiver/leak"
)

func testLocate(t *testing.T, h Harness) {
	t.Run("known", func(t *testing.T) {
		w := h.New(t)
		id, secret := w.AddKey(false)
		key := w.mustLocate(t, secret)
		if key.ID != id || key.Own || key.Disabled || key.Locked {
			t.Errorf("got %+v, want id %s, not ours, not disabled, not locked", key, id)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		w := h.New(t)
		_, err := w.Issuer.Locate(context.Background(), w.UnknownSecret)
		w.wants(t, "Locate", err, leak.ErrNotFound)
	})
	t.Run("empty", func(t *testing.T) {
		w := h.New(t)
		for _, s := range []leak.Secret{{}, leak.NewSecret(""), leak.NewSecret(" "), leak.NewSecret("\r\n")} {
			key, err := w.Issuer.Locate(context.Background(), s)
			w.wants(t, "Locate", err, nil)
			if key != (leak.Key{}) {
				t.Errorf("got key %+v for an empty secret", key)
			}
		}
	})
	t.Run("our own", func(t *testing.T) {
		w := h.New(t)
		if key := w.mustLocate(t, w.Own); !key.Own {
			t.Errorf("our own credential is located as %+v, want Own set", key)
		}
	})
}

func testRead(t *testing.T, h Harness) {
	t.Run("known", func(t *testing.T) {
		w := h.New(t)
		id, secret := w.AddKey(false)
		located, read := w.mustLocate(t, secret), w.mustRead(t, id)
		read.LastUsedAt, read.Used = located.LastUsedAt, located.Used // not every issuer can afford to say it twice
		if read != located {
			t.Errorf("Read says %+v, Locate %+v", read, located)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		w := h.New(t)
		_, err := w.read(context.Background(), w.UnknownID)
		w.wants(t, "Read", err, leak.ErrNotFound)
	})
	t.Run("not an id", func(t *testing.T) {
		w := h.New(t)
		for _, id := range []string{"", ".", "..", "../keys", "a/b", "a?b=c", "a\nb"} {
			_, err := w.read(context.Background(), id)
			w.wants(t, "Read "+id, err, nil)
		}
	})
}
