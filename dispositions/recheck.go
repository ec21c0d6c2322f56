package dispositions

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stanch/dispositions/admit"
	"stanch/receiver/leak"
)

// enabledBySomebody holds an incident again whose key works although nobody ordered that here.
func (p *pass) enabledBySomebody(ctx context.Context) outcome {
	p.found(p.seen.key)
	p.works()
	p.incident.Action, p.incident.Rule, p.incident.Approval = leak.Disable, leak.RuleEnabled, true
	p.incident.Reason = "somebody enabled the key at its issuer since it was disabled"
	p.investigate(ctx, "the key works again; somebody enabled it at its issuer")
	return outcome{result: isHeld, text: "held: to disable the key again needs approval"}
}

// stillDead says what happened between the sighting and the end of the last token. It pages when the key was used by then, or when
// its owner made something that may have been made with it.
func (p *pass) stillDead(ctx context.Context) outcome {
	p.investigate(ctx, "the key is still dead")
	worse := p.incident.Aftermath.Used.Count > 0 || len(p.incident.Aftermath.Made) > 0
	if worse {
		p.incident.Severity = leak.Critical
	}
	p.steps[len(p.steps)-1].Quiet = !worse
	return outcome{result: noted}
}

// recheckByUse looks again at a key whose issuer cannot say how it stands: its value is tried, if it is still kept.
func (p *pass) recheckByUse(ctx context.Context) outcome {
	outlive := p.issuer.Issuer.Abilities().TokensOutlive
	switch tries := p.issuer.tries(p.target()); {
	case !tries && outlive.Known && outlive.Most == 0:
		return outcome{result: nothingLeft} // it was proved a moment ago
	case !tries:
		p.step(leak.Looked, "a second look: the leaked value is not kept any more, and its issuer is asked by nothing else: whether it is still dead is not known")
		p.steps[len(p.steps)-1].Quiet = true
		return outcome{result: noted}
	}
	trial, err := p.issuer.try(ctx, p.target())
	switch {
	case err != nil:
		return outcome{result: back, err: admit.Postpone(fmt.Errorf("looking at a dead key again: %w", err))}
	case trial.Result == leak.Works:
		return fail(fmt.Errorf("a second look: %w", leak.ErrAlive))
	}
	return p.stillDead(ctx)
}

// investigate finds out what the key and its owner did since it was seen, and says so in a step.
func (p *pass) investigate(ctx context.Context, finding string) {
	after := leak.Aftermath{}
	findings := []string{"a second look: " + finding}
	for _, text := range []string{p.useSince(ctx, &after), p.madeSince(ctx, &after)} {
		if text != "" {
			findings = append(findings, text)
		}
	}
	p.incident.Aftermath = &after
	p.step(leak.Looked, strings.Join(findings, "; "))
}

// useSince compares the key's use with what it was when it was looked up.
func (p *pass) useSince(ctx context.Context, found *leak.Aftermath) string {
	watcher, ok := p.issuer.Issuer.(Watcher)
	before := p.head.Key.Used
	switch {
	case !ok:
		return ""
	case p.seen.standing == gone:
		return "how it was used before it was deleted is not known"
	case !before.Known:
		return "whether it was used meanwhile is not known"
	}
	after, err := watcher.Activity(ctx, p.target())
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
func (p *pass) madeSince(ctx context.Context, found *leak.Aftermath) string {
	tracer, ok := p.issuer.Issuer.(Tracer)
	if !ok {
		return ""
	}
	made, err := tracer.MadeBy(ctx, p.head.Key, p.head.ReceivedAt)
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

// decideRepeat settles a sighting that a finished incident knows already: it never acts. Where a person ended the incident
// it is told once that the key works.
func (p *pass) decideRepeat(ctx context.Context) outcome {
	switch p.seen.standing {
	case alive:
		p.found(p.seen.key)
		return outcome{
			result: isAlive,
			text:   "a sighting that was known came again: nothing is done, because a person ended the incident, and the key works",
		}
	case unclear:
		if !p.work.lastTry || admit.Postponed(p.seen.err) {
			return outcome{result: back, err: admit.Postpone(p.seen.err)}
		}
		p.engine.config.Log.WarnContext(ctx, "a closed incident was reported again, and whether its key works is not known",
			"incident", p.head.ID, "err", p.seen.err)
		return outcome{result: nothingLeft}
	}
	return outcome{result: wiped}
}

// decideReport notes what a source was told. The collector says so by the queue of alerts, because it may not write to the log.
func (p *pass) decideReport() outcome {
	if !p.head.Exists() {
		return outcome{result: nothingLeft}
	}
	a, last := p.work.alert, p.head.Steps[len(p.head.Steps)-1]
	if last.Step == leak.Reported && last.Source == a.Source && last.Ref == a.Report.Ref && last.Text == a.Report.Text {
		return outcome{result: nothingLeft} // told twice, because an answer was lost
	}
	p.steps = append(p.steps, leak.Step{
		At: time.Now(), Step: leak.Reported, Text: a.Report.Text, By: "collector", Source: a.Source, Ref: a.Report.Ref,
	})
	return outcome{result: noted}
}

// decideRecheck looks at a dead key again, unless the incident has gone on since or was looked at already.
func (p *pass) decideRecheck(ctx context.Context) outcome {
	dead := p.head.State == leak.Contained || p.head.State == leak.Held && p.head.Key.Disabled
	same := p.head.ContainedAt.Equal(p.work.contained) && !p.head.LookedAt.After(p.work.contained)
	if !dead || !same || p.issuer.Issuer == nil {
		return outcome{result: nothingLeft}
	}
	if p.seen.standing == unclear {
		return outcome{result: back, err: admit.Postpone(fmt.Errorf("looking at a dead key again: %w", p.seen.err))}
	}
	p.incident.LookedAt = time.Now()
	switch p.seen.standing {
	case alive:
		return p.enabledBySomebody(ctx)
	case unseen:
		return p.recheckByUse(ctx)
	}
	return p.stillDead(ctx)
}
