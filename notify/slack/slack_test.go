package slack_test

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
	"stanch/notify/slack"
	"stanch/notify/slackfake"
	"stanch/receiver/leak"
)

const (
	token = "xoxb-planted-token-0123456789"
	room  = "C0123456789"
)

func open(t *testing.T, url string) notify.Notifier {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := (&slack.Config{TokenFile: file, Channel: room, URL: url}).Open("team", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// play starts a Slack that knows one token and the room, which ends with the test.
func play(t *testing.T, token string) *slackfake.Server {
	t.Helper()
	server, err := slackfake.Start(token, room)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func start(t *testing.T) (notify.Notifier, *slackfake.Server) {
	server := play(t, token)
	return open(t, server.URL), server
}

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Harness{
		Open: func(t *testing.T) (notify.Notifier, func() string) {
			n, server := start(t)
			return n, server.Shown
		},
		Stalled: func(t *testing.T) (notify.Notifier, <-chan struct{}) {
			n, server := start(t)
			fault, reached := notifytest.Stall(t)
			server.Fault(fault)
			return n, reached
		},
		Answers: func(t *testing.T, status int, retryAfter string) notify.Notifier {
			n, server := start(t)
			server.Fault(notifytest.Repeat(status, retryAfter))
			return n
		},
		Broken: func(t *testing.T) notify.Notifier {
			return open(t, play(t, "xoxb-another").URL)
		},
		Private: []string{token, room, "127.0.0.1", "chat.postMessage", "invalid_auth"},
		Markup: []string{
			"<!channel>", "<!here>", "<!everyone>", "<@U0123456789>", "<#C0123456789>", "<https://evil.example|click>",
			"<!date^1392734382^{date}^https://evil.example|now>", "&lt;!channel&gt;",
		},
	})
}

// at is when the first notice of a story is about.
var at = time.Date(2026, 11, 21, 14, 3, 5, 0, time.UTC)

// notice is one of the example's incident with an id of its own, so many seconds after the first.
func notice(phase notify.Phase, severity leak.Severity, seconds int) notify.Notice {
	when := at.Add(time.Duration(seconds) * time.Second)
	n := notifytest.Notice("notice "+when.String(), severity)
	n.Phase, n.At, n.Title = phase, when, n.Title+" at "+when.Format(time.TimeOnly)
	return n
}

// TestThread: an incident is one thread, and its first message shows how it stands now.
func TestThread(t *testing.T) {
	n, server := start(t)
	notifytest.Tell(t, n, notice(notify.Opened, leak.Critical, 0), notice(notify.Taken, leak.Warning, 1), notice(notify.Settled, leak.Info, 2))
	got := server.Messages()
	if len(got) != 3 || got[0].Thread != "" || got[1].Thread != got[0].TS || got[2].Thread != got[0].TS {
		t.Fatalf("got %v, want a message with two replies", got)
	}
	if got[0].Edits != 1 || !strings.HasSuffix(got[0].Text, "at 14:03:07") {
		t.Errorf("got a first message that was edited %d times and says %q, want what is settled", got[0].Edits, got[0].Text)
	}
	for i, want := range []string{"at 14:03:06", "at 14:03:07"} {
		if reply := got[i+1]; !strings.HasSuffix(reply.Text, want) || reply.Broadcast {
			t.Errorf("got the reply %q (to the channel: %v), want %s in the thread", reply.Text, reply.Broadcast, want)
		}
	}
}

// TestThreadsAreApart: another incident has a thread of its own.
func TestThreadsAreApart(t *testing.T) {
	n, server := start(t)
	other := notice(notify.Opened, leak.Critical, 1)
	other.Incident.ID = "other"
	notifytest.Tell(t, n, notice(notify.Opened, leak.Critical, 0), other)
	for _, m := range server.Messages() {
		if m.Thread != "" {
			t.Errorf("got a reply %v, want two messages", m)
		}
	}
}

// TestCriticalAgain: what gets worse is seen by people who do not look into threads.
func TestCriticalAgain(t *testing.T) {
	n, server := start(t)
	notifytest.Tell(t, n, notice(notify.Settled, leak.Info, 0), notice(notify.Opened, leak.Critical, 1), notice(notify.Opened, leak.Warning, 2))
	got := server.Messages()
	if !got[1].Broadcast || got[2].Broadcast {
		t.Errorf("got %v, want the critical reply alone in the channel too", got)
	}
}

// TestOvertaken: a notice that comes late is told, and does not make the first message older than it is.
func TestOvertaken(t *testing.T) {
	n, server := start(t)
	notifytest.Tell(t, n, notice(notify.Settled, leak.Info, 2), notice(notify.Opened, leak.Warning, 1))
	got := server.Messages()
	if len(got) != 2 || got[0].Edits != 0 || !strings.HasSuffix(got[1].Text, "at 14:03:06") {
		t.Errorf("got %v, want a reply and the first message as it was", got)
	}
}

// TestRemembers: after a restart the thread goes on, and what was told is not told again.
func TestRemembers(t *testing.T) {
	_, server := start(t)
	memory := channel.NewMemory()
	for _, sent := range []notify.Notice{
		notice(notify.Opened, leak.Critical, 0), notice(notify.Settled, leak.Info, 1), notice(notify.Opened, leak.Critical, 0),
	} {
		n := open(t, server.URL)
		n.(notify.Remembering).Remember(memory)
		notifytest.Tell(t, n, sent)
	}
	if got := server.Messages(); len(got) != 2 || got[1].Thread != got[0].TS {
		t.Errorf("got %v, want one thread of two", got)
	}
}

// TestMessageDeleted: whoever deletes a message does not end the notices of its incident.
func TestMessageDeleted(t *testing.T) {
	n, server := start(t)
	notifytest.Tell(t, n, notice(notify.Opened, leak.Critical, 0))
	server.Forget()
	notifytest.Tell(t, n, notice(notify.Taken, leak.Warning, 1))
	server.Forget()
	notifytest.Tell(t, n, notice(notify.Settled, leak.Info, 2), notice(notify.Settled, leak.Info, 3))
	if got := server.Messages(); len(got) != 2 || got[0].Thread != "" || got[1].Thread != got[0].TS {
		t.Errorf("got %v, want a new thread", got)
	}
}

// TestRate: Slack's limit is told to the caller, and what was refused for it can be told again.
func TestRate(t *testing.T) {
	n, server := start(t)
	server.Limit(0, 1)
	second := notice(notify.Settled, leak.Info, 1)
	notifytest.Tell(t, n, notice(notify.Opened, leak.Critical, 0))
	err := n.Notify(t.Context(), second)
	if throttled, ok := errors.AsType[*leak.Throttled](err); !ok || throttled.After != time.Second {
		t.Fatalf("got %v, want to wait 1 s", err)
	}
	server.Limit(0, 1)
	notifytest.Tell(t, n, second)
	if got := server.Messages(); len(got) != 2 {
		t.Errorf("got %v, want the notice and one reply", got)
	}
}

// TestLimits: whatever strangers call a key, Slack takes the message, and what to do next is not lost.
func TestLimits(t *testing.T) {
	for _, text := range []string{strings.Repeat("<&>`", 30_000), strings.Repeat("\u2028ü", 30_000), "", "`", "``", "a`b`c`"} {
		n, server := start(t)
		sent := notice(notify.Opened, leak.Critical, 0)
		next := sent.Facts[len(sent.Facts)-1].Text
		sent.Title = text
		for i := range sent.Facts[:len(sent.Facts)-1] {
			sent.Facts[i].Text = text
		}
		notifytest.Tell(t, n, sent)
		if !strings.Contains(server.Shown(), next) {
			t.Errorf("%.10q: what to do next is not shown", text)
		}
	}
}

// TestManyFacts: however many facts a template makes, Slack takes the message.
func TestManyFacts(t *testing.T) {
	n, server := start(t)
	sent := notice(notify.Opened, leak.Critical, 0)
	sent.Facts = nil
	for range 10_000 {
		sent.Facts = append(sent.Facts, notify.Fact{Text: "x"})
	}
	notifytest.Tell(t, n, sent)
	if got := len(server.Messages()[0].Blocks[1].Elements); got < 2 || got > 50 {
		t.Errorf("got %d facts, want some of them", got)
	}
}

// TestCommands: commands can be copied as they are; the rest is plain, and only our own link is one.
func TestCommands(t *testing.T) {
	n, server := start(t)
	sent := notice(notify.Opened, leak.Critical, 0)
	sent.Facts = []notify.Fact{{Name: "Next", Text: "Do `stanch incidents undo 9f --reason \"...\"` or *not*, see https://evil.example."}}
	notifytest.Tell(t, n, sent)
	var code, links []string
	for _, section := range server.Messages()[0].Blocks[1].Elements {
		for _, e := range section.Elements {
			switch {
			case e.Style.Code:
				code = append(code, e.Text.(string))
			case e.Type != "text":
				links = append(links, e.Type+" "+e.URL)
			}
		}
	}
	if len(code) != 1 || code[0] != `stanch incidents undo 9f --reason "..."` {
		t.Errorf("got the commands %q, want the one", code)
	}
	if len(links) != 1 || links[0] != "link "+sent.Link {
		t.Errorf("got the links %q, want our own", links)
	}
}

// TestAnswers: what an answer means for the notice.
func TestAnswers(t *testing.T) {
	const refused, again, throttled = "refused", "again", "throttled"
	for body, want := range map[string]string{
		`{"ok":false,"error":"invalid_auth"}`: refused, `{"ok":false,"error":"not_in_channel"}`: refused,
		`{"ok":false,"error":"invalid_blocks"}`: refused, `{"ok":false,"error":"ratelimited"}`: throttled,
		`{"ok":false,"error":"internal_error"}`: again, `{"ok":false,"error":"a planted word"}`: again,
		`{"ok":false}`: again, `{}`: again, `<html>`: again, ``: again, `{"ok":true}`: again,
	} {
		n, server := start(t)
		server.Fault(func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(body))
			return true
		})
		err := n.Notify(t.Context(), notice(notify.Opened, leak.Critical, 0))
		got := again
		if _, ok := errors.AsType[*notify.Refused](err); ok {
			got = refused
		} else if _, ok := errors.AsType[*leak.Throttled](err); ok {
			got = throttled
		}
		if err == nil || got != want || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: got %v, which is %s; want an error that is %s", body, err, got, want)
		}
	}
}

