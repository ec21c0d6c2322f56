// Package notifytest is the conformance suite of notifiers: what every notifier must do, whatever its channel. Each adapter
// runs it against the real thing, or against a fake that plays its channel.
package notifytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"stanch/notify"
	"stanch/notify/compose"
	"stanch/receiver/leak"
)

// Harness is how the suite gets at an adapter. What a kind of channel cannot be made to do stays nil and is skipped; Open is
// required.
type Harness struct {
	// Open returns a notifier whose channel works, and a function that returns everything the channel has shown so far, as
	// its reader sees it: decoded, with nothing left out.
	Open func(t *testing.T) (n notify.Notifier, shown func() string)
	// Stalled returns a notifier whose channel takes a delivery and never answers. Reached is closed, or sent to, when
	// the delivery has got there.
	Stalled func(t *testing.T) (n notify.Notifier, reached <-chan struct{})
	// Broken returns a notifier on whose channel every delivery ends in an error.
	Broken func(t *testing.T) notify.Notifier
	// Answers returns a notifier whose channel is reached over HTTP and answers every delivery with a status, a Retry-After
	// if that is not empty, and a body that repeats what it was sent.
	Answers func(t *testing.T, status int, retryAfter string) notify.Notifier
	// Private is what no error may hold: the credentials of the channel, and its addresses.
	Private []string
	// Markup is what strangers must not be able to write: escape sequences, mentions, tags and links of the channel's
	// language.
	Markup []string
}

// Run tests a notifier. Each subtest is named after what it demands.
func Run(t *testing.T, h Harness) {
	t.Run("delivers", h.delivers)
	t.Run("delivers at once from many", h.deliversAtOnce)
	t.Run("twice is harmless", h.twice)
	t.Run("strangers cannot write markup", h.markup)
	t.Run("context that is over", h.over)
	t.Run("tells many at once", h.many)
	if h.Answers != nil {
		t.Run("answers mean what HTTP says", h.answers)
	}
	if h.Stalled != nil {
		t.Run("slow channel honours the context", h.stalled)
	}
	if h.Broken != nil {
		t.Run("errors keep secrets", h.broken)
	}
}

// Notice is an example: a contained key, with every fact and a link.
func Notice(id string, severity leak.Severity) notify.Notice {
	return example(id, severity, "ci-deploy", "https://git.example.com/octo/app/blob/main/deploy.sh")
}

func example(id string, severity leak.Severity, name, url string) notify.Notice {
	at := time.Date(2026, 11, 21, 14, 3, 5, 0, time.UTC)
	n, ok := compose.Audience{ExternalURL: "https://stanch.example.com"}.Notice(leak.Entry{
		V: 1, ID: id,
		Steps: []leak.Step{{At: at, Step: leak.Proved, Text: "read back from the issuer, the key is disabled", By: "engine"}},
		Incident: leak.Incident{
			ID:    leak.Fingerprint(strings.Repeat("9f86d081", 8)),
			State: leak.Contained, Severity: severity, Issuer: "ibm", Source: "gh-partner",
			Key: leak.Key{
				ID: "ApiKey-1c2d3e4f-0000-4000-8000-123456789abc", Name: name, Kind: "service_id", Owner: "iam-ServiceId-77",
				Account: "acc-1", Disabled: true,
			},
			Advice: leak.Advice{
				Replace: "Make the next one: `ibmcloud iam service-api-key-create ci-deploy-next ServiceId-77 --action-if-leaked DISABLE " +
					"--file key.json`. Put it into Secrets Manager, or into the secret store of whatever runs on it (a Kubernetes secret, the " +
					"variables of a pipeline), never into a repository; restart what runs on it, and delete the file.",
			},
			Abilities: leak.Abilities{Disable: true, Enable: true, Delete: true, Read: true, TokensOutlive: leak.LivesFor(time.Hour)},
			Action:    leak.Disable, Rule: "key", Reason: "the key's own setting for a leak is disable",
			SightingCount: 1, ReceivedAt: at.Add(-4 * time.Second), ContainedAt: at, TokensLiveUntil: at.Add(time.Hour),
		},
	}, []leak.Sighting{{Source: "gh-partner", Type: "ibm_cloud_iam_key", URL: url, Place: "commit", SeenAt: at}})
	if !ok {
		panic("notifytest: the example is not worth telling")
	}
	n.Phase = notify.Opened // so that channels that keep a state show it as well
	return n
}

