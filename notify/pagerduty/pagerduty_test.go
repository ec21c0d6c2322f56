package pagerduty_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stanch/notify"
	"stanch/notify/channel"
	"stanch/notify/notifytest"
	"stanch/notify/pagerduty"
	"stanch/notify/pagerdutyfake"
	"stanch/receiver/leak"
)

const routingKey = "plantedroutingkey0123456789abcde"

func open(t *testing.T, url string, severity leak.Severity) notify.Notifier {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(routingKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &pagerduty.Config{RoutingKeyFile: file, URL: url, Severity: severity}
	n, err := c.Open("oncall", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// play starts a PagerDuty of one routing key, which ends with the test.
func play(t *testing.T, key string) *pagerdutyfake.Server {
	t.Helper()
	server, err := pagerdutyfake.Start(key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Harness{
		Open: func(t *testing.T) (notify.Notifier, func() string) {
			server := play(t, routingKey)
			return open(t, server.URL, leak.Info), server.Shown
		},
		Stalled: func(t *testing.T) (notify.Notifier, <-chan struct{}) {
			server := play(t, routingKey)
			fault, reached := notifytest.Stall(t)
			server.Fault(fault)
			return open(t, server.URL, leak.Info), reached
		},
		Answers: func(t *testing.T, status int, retryAfter string) notify.Notifier {
			server := play(t, routingKey)
			server.Fault(notifytest.Repeat(status, retryAfter))
			return open(t, server.URL, leak.Info)
		},
		Broken: func(t *testing.T) notify.Notifier {
			server := play(t, "another routing key 0123456789ab")
			return open(t, server.URL, leak.Info)
		},
		Private: []string{routingKey, "127.0.0.1", "enqueue", "unknown", "routing_key"},
	})
}

// at is when the first notice of a story is about.
var at = time.Date(2026, 11, 21, 14, 3, 5, 0, time.UTC)

// notice is one of the example's incident, so many seconds after the first.
func notice(phase notify.Phase, severity leak.Severity, seconds int) notify.Notice {
	n := notifytest.Notice("notice", severity)
	n.Phase, n.At = phase, at.Add(time.Duration(seconds)*time.Second)
	return n
}

// TestLife: which events a story of notices makes, and how the alert stands in the end.
func TestLife(t *testing.T) {
	opened := notice(notify.Opened, leak.Critical, 0)
	key := string(opened.Incident.ID)
	for name, row := range map[string]struct {
		notices []notify.Notice
		actions string
		state   string
	}{
		"opened, taken, settled": {
			[]notify.Notice{opened, notice(notify.Taken, leak.Warning, 1), notice(notify.Settled, leak.Info, 2)},
			"trigger acknowledge resolve", "resolved",
		},
		"never critical": {
			[]notify.Notice{
				notice(notify.Opened, leak.Warning, 0), notice(notify.Taken, leak.Warning, 1), notice(notify.Settled, leak.Info, 2),
			}, "", "",
		},
		"settled at once, however grave": {[]notify.Notice{notice(notify.Settled, leak.Critical, 0)}, "", ""},
		"calmer news of what pages":      {[]notify.Notice{opened, notice(notify.Opened, leak.Warning, 1)}, "trigger trigger", "triggered"},
		"delivered twice":                {[]notify.Notice{opened, opened}, "trigger trigger", "triggered"},
		"settled twice": {
			[]notify.Notice{opened, notice(notify.Settled, leak.Info, 1), notice(notify.Settled, leak.Info, 2)},
			"trigger resolve", "resolved",
		},
		"opened again":                 {[]notify.Notice{opened, notice(notify.Settled, leak.Info, 1), notice(notify.Opened, leak.Critical, 2)}, "trigger resolve trigger", "triggered"},
		"overtaken by the settlement":  {[]notify.Notice{notice(notify.Settled, leak.Info, 1), opened}, "", ""},
		"overtaken by a later opening": {[]notify.Notice{notice(notify.Opened, leak.Critical, 2), notice(notify.Settled, leak.Info, 1)}, "trigger", "triggered"},
	} {
		server := play(t, routingKey)
		n := open(t, server.URL, "")
		for _, sent := range row.notices {
			if err := n.Notify(t.Context(), sent); err != nil {
				t.Fatalf("%s: got %v, want no error", name, err)
			}
		}
		if got := actions(server); got != row.actions {
			t.Errorf("%s: got the events %q, want %q", name, got, row.actions)
		}
		if got := server.Alerts()[key]; got != row.state {
			t.Errorf("%s: got an alert that is %q, want %q", name, got, row.state)
		}
	}
}

func actions(server *pagerdutyfake.Server) string {
	var all []string
	for _, e := range server.Events() {
		all = append(all, e.Action)
	}
	return strings.Join(all, " ")
}

// TestEvent: an event says what PagerDuty needs to route it.
func TestEvent(t *testing.T) {
	server := play(t, routingKey)
	sent := notice(notify.Opened, leak.Critical, 0)
	if err := open(t, server.URL, "").Notify(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	got := server.Events()[0]
	for field, pair := range map[string][2]string{
		"dedup_key":      {got.DedupKey, string(sent.Incident.ID)},
		"summary":        {got.Payload.Summary, sent.Title},
		"severity":       {got.Payload.Severity, "critical"},
		"source":         {got.Payload.Source, sent.Incident.Key.ID},
		"component":      {got.Payload.Component, "ibm"},
		"group":          {got.Payload.Group, "acc-1"},
		"class":          {got.Payload.Class, "contained"},
		"timestamp":      {got.Payload.Timestamp, "2026-11-21T14:03:05Z"},
		"client_url":     {got.ClientURL, sent.Link},
		"custom_details": {got.Payload.Details[sent.Facts[0].Name], sent.Facts[0].Text},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", field, pair[0], pair[1])
		}
	}
}

// TestLimits: whatever strangers call a key, PagerDuty takes the event.
func TestLimits(t *testing.T) {
	server := play(t, routingKey)
	n := open(t, server.URL, "")
	sent := notice(notify.Opened, leak.Critical, 0)
	sent.Title = strings.Repeat("\u2028ü<", 1000)
	sent.Incident.Key.ID = strings.Repeat("k", 5000)
	for i := range sent.Facts {
		sent.Facts[i].Text = strings.Repeat("<\u2028\"", 100_000)
	}
	if err := n.Notify(t.Context(), sent); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// TestSameName: facts of one name, as an operator's template makes them, are all shown.
func TestSameName(t *testing.T) {
	server := play(t, routingKey)
	sent := notice(notify.Opened, leak.Critical, 0)
	sent.Facts = []notify.Fact{{Name: "Note", Text: "one"}, {Name: "Note", Text: "two"}}
	if err := open(t, server.URL, "").Notify(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	if got := server.Events()[0].Payload.Details["Note"]; got != "one\ntwo" {
		t.Errorf("got %q, want both", got)
	}
}

// TestGroup: a group is one alert of its own, and settles what was opened for its members before.
func TestGroup(t *testing.T) {
	server := play(t, routingKey)
	n := open(t, server.URL, "")
	before := notice(notify.Opened, leak.Critical, 0)
	group := notice(notify.Opened, leak.Critical, 1)
	group.Incident.ID, group.Count = "group", 2
	other := before.Incident
	other.ID = "other"
	group.Members = []notify.Member{
		{Incident: before.Incident, Phase: notify.Settled}, {Incident: other, Phase: notify.Opened},
	}
	for _, sent := range []notify.Notice{before, group} {
		if err := n.Notify(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
	}
	got := server.Alerts()
	if len(got) != 2 || got[string(before.Incident.ID)] != "resolved" || got["group"] != "triggered" {
		t.Errorf("got %v, want the first incident's alert resolved and one of the group", got)
	}
}

// TestThrottled: PagerDuty's wish to be left alone is told, and nothing is remembered that did not happen.
func TestThrottled(t *testing.T) {
	server := play(t, routingKey)
	n := open(t, server.URL, "")
	server.Fault(notifytest.Repeat(http.StatusTooManyRequests, "17"))
	err := n.Notify(t.Context(), notice(notify.Opened, leak.Critical, 0))
	if throttled, ok := errors.AsType[*leak.Throttled](err); !ok || throttled.After != 17*time.Second {
		t.Errorf("got %v, want to wait 17 s", err)
	}
	server.Fault(nil)
	if err := n.Notify(t.Context(), notice(notify.Settled, leak.Info, 1)); err != nil {
		t.Fatal(err)
	}
	if got := actions(server); got != "" {
		t.Errorf("got the events %q, want none: nothing was triggered", got)
	}
}

// TestRemembers: what was triggered before a restart is resolved after it.
func TestRemembers(t *testing.T) {
	server := play(t, routingKey)
	memory := channel.NewMemory()
	for i, phase := range []notify.Phase{notify.Opened, notify.Settled} {
		n := open(t, server.URL, "")
		n.(notify.Remembering).Remember(memory)
		if err := n.Notify(t.Context(), notice(phase, leak.Critical, i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := actions(server); got != "trigger resolve" {
		t.Errorf("got the events %q, want trigger resolve", got)
	}
}

func TestWaitsForItsTurn(t *testing.T) {
	server := play(t, routingKey)
	reached, over := make(chan struct{}, 1), make(chan struct{})
	server.Fault(func(http.ResponseWriter, *http.Request) bool {
		reached <- struct{}{}
		<-over
		return false
	})
	n := open(t, server.URL, "")
	first := make(chan error, 1)
	go func() { first <- n.Notify(t.Context(), notice(notify.Opened, leak.Critical, 0)) }()
	<-reached
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Notify(ctx, notice(notify.Settled, leak.Info, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	close(over)
	if err := <-first; err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

// TestPrints: a notifier that ends up in a log shows no credential.
func TestPrints(t *testing.T) {
	n := open(t, "https://example.com", "")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, n); strings.Contains(got, routingKey) {
			t.Errorf("%s: got %s", format, got)
		}
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", routingKey)
	for _, row := range []struct {
		config pagerduty.Config
		want   string
	}{
		{pagerduty.Config{RoutingKeyFile: good}, ""},
		{pagerduty.Config{RoutingKeyFile: good, URL: "https://events.eu.pagerduty.com/v2/enqueue", Severity: leak.Info}, ""},
		{pagerduty.Config{}, "routing_key_file is missing"},
		{pagerduty.Config{RoutingKeyFile: file("lines", "abc\ndef")}, "not one line"},
		{pagerduty.Config{RoutingKeyFile: file("empty", "\n")}, "empty file"},
		{pagerduty.Config{RoutingKeyFile: filepath.Join(dir, "absent")}, "no such file"},
		{pagerduty.Config{RoutingKeyFile: good, URL: "http://pagerduty.example"}, "url must be https"},
		{pagerduty.Config{RoutingKeyFile: good, Severity: "grave"}, "severity must be"},
	} {
		var faults []string
		row.config.Check(func(field, problem string) { faults = append(faults, field+" "+problem) })
		got := strings.Join(faults, "; ")
		if (got == "") != (row.want == "") || !strings.Contains(got, row.want) || strings.Contains(got, dir) {
			t.Errorf("got the faults %q, want %q and no path", got, row.want)
		}
		if _, err := row.config.Open("oncall", nil); (err == nil) != (row.want == "") {
			t.Errorf("opening with %q: got %v", row.want, err)
		}
	}
}
