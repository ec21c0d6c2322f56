package collecttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"stanch/receiver/collect"
	"stanch/receiver/leak"
)

// sentinels are what an error may mean.
var sentinels = []error{collect.ErrGone, collect.ErrRefused, leak.ErrCredential}

// wants fails the test unless an error means exactly one thing and shows nothing secret. A nil sentinel:
// unresolved.
func (w World) wants(t *testing.T, what string, err, sentinel error) {
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
	w.clean(t, what, err)
}

func orUnresolved(sentinel error) any {
	if sentinel == nil {
		return "an unresolved error"
	}
	return sentinel
}

// clean fails the test if an error, or one that it wraps, shows the secret, our own credential or a URL.
func (w World) clean(t *testing.T, what string, err error) {
	t.Helper()
	planted := map[string]string{
		"the secret": secret().Reveal(), "our own credential": w.Own.Reveal(), "our URL": w.URL, "a URL": "://",
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

// mustFetch fetches an alert that must be there.
func (w World) mustFetch(t *testing.T, ref string) []leak.Content {
	t.Helper()
	found, err := w.Vendor.Fetch(context.Background(), ref)
	if err != nil || len(found) == 0 {
		t.Fatalf("Fetch: got %d contents and error %v, want at least one", len(found), err)
	}
	return found
}

// mustStand fails the test unless the far side has the alert in this state.
func (w World) mustStand(t *testing.T, ref string, want State) {
	t.Helper()
	if got := w.State(ref); got != want {
		t.Errorf("the far side has the alert as %+v, want %+v", got, want)
	}
}