// delivers: the title, every fact and the link arrive whole, whatever the severity.
func (h Harness) delivers(t *testing.T) {
	for _, severity := range []leak.Severity{leak.Info, leak.Warning, leak.Critical} {
		n, shown := h.Open(t)
		sent := Notice("notice-1", severity)
		if err := n.Notify(t.Context(), sent); err != nil {
			t.Fatalf("%s: got %v, want no error", severity, err)
		}
		got := oneLine(shown())
		want := []string{sent.Title, sent.Link}
		for _, fact := range sent.Facts {
			want = append(want, fact.Name, fact.Text)
		}
		for _, text := range want {
			if !strings.Contains(got, oneLine(text)) {
				t.Errorf("%s: got %q, want %q in it", severity, got, text)
			}
		}
	}
}

// oneLine is a text whatever its line breaks, which are the channel's business.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// deliversAtOnce: several workers use a notifier at once, and each notice arrives whole.
func (h Harness) deliversAtOnce(t *testing.T) {
	const many = 16
	n, shown := h.Open(t)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			if err := n.Notify(t.Context(), Notice(fmt.Sprintf("notice-%d", i), leak.Critical)); err != nil {
				t.Errorf("got %v, want no error", err)
			}
		})
	}
	all.Wait()
	facts := Notice("", leak.Critical).Facts
	late := facts[slices.IndexFunc(facts, func(f notify.Fact) bool { return f.Name == "What to do next" })]
	if got := strings.Count(oneLine(shown()), oneLine(late.Text)); got != many {
		t.Errorf("got %d whole notices, want %d", got, many)
	}
}

