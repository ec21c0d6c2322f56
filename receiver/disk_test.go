package receiver_test

import (
	"net/http"
	"testing"

	"stanch/receiver"
	"stanch/receiver/queue"
	"stanch/receiver/queue/embedded"
)

// TestHandlerOnDisk takes a delivery to the real store and looks for it in the next run.
func TestHandlerOnDisk(t *testing.T) {
	config := embedded.Config{Dir: t.TempDir(), Keys: "keys of the test"}
	open := func() *embedded.Store {
		store, err := embedded.Open(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store := open()
	h := newHouse(t, func(_ *house, c *receiver.Config) { c.Store = store })
	delivery := "[" + record("first") + "," + record("second") + `,{"token":7}]`
	for range 2 {
		wantStatus(t, h.deliver(t, delivery), http.StatusNoContent)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, h.deliver(t, "["+record("late")+"]"), http.StatusServiceUnavailable)

	store = open()
	defer func() { _ = store.Close() }()
	for stream, want := range map[string]uint64{queue.Alerts: 2, queue.Dead: 1} {
		if stats, err := store.Stats(t.Context(), stream); err != nil || stats.Messages != want {
			t.Errorf("got %d messages in %s and %v, want %d", stats.Messages, stream, err, want)
		}
	}
}
