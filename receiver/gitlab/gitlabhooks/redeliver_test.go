package gitlabhooks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/gitlab/gitlabhooks"
	"stanch/receiver/gitlabfake"
	"stanch/receiver/leak"
	"stanch/receiver/outbound/vendorfake"
)

func (w *world) redeliver(t *testing.T) (int, error) {
	t.Helper()
	return w.hooks.Redeliver(t.Context())
}

func (w *world) mustRedeliver(t *testing.T, want int) {
	t.Helper()
	if got, err := w.redeliver(t); err != nil || got != want {
		t.Errorf("got %d deliveries and error %v, want %d", got, err, want)
	}
}

// detect has so many vulnerabilities found, and waits until GitLab has sent their hooks.
func (w *world) detect(n int) {
	for range n {
		w.Detect(gitlabfake.Vulnerability{Project: "Acme/Shop"})
	}
	w.Wait()
}

// TestRedeliver: failed deliveries are sent again, once, and others are not.
func TestRedeliver(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	in := newInbox(t, w)
	w.detect(2)
	in.answer(http.StatusServiceUnavailable)
	w.detect(3)
	in.answer(http.StatusNoContent)
	in.pointers(t)
	w.mustRedeliver(t, 3)
	if got := in.pointers(t); len(got) != 3 {
		t.Errorf("got %d pointers, want 3", len(got))
	}
	w.ClearJournal()
	w.mustRedeliver(t, 0)
	if n := w.Count(gitlabfake.ListEvents, "", 0); n != 1 {
		t.Errorf("got %d pages when nothing is new, want that of the failures", n)
	}
	w.open(t) // what it knew is forgotten; GitLab's list tells what succeeded later
	w.mustRedeliver(t, 0)
	w.silent(t)
}

// TestRedeliverPages: successes are listed back to the oldest failure, and no further.
func TestRedeliverPages(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	in := newInbox(t, w)
	w.detect(45)
	in.answer(http.StatusServiceUnavailable)
	w.detect(1)
	in.answer(http.StatusNoContent)
	w.mustRedeliver(t, 1)
	if n := w.Count(gitlabfake.ListEvents, "", 0); n != 2 {
		t.Errorf("got %d pages, want one of each list", n)
	}
}

// TestRedeliverLimit: GitLab repeats five a minute; the next call continues where the last one had to stop.
func TestRedeliverLimit(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	w.hooks.SetMinute(time.Nanosecond)
	in := newInbox(t, w)
	for n := range 8 { // with successes between them, so that the hook stays on
		in.answer([]int{http.StatusServiceUnavailable, http.StatusNoContent}[min(n%4/3, 1)])
		w.detect(1)
	}
	in.answer(http.StatusNoContent)
	in.pointers(t)
	got, err := w.redeliver(t)
	if _, limited := errors.AsType[*leak.Throttled](err); got != 5 || !limited {
		t.Errorf("got %d and error %v, want 5 and a limit", got, err)
	}
	w.ResetLimits()
	w.mustRedeliver(t, 1)
	if got := in.pointers(t); len(got) != 6 {
		t.Errorf("got %d pointers, want each of 6 once", len(got))
	}
}

// TestReserve: we ask for no more than GitLab accepts.
func TestReserve(t *testing.T) {
	waits := gitlabhooks.Reserve(12)
	for n, wait := range waits {
		if minutes := time.Duration(n / 5); wait > minutes*time.Minute || wait <= (minutes-1)*time.Minute {
			t.Errorf("delivery %d waits %v, want about %d minutes", n, wait, minutes)
		}
	}
}

// TestRedeliverStops: a delivery that fails again ends the round, or the hook would be switched off.
func TestRedeliverStops(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	in := newInbox(t, w)
	in.answer(http.StatusServiceUnavailable)
	w.detect(2)
	if got, err := w.redeliver(t); got != 0 || err == nil {
		t.Errorf("got %d and error %v, want none and an error", got, err)
	}
	if n := w.Count(gitlabfake.ResendEvent, "", 0); n != 1 {
		t.Errorf("got %d calls, want 1", n)
	}
	in.answer(http.StatusNoContent)
	w.mustRedeliver(t, 2)
}