// twice: a notice that comes again after a lost answer is no error.
func (h Harness) twice(t *testing.T) {
	n, shown := h.Open(t)
	for range 2 {
		if err := n.Notify(t.Context(), Notice("notice-1", leak.Critical)); err != nil {
			t.Fatalf("got %v, want no error", err)
		}
	}
	if got, want := oneLine(shown()), Notice("notice-1", leak.Critical).Title; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

// markup: whoever names a key or a repository can write neither the channel's markup nor a line of their own.
func (h Harness) markup(t *testing.T) {
	for _, hostile := range append([]string{"ci\r\nFORGED", "ci\x1b[2J", "ci\u202egnp", "ci\x00\u009b31m"}, h.Markup...) {
		n, shown := h.Open(t)
		if err := n.Notify(t.Context(), example("notice-1", leak.Info, hostile, hostile)); err != nil {
			t.Fatalf("%q: got %v, want no error", hostile, err)
		}
		got := shown()
		if strings.Contains(got, hostile) || strings.ContainsFunc(got, hidden) {
			t.Errorf("%q: got %q, want it neutralised", hostile, got)
		}
		for line := range strings.Lines(got) {
			if strings.HasPrefix(strings.TrimSpace(line), "FORGED") {
				t.Errorf("%q: got the line %q, which a stranger wrote", hostile, line)
			}
		}
	}
}

func hidden(r rune) bool { return r != '\n' && r != '\t' && r != ' ' && !unicode.IsGraphic(r) }

// many: the title of a group arrives, and with it how many incidents there are.
func (h Harness) many(t *testing.T) {
	n, shown := h.Open(t)
	sent := Many("many-1", 990)
	if err := n.Notify(t.Context(), sent); err != nil {
		t.Fatalf("got %v, want no error", err)
	}
	if got := oneLine(shown()); !strings.Contains(got, "990") || !strings.Contains(got, sent.Title) {
		t.Errorf("got %q, want %q in it", got, sent.Title)
	}
}

// Many is an example of a group, one of whose incidents waits for a person.
func Many(id string, count int) notify.Notice {
	one := Notice(id, leak.Critical)
	n := notify.Notice{
		ID: id, At: one.At, Severity: leak.Critical, Phase: notify.Opened, Count: count,
		Title: fmt.Sprintf("%d leaked keys at once: 1 waiting for approval, %d contained", count, count-1),
		Facts: []notify.Fact{{Name: "What to do next", Text: "`stanch incidents list --state held` lists what waits for somebody."}},
		Link:  "https://stanch.example.com/",
	}
	n.Incident.ID, n.Incident.State, n.Incident.Severity = leak.Fingerprint(strings.Repeat("ab", 32)), leak.Open, leak.Critical
	for i := range count {
		m := notify.Member{Incident: one.Incident, Phase: notify.Settled}
		m.Incident.ID = leak.Fingerprint(fmt.Sprintf("%064x", i))
		if i == 0 {
			m.Incident.State, m.Phase = leak.Held, notify.Opened
		}
		n.Members = append(n.Members, m)
	}
	return n
}

// answers: the channel's status decides whether, and when, the notice is told again.
func (h Harness) answers(t *testing.T) {
	tell := func(status int, retryAfter string) error {
		err := h.Answers(t, status, retryAfter).Notify(t.Context(), Notice("notice-1", leak.Critical))
		h.keepsSecrets(t, err)
		if err == nil {
			t.Errorf("%d: got no error", status)
		}
		return err
	}
	for _, status := range []int{400, 401, 403, 404, 410, 413, 422} {
		if _, refused := errors.AsType[*notify.Refused](tell(status, "")); !refused {
			t.Errorf("%d: got an error that is not *notify.Refused", status)
		}
	}
	for _, status := range []int{302, 307, 408, 500, 502, 503, 504} {
		if _, refused := errors.AsType[*notify.Refused](tell(status, "")); refused {
			t.Errorf("%d: got *notify.Refused, although a retry can help", status)
		}
	}
	for _, status := range []int{429, 503} {
		throttled, ok := errors.AsType[*leak.Throttled](tell(status, "7"))
		if !ok || throttled.After != 7*time.Second {
			t.Errorf("%d with Retry-After 7: got %+v, want *leak.Throttled for 7s", status, throttled)
		}
	}
}

// over: when there is no time left nothing is delivered.
func (h Harness) over(t *testing.T) {
	n, shown := h.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Notify(ctx, Notice("notice-1", leak.Info)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if got := shown(); got != "" {
		t.Errorf("got %q, want nothing delivered", got)
	}
}

// stalled: Notify waits for a channel that does not answer until the context ends, and no longer.
func (h Harness) stalled(t *testing.T) {
	n, reached := h.Stalled(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Notify(ctx, Notice("notice-1", leak.Info)) }()
	select {
	case <-reached:
	case err := <-ended:
		t.Fatalf("got %v before the channel was reached", err)
	}
	cancel()
	err := <-ended
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	h.keepsSecrets(t, err)
}

// broken: an error says that it did not work, and holds nothing that may not be shown to anyone.
func (h Harness) broken(t *testing.T) {
	n := h.Broken(t)
	for range 2 { // the first time must not be the only one
		err := n.Notify(t.Context(), Notice("notice-1", leak.Info))
		if err == nil {
			t.Fatal("got no error from a broken channel")
		}
		h.keepsSecrets(t, err)
	}
}

func (h Harness) keepsSecrets(t *testing.T, err error) {
	t.Helper()
	for _, private := range append([]string{"://", "git.example.com", "ci-deploy"}, h.Private...) {
		if err != nil && strings.Contains(err.Error(), private) {
			t.Errorf("got the error %q, want nothing like %q in it", err, private)
		}
	}
}
