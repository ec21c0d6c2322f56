package deliver_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"stanch/notify/deliver"
	"stanch/receiver/queue/embedded"
)

// TestNothingLost: what was logged while a notifier was down, while nobody ran, and before a restart is delivered by
// whoever runs next, from the disk; what was logged before a notifier existed is not.
func TestNothingLost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")

	// 1. The log holds something before there is any notifier.
	store := open(t, dir)
	log(t, store, news("before"))

	// 2. Of ten notices every second is refused until the process ends.
	firstRun := &channel{}
	told := make(chan struct{}, 100)
	firstRun.answer = func(_ context.Context, attempt int) error {
		told <- struct{}{}
		if attempt%2 == 0 {
			return errDead
		}
		return nil
	}
	stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: routes(map[string]*channel{"c": firstRun})}})
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf("run-%02d", i))
		log(t, store, news(want[i]))
	}
	for range 10 {
		<-told
	}
	stop()

	// 3. More comes while nobody delivers, and the store is closed and opened again.
	for i := range 5 {
		want = append(want, fmt.Sprintf("down-%02d", i))
		log(t, store, news(want[len(want)-1]))
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = open(t, dir)

	// 4. Now all is well, and what is missing comes.
	secondRun := &channel{}
	missing := map[string]bool{}
	for _, id := range want {
		missing[id] = true
	}
	for i, id := range firstRun.ids() {
		if (i+1)%2 != 0 {
			delete(missing, id)
		}
	}
	got := make(chan struct{}, 100)
	secondRun.answer = func(context.Context, int) error { got <- struct{}{}; return nil }
	stop = start(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: routes(map[string]*channel{"c": secondRun})}})
	for len(missing) > 0 {
		<-got
		for _, id := range secondRun.ids() {
			delete(missing, id)
		}
	}
	stop()
	if slices.Contains(append(firstRun.ids(), secondRun.ids()...), "before") {
		t.Error("got a notice of what was logged before the notifier existed")
	}
}

func open(t *testing.T, dir string) *embedded.Store {
	t.Helper()
	store, err := embedded.Open(t.Context(), embedded.Config{Dir: dir, MaxStore: 256 << 20, Keys: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}
