package issuertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"stanch/dispositions"
	"stanch/receiver/leak"
)

// sentinels are what an error may mean.
var sentinels = []error{leak.ErrNotFound, leak.ErrLocked, leak.ErrCredential}

// wants fails the test unless an error means one thing and no other, and holds nothing that it must not. A nil sentinel:
// unresolved.
func (w World) wants(t *testing.T, what string, err, sentinel error, secrets ...leak.Secret) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", what, orUnresolved(sentinel))
		return
	}
	for _, s := range sentinels {
		if got, want := errors.Is(err, s), errors.Is(s, sentinel); got != want {
			t.Errorf("%s: error %q, want %v", what, err, orUnresolved(sentinel))
		}
	}
	w.clean(t, what, err, secrets...)
}

func orUnresolved(sentinel error) any {
	if sentinel == nil {
		return "an unresolved error"
	}
	return sentinel
}

// clean fails the test if an error, or one that it wraps, shows a secret, our own credential or a URL.
func (w World) clean(t *testing.T, what string, err error, secrets ...leak.Secret) {
	t.Helper()
	planted := map[string]string{"our own credential": w.Own.Reveal(), "our URL": w.URL, "a URL": "://"}
	for n, s := range append(secrets, w.UnknownSecret) {
		planted[fmt.Sprintf("secret %d", n)] = s.Reveal()
	}
	for _, e := range chain(err) {
		for _, text := range []string{e.Error(), fmt.Sprintf("%v", e), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
			for name, value := range planted {
				if value != "" && strings.Contains(text, value) {
					t.Errorf("%s: the error (%T in its chain) shows %s", what, e, name)
				}
			}
		}
	}
}

// chain lists an error and everything that it wraps.
func chain(err error) []error {
	all := []error{err}
	switch e := err.(type) { //nolint:errorlint // it walks the chain by itself, to see every member
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			all = append(all, chain(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, chain(inner)...)
		}
	}
	return all
}

// mustLocate looks a key up that must be known.
func (w World) mustLocate(t *testing.T, secret leak.Secret) leak.Key {
	t.Helper()
	key, err := w.Issuer.Locate(context.Background(), secret)
	if err != nil {
		t.Fatalf("Locate: %v", err)
	}
	return key
}

// mustRead reads a key that must be there.
func (w World) mustRead(t *testing.T, id string) leak.Key {
	t.Helper()
	key, err := w.read(context.Background(), id)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return key
}

// mustStand fails the test unless the far side says that a key is there and stands so.
func (w World) mustStand(t *testing.T, id string, want State) {
	t.Helper()
	if got, exists := w.State(id); !exists || got != want {
		t.Errorf("the far side's key is %+v (exists: %v), want %+v", got, exists, want)
	}
}

// named is a key by its id alone.
func named(id string) dispositions.Target { return dispositions.Target{Key: leak.Key{ID: id}} }

// read reads a key by its id.
func (w World) read(ctx context.Context, id string) (leak.Key, error) {
	return w.Issuer.(dispositions.Reader).Read(ctx, named(id))
}

// refused tries a secret; nil: it is refused as only a dead key's is.
func refused(ctx context.Context, p dispositions.Prover, s leak.Secret) error {
	trial, err := p.Try(ctx, s)
	switch {
	case err != nil:
		return err
	case trial.Result == leak.Works:
		return leak.ErrAlive
	case trial.Result == leak.Refused:
		return errors.New("refused, with a code that is not documented to mean a dead key")
	}
	return nil
}
