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
var sentinels = []error{leak.ErrNotFound, leak.ErrNotVisible, leak.ErrLocked, leak.ErrCredential}

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

// wantsUnknown fails the test unless an error of a change says that there is no such key. An issuer that cannot be read need not
// tell.
func (w World) wantsUnknown(t *testing.T, what string, err error, secrets ...leak.Secret) {
	t.Helper()
	if err != nil || w.able().Read {
		w.wants(t, what, err, leak.ErrNotFound, secrets...)
	}
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
	for n, s := range append(secrets, w.Unknown.Secret) {
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

// refusesUnasked fails the test unless a call is refused without asking the far side, which would throttle it.
func (w World) refusesUnasked(t *testing.T, what string, do func(context.Context) error, secrets ...leak.Secret) {
	t.Helper()
	w.Break(Throttle)
	defer w.Mend()
	err := do(context.Background())
	w.wants(t, what, err, nil, secrets...)
	if _, asked := errors.AsType[*leak.Throttled](err); asked {
		t.Errorf("%s: the far side was asked: %v", what, err)
	}
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
func (w World) mustRead(t *testing.T, target dispositions.Target) leak.Key {
	t.Helper()
	key, err := w.Issuer.(dispositions.Reader).Read(context.Background(), w.named(target))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return key
}

// mustTry uses a value, of which the issuer must say what came of it.
func (w World) mustTry(t *testing.T, secret leak.Secret) leak.TrialResult {
	t.Helper()
	trial, err := w.Issuer.(dispositions.Prover).Try(context.Background(), secret)
	if err != nil {
		t.Fatalf("Try: %v", err)
	}
	return trial.Result
}

// mustStand fails the test unless the far side says that a key stands so.
func (w World) mustStand(t *testing.T, target dispositions.Target, want State) {
	t.Helper()
	if got := w.State(target); got != want {
		t.Errorf("the far side's key is %+v, want %+v", got, want)
	}
}

// mustBeDead fails the test unless the far side and the issuer say, each way that it has, that a change which makes a key useless
// is in force.
func (w World) mustBeDead(t *testing.T, change kind, target dispositions.Target) {
	t.Helper()
	w.mustStand(t, target, State{Disabled: change == disables, Gone: change == deletes})
	able, ctx := w.able(), context.Background()
	key, err := w.Issuer.Locate(ctx, target.Secret)
	switch {
	case change == disables && able.Read && err == nil:
		w.mustBeDisabled(t, "Locate", key, target)
	case change == disables && able.Read:
		t.Errorf("a disabled key is not located: %v", err)
	case err == nil && !key.Disabled:
		t.Errorf("a dead key is located as %+v", key)
	case err != nil:
		w.wants(t, "Locate of a dead key", err, leak.ErrNotFound, target.Secret)
	}
	if able.Read && change == disables {
		w.mustBeDisabled(t, "Read", w.mustRead(t, target), target)
	} else if able.Read {
		_, err := w.Issuer.(dispositions.Reader).Read(ctx, w.named(target))
		w.wants(t, "Read of a deleted key", err, leak.ErrNotFound, target.Secret)
	}
}

func (w World) mustBeDisabled(t *testing.T, what string, key leak.Key, target dispositions.Target) {
	t.Helper()
	if !key.Disabled || key.ID != target.Key.ID {
		t.Errorf("%s: a disabled key is %+v", what, key)
	}
}
