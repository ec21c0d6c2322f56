package dispositions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stanch/dispositions/admit"
	"stanch/receiver/leak"
	"stanch/receiver/queue"
)

// lookWorkers is how many second looks are taken at once: nobody waits for them.
const lookWorkers = 4

// lookAtMost is how late a second look is worth taking: after that nobody can tell any more what belonged to the leak.
const lookAtMost = 7 * 24 * time.Hour

// lookLater takes one entry of the log, and when it proves a key dead looks at the key again once the tokens issued before have
// run out. Until then the entry waits in the queue, so a restart forgets none.
func (e *Engine) lookLater(ctx context.Context, m queue.Message) error {
	entry, err := leak.Read[leak.Entry](m.Data)
	if errors.Is(err, leak.ErrNewer) {
		return queue.LeftToNewer(err)
	}
	proves := func(s leak.Step) bool { return s.Step == leak.Proved }
	if err != nil || !slices.ContainsFunc(entry.Steps, proves) {
		return nil
	}
	wait := time.Until(entry.Incident.TokensLiveUntil)
	if wait < -lookAtMost {
		return nil
	}
	if wait > 0 {
		return &queue.Later{Delay: wait, Err: errTooEarly}
	}
	return e.attempts.Try(m, func(lastTry bool) error {
		return e.exclusively(ctx, spanLook, entry.Incident.ID, func(ctx context.Context) error {
			return e.lookAt(ctx, entry.Incident, lastTry)
		})
	})
}

// errTooEarly says why a second look waits.
var errTooEarly = errors.New("tokens of the key may still work")

// lookAt takes the second look, unless the incident has gone on since or was looked at already.
func (e *Engine) lookAt(ctx context.Context, then leak.Incident, lastTry bool) error {
	t, err := e.newTurn(ctx, then.ID, lastTry)
	if err != nil {
		return err
	}
	dead := t.head.State == leak.Contained || t.head.State == leak.Held && t.head.Key.Disabled
	issuer, ok := t.issuer(t.head.Issuer)
	if !dead || !ok || !t.head.ContainedAt.Equal(then.ContainedAt) || t.head.LookedAt.After(then.ContainedAt) {
		return nil
	}
	key, err := issuer.read(ctx, t.head.Key.ID)
	if err != nil && !errors.Is(err, leak.ErrNotFound) {
		return admit.Postpone(fmt.Errorf("looking at a dead key again: %w", err))
	}
	t.incident.LookedAt = time.Now()
	if err == nil && !key.Disabled {
		return t.enabledBySomebody(ctx, issuer, key)
	}
	return t.looked(ctx, issuer, err == nil)
}

// enabledBySomebody holds an incident again whose key works although nobody ordered that here.
func (t *turn) enabledBySomebody(ctx context.Context, issuer Configured, key leak.Key) error {
	t.found(key)
	t.alive()
	t.incident.Action, t.incident.Rule, t.incident.Approval = leak.Disable, leak.RuleEnabled, true
	t.incident.Reason = "somebody enabled the key at its issuer since it was disabled"
	t.investigate(ctx, issuer, true, "the key works again; somebody enabled it at its issuer")
	return t.hold(ctx, "held: to disable the key again needs approval", false)
}

// looked says what happened between the sighting and the end of the last token. It pages when the key was used by then, or when
// its owner made something that may have been made with it.
func (t *turn) looked(ctx context.Context, issuer Configured, there bool) error {
	t.investigate(ctx, issuer, there, "the key is still dead")
	worse := t.incident.Aftermath.Used.Count > 0 || len(t.incident.Aftermath.Made) > 0
	if worse {
		t.incident.Severity = leak.Critical
	}
	t.steps[len(t.steps)-1].Quiet = !worse
	return t.record(ctx)
}

// investigate finds out what the key and its owner did since it was seen, and says so in a step.
func (t *turn) investigate(ctx context.Context, issuer Configured, there bool, finding string) {
	after := leak.Aftermath{}
	findings := []string{"a second look: " + finding}
	for _, text := range []string{t.useSince(ctx, issuer, there, &after), t.madeSince(ctx, issuer, &after)} {
		if text != "" {
			findings = append(findings, text)
		}
	}
	t.incident.Aftermath = &after
	t.step(leak.Looked, strings.Join(findings, "; "))
}

// useSince compares the key's use with what it was when it was looked up.
func (t *turn) useSince(ctx context.Context, issuer Configured, there bool, found *leak.Aftermath) string {
	watcher, ok := issuer.Issuer.(Watcher)
	before := t.head.Key.Used
	switch {
	case !ok:
		return ""
	case !there:
		return "how it was used before it was deleted is not known"
	case !before.Known:
		return "whether it was used meanwhile is not known"
	}
	after, err := watcher.Activity(ctx, t.head.Key.ID)
	if err != nil || !after.Known {
		return "whether it was used meanwhile is not known"
	}
	found.Used = leak.Activity{Known: true, Count: max(0, after.Count-before.Count)}
	if found.Used.Count == 0 {
		return "it was not signed in with since its lookup"
	}
	found.Used.LastAt = after.LastAt
	return fmt.Sprintf("it was signed in with %d times since its lookup, the last time at %s",
		found.Used.Count, moment(after.LastAt))
}

// madeSince lists what the key's owner made since the key was first seen.
func (t *turn) madeSince(ctx context.Context, issuer Configured, found *leak.Aftermath) string {
	tracer, ok := issuer.Issuer.(Tracer)
	if !ok {
		return ""
	}
	made, err := tracer.MadeBy(ctx, t.head.Key, t.head.ReceivedAt)
	if err != nil {
		return "what its owner made since is not known"
	}
	found.Traced, found.Made = true, made[:min(len(made), maxListed)]
	found.More = len(made) - len(found.Made)
	if len(made) == 0 {
		return "its owner made no key and no identity since it was seen"
	}
	var list []string
	for _, m := range found.Made {
		list = append(list, fmt.Sprintf("%s %s %q at %s", m.Kind, m.ID, m.Name, moment(m.At)))
	}
	if found.More > 0 {
		list = append(list, fmt.Sprintf("and %d more", found.More))
	}
	return "its owner made since it was seen: " + strings.Join(list, ", ")
}

// maxListed is how many things an incident lists.
const maxListed = 10

func moment(t time.Time) string {
	if t.IsZero() {
		return "a time that is not known"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