func TestExamine(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*slackfake.Server)
		want   leak.Result
	}{
		"good":     {func(*slackfake.Server) {}, leak.Good},
		"many":     {func(s *slackfake.Server) { s.Grant("channels:read,chat:write") }, leak.Good},
		"no scope": {func(s *slackfake.Server) { s.Grant("chat:write.public") }, leak.Broken},
		"no answer": {func(s *slackfake.Server) {
			s.Fault(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true })
		}, leak.Broken},
		"wrong body": {func(s *slackfake.Server) { s.Fault(func(w http.ResponseWriter, _ *http.Request) bool { return true }) }, leak.Broken},
	} {
		n, server := start(t)
		row.change(server)
		got := n.(notify.Examiner).Examine(t.Context())
		if len(got) != 1 || got[0].Result != row.want || strings.Contains(got[0].Text, token) {
			t.Errorf("%s: got %v, want %s", name, got, row.want)
		}
		if len(server.Messages()) != 0 {
			t.Errorf("%s: an examination told somebody", name)
		}
	}
}

// TestOutside: Slack is told when a person takes an incident up, and not told where a partner's alert saw a key.
func TestOutside(t *testing.T) {
	n, _ := start(t)
	if !n.(notify.Outsider).Outside() || !n.(notify.Follower).Follows() {
		t.Error("got a channel of our own, or one that does not follow")
	}
}