// TestRedeliverWaits: waiting for a free time ends with the context.
func TestRedeliverWaits(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	w.hooks.SetMinute(time.Hour)
	in := newInbox(t, w)
	for n := range 8 {
		in.answer([]int{http.StatusServiceUnavailable, http.StatusNoContent}[min(n%4/3, 1)])
		w.detect(1)
	}
	in.answer(http.StatusNoContent)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := w.hooks.Redeliver(ctx)
		result <- err
	}()
	for w.Count(gitlabfake.ResendEvent, "", 0) < 5 {
		select {
		case err := <-result:
			t.Fatalf("it ended with %v", err)
		default:
		}
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

// TestRedeliverOff: a hook that is switched off is tested, and is on again if we take the test; otherwise there is an error.
func TestRedeliverOff(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	in := newInbox(t, w)
	in.answer(http.StatusServiceUnavailable)
	w.detect(4)
	if got := w.HookStatus(in.hook); got != gitlabfake.TemporarilyDisabled {
		t.Fatalf("the hook is %s", got)
	}
	_, err := w.redeliver(t)
	if !errors.Is(err, collect.ErrSwitchedOff) || !strings.Contains(err.Error(), "until 20") {
		t.Errorf("got %v, want ErrSwitchedOff that says until when", err)
	}
	w.detect(1) // it is skipped, so nobody can send it again
	in.answer(http.StatusNoContent)
	w.mustRedeliver(t, 4+1) // GitLab lists the test that failed as well
	if got := w.HookStatus(in.hook); got != gitlabfake.Executable {
		t.Errorf("the hook is %s after that", got)
	}
	for _, says := range []string{"is switched off", "stays switched off", "switched on again"} {
		if !strings.Contains(w.log.String(), says) {
			t.Errorf("the log does not say %q", says)
		}
	}
	w.silent(t)
}

// TestRedeliverProjects: without a hook of the group, those of its projects are used, as far as we may see them.
func TestRedeliverProjects(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	for n := range 150 {
		w.AddProject(fmt.Sprintf("acme/sub/p%d", n))
	}
	in := newInbox(t, w)
	w.ChangeHook(in.hook, func(h *gitlabfake.Hook) { h.URL += "-other" })
	h, _ := w.Hook(in.hook)
	h.URL, h.Group, h.Project = strings.TrimSuffix(h.URL, "-other"), "", "acme/sub/p7"
	w.AddHook(h)
	in.answer(http.StatusServiceUnavailable)
	w.Detect(gitlabfake.Vulnerability{Project: "acme/sub/p7"})
	w.Wait()
	in.answer(http.StatusNoContent)
	for _, fault := range []gitlabfake.Fault{
		{Op: gitlabfake.ListHooks, Target: "acme", Status: 403, Body: `{"message":"403 Forbidden"}`},
		{Op: gitlabfake.ListHooks, Target: "acme", Status: 404, Body: `{"message":"404 Not found"}`},
	} {
		w.AddFault(fault)
	}
	w.mustRedeliver(t, 1)
	w.mustRedeliver(t, 0)
	if got := in.pointers(t); len(got) != 1 {
		t.Errorf("got %d pointers, want 1", len(got))
	}
}

// TestRedeliverNoHook: the error says that nothing delivers to us, and which role may be missing to see it.
func TestRedeliverNoHook(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{})
	w.AddHook(gitlabfake.Hook{URL: "http://127.0.0.1:1/hooks/another"})
	_, err := w.redeliver(t)
	if !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "/hooks/"+sourceName) {
		t.Errorf("got %v, want ErrRefused that says what is missing", err)
	}
	w.AddFault(gitlabfake.Fault{Op: gitlabfake.ListHooks, Target: "acme", Status: 404, Body: `{"message":"404 Not found"}`})
	if _, err = w.redeliver(t); !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "role Owner") {
		t.Errorf("got %v, want ErrRefused that says which role", err)
	}
	w.silent(t, err.Error())
}

// TestRedeliverOlder: before 17.3, GitLab lists nothing.
func TestRedeliverOlder(t *testing.T) {
	w := newWorld(t, gitlabfake.Options{Version: "17.2"})
	w.AddHook(ourHook)
	if _, err := w.redeliver(t); !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "17.3") {
		t.Errorf("got %v, want ErrRefused that names the version", err)
	}
}

// TestRedeliverOddProjects: an answer that is not a list of projects is not an empty list, whatever go-gitlab makes of it; an entry
// that is null is passed over.
func TestRedeliverOddProjects(t *testing.T) {
	for body, want := range map[string]string{
		"": "cannot be read", "null": "cannot be read", `[{"id":1}`: "cannot be read", "[] and more": "cannot be read",
		`{}`: "cannot be read", "[null]": "no hook", "[]": "no hook",
	} {
		w := newWorld(t, gitlabfake.Options{})
		w.AddFault(gitlabfake.Fault{Op: gitlabfake.ListProjects, Times: vendorfake.Forever, Status: 200, Body: body})
		_, err := w.redeliver(t)
		if unreadable := err != nil && strings.Contains(err.Error(), "cannot be read"); unreadable != (want == "cannot be read") || err == nil {
			t.Errorf("%q: got error %v, want %s", body, err, want)
		}
		w.silent(t)
	}
}
