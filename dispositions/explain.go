package dispositions

import (
	"context"
	"errors"
	"fmt"

	"stanch/dispositions/policy"
	"stanch/receiver/leak"
)

// Explanation is what would be done with a key now, and why. It holds no secret. It may hold where the key was seen, so it
// is for whoever asks.
type Explanation struct {
	Issuer   string        `json:"issuer"` // empty: no issuer knows the key
	Key      leak.Key      `json:"key"`
	Decision leak.Decision `json:"decision"`
	Looked   []policy.Look `json:"looked"` // the rules that were asked, in their order
	// Then are the things that stand in the way or follow, a sentence each.
	Then []string `json:"then"`
}

// ExplainKey explains what would be done with the key of an id, if it leaked. It asks the issuers for the key, and changes
// nothing. leak.ErrNotFound: none of them has it.
func (s Settings) ExplainKey(ctx context.Context, id string) (Explanation, error) {
	var unresolved error
	f := plain(s)
	for _, issuer := range f.connections {
		named := Target{Key: leak.Key{ID: id}}
		if !issuer.reads(named) {
			continue
		}
		key, err := issuer.read(ctx, named)
		if err == nil {
			return f.explain(issuer, leak.Incident{Key: key}, "", leak.Content{}), nil
		}
		if !errors.Is(err, leak.ErrNotFound) {
			unresolved = errors.Join(unresolved, fmt.Errorf("asking %s: %w", issuer.Name, err))
		}
	}
	if unresolved != nil {
		return Explanation{}, unresolved
	}
	return Explanation{}, leak.ErrNotFound
}

// ExplainAlert explains what would be done about an alert of a source. The secret is shown to the issuers that its type or
// pattern allows, and nothing is changed; where none may see it and only a person can revoke it, nobody is asked.
// leak.ErrNotFound: none of them knows it.
func (s Settings) ExplainAlert(ctx context.Context, source string, c leak.Content) (Explanation, error) {
	f := plain(s)
	if issuer, kind, how, ok := f.recognise(c); ok {
		d := leftByHand(kind, how)
		return Explanation{Issuer: issuer, Key: leak.Key{Kind: kind}, Decision: d, Then: []string{alivePage}}, nil
	}
	issuer, key, err := f.locate(ctx, c)
	if err != nil {
		return Explanation{}, err
	}
	return f.explain(issuer, leak.Incident{Key: key, Source: source, SightingCount: 1}, source, c), nil
}

// Explain explains what would be done about an incident now, seen where it was seen. It asks the issuer for the key, and
// changes nothing.
func (e *Engine) Explain(ctx context.Context, i leak.Incident, seen leak.Sighting) (Explanation, error) {
	f := plain(e.settings.Load().Settings)
	issuer, ok := f.issuer(i.Issuer)
	if !ok {
		return Explanation{}, leak.ErrNotFound
	}
	if named := (Target{Key: i.Key}); issuer.reads(named) {
		key, err := issuer.read(ctx, named)
		if err != nil {
			return Explanation{}, fmt.Errorf("asking %s: %w", issuer.Name, err)
		}
		key.LastUsedAt = later(key.LastUsedAt, i.Key.LastUsedAt)
		i.Key = key
	}
	return f.explain(issuer, i, seen.Source, leak.Content{
		Type: seen.Type, URL: seen.URL, Place: seen.Place, Marks: seen.Marks,
	}), nil
}

// Foresee tells what would follow from a person's order for an incident that was seen where it was seen, a sentence each, in
// the words of [Explanation]. It asks the issuer for the key, and changes nothing. leak.ErrNotFound: the key is gone, or no
// configured issuer told which it is.
func (e *Engine) Foresee(ctx context.Context, i leak.Incident, seen leak.Sighting, v Verb) ([]string, error) {
	now, err := e.Explain(ctx, i, seen)
	if err != nil {
		return nil, err
	}
	switch v {
	case Approve:
		then := consequences(i.Abilities, now.Key, leak.Decision{Action: i.Action, Unlock: i.Unlock})
		return append([]string{fmt.Sprintf("The action is to %s the key, and to prove it.", i.Action)}, then...), nil
	case Undo:
		return []string{"The key is enabled again, and works as before, for whoever found it too.", stands}, nil
	case Retry:
		d := now.Decision
		return append([]string{fmt.Sprintf("Policy decides again. As it stands now: %s, by %s.", d.Action, d.Rule)}, now.Then...), nil
	}
	if now.Key.Disabled {
		return []string{"The key stays disabled.", stands}, nil
	}
	return []string{"The key goes on working, for whoever found it too.", stands}, nil
}

// stands is what holds after an order that ends an incident.
const stands = "What is known so far of the leak never acts on it again; a new sighting does."

func (f *inForce) explain(issuer connection, i leak.Incident, source string, c leak.Content) Explanation {
	d, looked := f.decide(issuer, i, source, c)
	return Explanation{Issuer: issuer.Name, Key: i.Key, Decision: d, Looked: looked, Then: consequences(issuer.Issuer.Abilities(), i.Key, d)}
}

// alivePage follows when only a person can do something.
const alivePage = "The secret goes on working until a person revokes it; somebody is paged at once."

// consequences are what stands in the way of a decision, and what follows from it.
func consequences(able leak.Abilities, k leak.Key, d leak.Decision) []string {
	switch {
	case d.Action == leak.Nothing:
		return []string{"The key goes on working, for whoever found it too."}
	case k.Disabled && d.Action == leak.Disable:
		return []string{"The key is disabled already: nothing has to be done."}
	}
	return append(obstacles(able, k, d), effects(able, k, d)...)
}

// obstacles are what stands in the way of an action.
func obstacles(able leak.Abilities, k leak.Key, d leak.Decision) (say []string) {
	switch {
	case k.Locked && !d.Unlock:
		say = append(say, "The key is locked, and policy does not allow stanch to unlock it: it is paged, and tried again until it is unlocked.")
	case k.Locked:
		say = append(say, "The key is locked: it is unlocked first.")
	}
	switch {
	case d.Approval && d.Action == leak.Delete && able.Disable:
		say = append(say, "It is disabled at once, and deleted when a person approves.")
	case d.Approval:
		say = append(say, "Nothing happens before a person approves; the key works until then.")
	}
	return say
}

// effects are what follows from an action.
func effects(able leak.Abilities, k leak.Key, d leak.Decision) []string {
	say := []string{"Calls with this key will be refused" + lastUse(k) + "."}
	switch {
	case d.Action == leak.Delete:
		say = append(say, "Deleting cannot be undone: a new key has to be made where this one was in use.")
	case able.Enable:
		say = append(say, "It can be undone: the key can be enabled again.")
	default:
		say = append(say, "It cannot be undone: its issuer has no call that enables a key again.")
	}
	if !able.Read && !able.Prove {
		say = append(say, "Nobody can prove that the key is dead then: its issuer accepts the request, and tells no more.")
	}
	if able.Settles > 0 {
		say = append(say, fmt.Sprintf("The change takes up to %s to hold everywhere, and is proved again after that.", able.Settles))
	}
	switch life := able.TokensOutlive; {
	case !life.Known:
		say = append(say, "How long tokens issued before live on is not known.")
	case life.Most > 0:
		say = append(say, fmt.Sprintf("Tokens issued before live on for %d minutes at most.", int(life.Most.Minutes())))
	}
	return say
}

func lastUse(k leak.Key) string {
	if k.LastUsedAt.IsZero() {
		return "; when it was last used is not known"
	}
	return "; it was last used at " + k.LastUsedAt.UTC().Format("2006-01-02 15:04:05 UTC")
}
