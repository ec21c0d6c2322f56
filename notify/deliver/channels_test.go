package deliver_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"stanch/notify"
	"stanch/notify/deliver"
	"stanch/notify/pagerduty"
	"stanch/notify/pagerdutyfake"
	"stanch/notify/slack"
	"stanch/notify/slackfake"
	"stanch/receiver/leak"
)

// opener is the configuration of a notifier.
type opener interface {
	Open(name string, log *slog.Logger) (notify.Notifier, error)
}

func openNotifier(t *testing.T, c opener) notify.Notifier {
	t.Helper()
	n, err := c.Open("channel", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestChannelsOverRestart: a key's failure pages and begins a thread; after a restart its containment, which pages nobody,
// resolves the one and goes on with the other.
func TestChannelsOverRestart(t *testing.T) {
	const secret = "routing-key-or-token-of-32-chars"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	pages, err := pagerdutyfake.Start(secret)
	if err != nil {
		t.Fatal(err)
	}
	defer pages.Close()
	room, err := slackfake.Start(secret, "C1")
	if err != nil {
		t.Fatal(err)
	}
	defer room.Close()
	calls := make(chan struct{}, 10)
	note := func(http.ResponseWriter, *http.Request) bool { calls <- struct{}{}; return false }
	pages.Fault(note)
	room.Fault(note)
	store := open(t, filepath.Join(t.TempDir(), "store"))
	defer func() { _ = store.Close() }()
	failed := entry(incident(leak.Failed), leak.Failure, "IAM does not answer")
	failed.Incident.Severity = leak.Critical
	contained := entry(incident(leak.Contained), leak.Proved, "read back from the issuer, the key is disabled")
	contained.ID = "entry-2"
	for _, run := range []struct {
		entry leak.Entry
		calls int // an event; a message, or an edit and a reply
	}{{failed, 2}, {contained, 3}} {
		stop := start(t, deliver.Config{Store: store, Settings: deliver.Settings{Routes: map[string]deliver.Route{
			"pages": {
				Notifier: openNotifier(t, &pagerduty.Config{RoutingKeyFile: file, URL: pages.URL}),
				When:     func(i leak.Incident) (bool, error) { return i.Severity == leak.Critical, nil },
			},
			"room": {Notifier: openNotifier(t, &slack.Config{TokenFile: file, Channel: "C1", URL: room.URL})},
		}}})
		log(t, store, run.entry)
		for range run.calls {
			<-calls
		}
		stop()
	}
	if got := pages.Alerts(); len(got) != 1 || got[string(id)] != "resolved" {
		t.Errorf("got the alerts %v, want one that is resolved", got)
	}
	got := room.Messages()
	if len(got) != 2 || got[0].Edits != 1 || got[0].Text != got[1].Text || got[1].Thread != got[0].TS {
		t.Errorf("got %v, want a thread whose first message shows what was told last", got)
	}
}
