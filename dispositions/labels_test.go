package dispositions_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// TestLabels is the specification of what the receiver is told of an alert.
func TestLabels(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(w *world)
		report  func(w *world) leak.Alert
		want    leak.Label
		after   time.Duration // at most
	}{
		"works": {nil, func(w *world) leak.Alert {
			return w.alert(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Nothing}), tokenType)
		}, leak.TruePositive, time.Second},
		"dead already": {nil, func(w *world) leak.Alert {
			return w.alert(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Disable, Disabled: true}), tokenType)
		}, leak.TruePositive, time.Second},
		"deleted by us before": {func(w *world) {
			w.report(w.cloud.add(leak.Key{ID: "ApiKey-1", Setting: leak.Delete}), "https://example.com/1")
			time.Sleep(time.Second)
		}, func(w *world) leak.Alert { return w.alert(leak.NewSecret("planted-ApiKey-1"), tokenType) }, leak.TruePositive, time.Second},
		"nobody's": {nil, func(w *world) leak.Alert {
			return w.alert(leak.NewSecret("planted-stranger"), tokenType)
		}, leak.FalsePositive, time.Second},
		"of no configured type": {nil, func(w *world) leak.Alert {
			return w.alert(leak.NewSecret("planted-stranger"), "other_type")
		}, "", time.Second},
		"nobody's before, of no configured type now": {func(w *world) {
			w.report(leak.NewSecret("planted-stranger"), "https://example.com/1")
			time.Sleep(time.Second)
		}, func(w *world) leak.Alert { return w.alert(leak.NewSecret("planted-stranger"), "other_type") }, "", time.Second},
		"nobody can tell": {func(w *world) {
			w.cloud.spoil(func(string, bool) error { return errors.New("status 503") })
		}, func(w *world) leak.Alert {
			return w.alert(leak.NewSecret("planted-stranger"), tokenType)
		}, "", 10 * time.Second},
		"the issuer is slow": {func(w *world) {
			w.cloud.spoil(func(string, bool) error { return &leak.Throttled{After: time.Hour, Err: errors.New("status 429")} })
		}, func(w *world) leak.Alert {
			return w.alert(leak.NewSecret("planted-stranger"), tokenType)
		}, "", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.t = t
				_, stop := w.start(w.store, w.cloud)
				defer stop()
				time.Sleep(time.Second)
				if test.prepare != nil {
					test.prepare(w)
				}
				a := test.report(w)
				began := time.Now()
				got := w.ask(a)
				if got.Label != test.want || got.Fingerprint != a.Fingerprint || time.Since(began) > test.after {
					t.Errorf("got %q after %s, want %q", got.Label, time.Since(began), test.want)
				}
			})
		})
	}
}

// alert queues an alert at a place of its own, and returns it.
func (w *world) alert(value leak.Secret, kind string) leak.Alert {
	w.t.Helper()
	a, err := w.recipient.Seal("gh-partner", time.Now(), leak.Content{Secret: value, Type: kind, URL: "https://example.com/now", Place: "commit"})
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := json.Marshal(a)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Append(context.Background(), queue.Message{Subject: queue.AlertSubject(a.Source), Data: data}); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// ask asks for the label of an alert as the receiver does.
func (w *world) ask(a leak.Alert) leak.Labelled {
	w.t.Helper()
	question, err := json.Marshal(leak.Questions{
		Until: time.Now().Add(10 * time.Second), Alerts: []leak.Labelled{{Fingerprint: a.Fingerprint, ID: a.ID}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	data, err := w.store.(queue.Requests).Request(ctx, queue.LabelRequests, question)
	var answer leak.Questions
	if err != nil || json.Unmarshal(data, &answer) != nil || len(answer.Alerts) != 1 {
		w.t.Fatalf("got %q, %v", data, err)
	}
	return answer.Alerts[0]
}
