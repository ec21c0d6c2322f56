package githubapi_test

import (
	"testing"

	"stanch/receiver/collect"
	"stanch/receiver/githubfake"
)

// TestSelf: GitHub is asked once who we are, and its deliveries use the same name.
func TestSelf(t *testing.T) {
	for want, w := range map[string]*world{
		"acme-admin":        newWorld(t, githubfake.Options{}),
		"leak-stopper[bot]": newAppWorld(t, githubfake.Options{}, githubfake.App{Slug: "leak-stopper"}),
	} {
		for range 2 {
			if got, err := w.vendor.(collect.Selfaware).Self(t.Context()); err != nil || got != want {
				t.Errorf("got %q and error %v, want %q", got, err, want)
			}
		}
		if got := w.Count("", "", 0); got != 1 {
			t.Errorf("%s: got %d calls, want 1", want, got)
		}
	}
}

// TestSelfUnknown: an answer without a name is an error, and is not remembered.
func TestSelfUnknown(t *testing.T) {
	for _, w := range []*world{
		newWorld(t, githubfake.Options{}), newAppWorld(t, githubfake.Options{}, githubfake.App{}),
	} {
		for _, body := range []string{"{}", `{"login":"","slug":""}`, `{"login":"a b","slug":"../x"}`, "null"} {
			w.AddFault(githubfake.Fault{Status: 200, Body: body})
			if got, err := w.vendor.(collect.Selfaware).Self(t.Context()); err == nil {
				t.Errorf("%s: got %q and no error", body, got)
			}
		}
		if got, err := w.vendor.(collect.Selfaware).Self(t.Context()); err != nil || got == "" {
			t.Errorf("got %q and error %v after that", got, err)
		}
	}
}