func TestGivenUp(t *testing.T) {
	n, server := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	fault, reached := notifytest.Stall(t)
	server.Fault(fault)
	go func() {
		<-reached
		cancel()
	}()
	if err := n.Notify(ctx, notice(notify.Opened, leak.Critical, 0)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// TestPrints: a notifier that ends up in a log shows no credential.
func TestPrints(t *testing.T) {
	n, _ := start(t)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, n); strings.Contains(got, token) {
			t.Errorf("%s: got %s", format, got)
		}
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "token")
	if err := os.WriteFile(good, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		config slack.Config
		want   string
	}{
		{slack.Config{TokenFile: good, Channel: room}, ""},
		{slack.Config{TokenFile: good, Channel: room, URL: "https://slack-gov.com/api"}, ""},
		{slack.Config{Channel: room}, "token_file is missing"},
		{slack.Config{TokenFile: filepath.Join(dir, "absent"), Channel: room}, "no such file"},
		{slack.Config{TokenFile: good}, "channel is missing"},
		{slack.Config{TokenFile: good, Channel: "#security"}, "channel must be the id"},
		{slack.Config{TokenFile: good, Channel: room, URL: "http://slack.example/api/"}, "url must be https"},
		{slack.Config{TokenFile: good, Channel: room, URL: "https://me:pw@slack.example/api/"}, "url must hold no user"},
	} {
		var faults []string
		row.config.Check(func(field, problem string) { faults = append(faults, field+" "+problem) })
		got := strings.Join(faults, "; ")
		if (got == "") != (row.want == "") || !strings.Contains(got, row.want) || strings.Contains(got, dir) {
			t.Errorf("got the faults %q, want %q and no path", got, row.want)
		}
		if _, err := row.config.Open("team", nil); (err == nil) != (row.want == "") {
			t.Errorf("opening with %q: got %v", row.want, err)
		}
	}
}
