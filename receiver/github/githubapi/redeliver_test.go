package githubapi_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stanch/receiver/collect"
	"stanch/receiver/githubfake"
	"stanch/receiver/leak"
)

// receiverAt is where a hook delivers. It fails while it is down, and remembers what arrived.
type receiverAt struct {
	url  string
	down atomic.Bool

	mu      sync.Mutex
	arrived map[string]int // by GUID
}

func newReceiver(t *testing.T) *receiverAt {
	t.Helper()
	r := &receiverAt{arrived: map[string]int{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL + "/hooks/" + sourceName
	return r
}

func (r *receiverAt) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if r.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived[request.Header.Get("X-GitHub-Delivery")]++
}

func (r *receiverAt) count() (guids, deliveries int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.arrived {
		deliveries += n
	}
	return len(r.arrived), deliveries
}

// redeliver asks for failed deliveries, and waits until they have been sent.
func (w *world) redeliver(t *testing.T, since time.Time) (int, error) {
	t.Helper()
	n, err := w.vendor.(collect.Redeliverer).Redeliver(t.Context(), since)
	w.Wait()
	return n, err
}

func (w *world) mustRedeliver(t *testing.T, since time.Time, want int) {
	t.Helper()
	if got, err := w.redeliver(t, since); err != nil || got != want {
		t.Errorf("got %d deliveries and error %v, want %d", got, err, want)
	}
}

// raise raises alerts, and waits until their hooks are sent.
func (w *world) raise(n int) {
	for range n {
		w.Raise(githubfake.Alert{Repository: "acme/shop"})
	}
	w.Wait()
}

func TestRedeliver(t *testing.T) {
	for _, unreached := range []int{0, -1} {
		w, r := newWorld(t, githubfake.Options{Switches: githubfake.Switches{Unreached: unreached}}), newReceiver(t)
		id := w.AddHook(githubfake.Hook{URL: r.url})
		w.raise(3)
		r.down.Store(true)
		w.raise(130)
		w.Ping(id)
		w.Scan("acme/shop")
		w.Wait()
		w.mustRedeliver(t, time.Time{}, 130) // fails again: the GUIDs are listed twice now
		r.down.Store(false)
		w.mustRedeliver(t, time.Time{}, 130)
		w.mustRedeliver(t, time.Time{}, 0)
		if guids, deliveries := r.count(); guids != 133 || deliveries != 133 {
			t.Errorf("%d events arrived in %d deliveries, want 133, each once", guids, deliveries)
		}
	}
}

// TestRedeliverUnreached: nobody listens at all.
func TestRedeliverUnreached(t *testing.T) {
	for _, unreached := range []int{0, -1} {
		w := newWorld(t, githubfake.Options{Switches: githubfake.Switches{Unreached: unreached}})
		w.AddHook(ourHook)
		w.raise(2)
		w.mustRedeliver(t, time.Time{}, 2)
	}
}

// TestRedeliverSince: older deliveries are not asked for, and their pages are not fetched.
func TestRedeliverSince(t *testing.T) {
	var ago atomic.Int64
	now := func() time.Time { return time.Now().Add(-time.Duration(ago.Load())) }
	w, r := newWorld(t, githubfake.Options{Now: now}), newReceiver(t)
	w.AddHook(githubfake.Hook{URL: r.url})
	r.down.Store(true)
	ago.Store(int64(80 * time.Hour)) // not listed any more
	w.raise(1)
	ago.Store(int64(48 * time.Hour))
	w.raise(250)
	ago.Store(int64(time.Hour))
	w.raise(2)
	ago.Store(0)
	w.mustRedeliver(t, time.Now().Add(-2*time.Hour), 2)
	if got := w.Count(githubfake.ListDeliveries, "", 0); got != 1 {
		t.Errorf("got %d pages, want 1", got)
	}
	w.mustRedeliver(t, time.Time{}, 252)
}

// TestRedeliverHooks: the end of a hook's URL tells whether it is ours.
func TestRedeliverHooks(t *testing.T) {
	w, r := newWorld(t, githubfake.Options{}), newReceiver(t)
	r.down.Store(true)
	for _, url := range []string{r.url + "-2", strings.Replace(r.url, "/hooks/", "/hooks/x-", 1), r.url + "/more", "::"} {
		w.AddHook(githubfake.Hook{URL: url})
	}
	w.raise(1)
	_, err := w.redeliver(t, time.Time{})
	if !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "/hooks/"+sourceName) {
		t.Errorf("got %v, want ErrRefused that says how the hook is known", err)
	}
	w.AddHook(githubfake.Hook{URL: r.url + "/?x=y"})
	w.AddHook(githubfake.Hook{URL: r.url})
	w.raise(1)
	w.mustRedeliver(t, time.Time{}, 2) // one for each hook
}

