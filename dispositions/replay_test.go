package dispositions_test

import (
	"testing"
	"time"

	"stanch/dispositions/deadletter"
	"stanch/receiver/leak"
	"stanch/receiver/seal"
)

// TestReplayedAlertIsHandled lets an engine without the right key bury an alert, and one with it act on it after.
func TestReplayedAlertIsHandled(t *testing.T) {
	inFakeTime(t, func(w *world) {
		right := w.ids
		w.ids, _ = sealing(w.t)
		id := w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable}), "https://example.com/1")
		w.work(time.Second)
		dead := &deadletter.Letters{Store: w.store, Identities: w.ids}
		tell := func(deadletter.Dead, deadletter.Replayed) {}
		if done, err := dead.ReplayAll(w.t.Context(), "", tell); err != nil || done.Replayed != 0 || len(done.Refused) != 1 {
			w.t.Errorf("without the key: got %+v, %v", done, err)
		}
		w.ids, dead.Identities = right, right
		if done, err := dead.ReplayAll(w.t.Context(), "", tell); err != nil || done.Replayed != 1 {
			w.t.Errorf("got %+v, %v", done, err)
		}
		w.work(time.Second)
		w.want(id, leak.Contained, leak.Disable, "key", "seen located decided intended proved")
		w.wantClean()
	})
}

// sealing is a pair of sealing keys of its own.
func sealing(t *testing.T) (*seal.Identities, *seal.Recipient) {
	t.Helper()
	w := newWorld(t)
	return w.ids, w.recipient
}