// TestRedeliverApp: calls about an App's hook are made as the App.
func TestRedeliverApp(t *testing.T) {
	r := newReceiver(t)
	w := newAppWorld(t, githubfake.Options{}, githubfake.App{Hook: githubfake.Hook{URL: r.url}})
	r.down.Store(true)
	w.raise(3)
	r.down.Store(false)
	w.mustRedeliver(t, time.Time{}, 3)
	w.mustRedeliver(t, time.Time{}, 0)
	if guids, _ := r.count(); guids != 3 {
		t.Errorf("%d events arrived, want 3", guids)
	}
}

// TestRedeliverAppOfOrg: an App without a hook of its own, which may see those of the organisation, or may not.
func TestRedeliverAppOfOrg(t *testing.T) {
	r := newReceiver(t)
	r.down.Store(true)
	granted := map[string]string{"secret_scanning_alerts": "write", "organization_hooks": "write"}
	w := newAppWorld(t, githubfake.Options{}, githubfake.App{Granted: granted})
	w.AddHook(githubfake.Hook{URL: r.url})
	w.raise(2)
	w.mustRedeliver(t, time.Time{}, 2)
	w = newAppWorld(t, githubfake.Options{}, githubfake.App{})
	w.AddHook(githubfake.Hook{URL: r.url})
	if _, err := w.redeliver(t, time.Time{}); !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "organization_hooks") {
		t.Errorf("got %v, want ErrRefused that names the permission", err)
	}
}

// TestRedeliverRefused: a token that may not see hooks, in both ways in which GitHub says so.
func TestRedeliverRefused(t *testing.T) {
	for name, fault := range map[string]githubfake.Fault{
		"403": {Op: githubfake.ListHooks, Status: 403, Body: `{"message":"no"}`},
		"404": {Op: githubfake.ListHooks, Status: 404, Body: `{"message":"Not Found"}`},
	} {
		w := newWorld(t, githubfake.Options{})
		w.AddFault(fault)
		if _, err := w.redeliver(t, time.Time{}); !errors.Is(err, collect.ErrRefused) || !strings.Contains(err.Error(), "hook") {
			t.Errorf("%s: got %v, want ErrRefused that says what is missing", name, err)
		}
	}
}

// TestRedeliverOneFails: the refusal of one delivery does not cost the others, but a limit ends the round.
func TestRedeliverOneFails(t *testing.T) {
	for name, row := range map[string]struct {
		fault   githubfake.Fault
		want    int
		limited bool
	}{
		"gone":      {githubfake.Fault{Status: 404, Body: `{"message":"Not Found"}`}, 2, false},
		"refused":   {githubfake.Fault{Status: 422, Body: `{"message":"no"}`}, 2, false},
		"throttled": {githubfake.SecondaryLimit(403, "60"), 1, true},
		"down":      {githubfake.Fault{Status: 500}, 1, false},
	} {
		w := newWorld(t, githubfake.Options{})
		w.AddHook(ourHook)
		w.raise(3)
		row.fault.Op, row.fault.Skip = githubfake.Redeliver, 1
		w.AddFault(row.fault)
		got, err := w.redeliver(t, time.Time{})
		if _, limited := errors.AsType[*leak.Throttled](err); err == nil || got != row.want || limited != row.limited {
			t.Errorf("%s: got %d and error %v, want %d and an error", name, got, err, row.want)
		}
	}
}

// TestRedeliverMissingList: an answer that is not a list does not count as an empty one, whatever go-github makes of it.
func TestRedeliverMissingList(t *testing.T) {
	for name, body := range map[string]string{"nothing": "", "null": "null", "cut": `[{"id":1`, "an object": "{}"} {
		w := newWorld(t, githubfake.Options{})
		w.AddHook(ourHook)
		w.answer(githubfake.ListDeliveries, body)
		if n, err := w.redeliver(t, time.Time{}); err == nil || !strings.Contains(err.Error(), "cannot be read") {
			t.Errorf("%s: got %d deliveries and error %v, want that the answer cannot be read", name, n, err)
		}
	}
}
